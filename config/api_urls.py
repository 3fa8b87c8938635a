"""REST addresses of all areas, and the schema that describes them."""

from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView

from config.api_docs import Documentation

urlpatterns = [
    path("schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("docs/", Documentation.as_view(), name="api-docs"),
    path("", include("products.api_urls")),
    path("webhooks/", include("webhooks.api_urls")),
]

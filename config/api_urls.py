"""REST addresses of all areas, and the schema that describes them."""

from django.urls import include, path

urlpatterns = [
    path("", include("products.api_urls")),
]

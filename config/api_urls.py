"""REST addresses of all areas, and the schema that describes them."""

from django.contrib.auth.decorators import login_required
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

# The page's own assets alone, none from outside hosts; its script is a response of its own, so
# the policy of all pages holds here too.
docs = SpectacularSwaggerSplitView.as_view(
    url_name="api-schema", template_name="api_docs/swagger.html"
)

urlpatterns = [
    path("schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("docs/", login_required(docs), name="api-docs"),
    path("", include("products.api_urls")),
]

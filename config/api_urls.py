"""REST addresses of all areas, and the schema that describes them."""

from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView

from config.api_docs import Documentation
from streaming.api_urls import stock_urlpatterns

urlpatterns = [
    path("schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("docs/", Documentation.as_view(), name="api-docs"),
    path("", include("products.api_urls")),
    path("webhooks/", include("webhooks.api_urls")),
    path("stocksync/", include("stocksync.api_urls")),
    path("streaming/", include("streaming.api_urls")),
    path("stocks/", include(stock_urlpatterns)),
    path("ledger/", include("transactions.api_urls")),
    path("checks/", include("config.checks.api_urls")),
    path("", include("transactions.orders_api_urls")),
]

"""Addresses of Stockroom: pages by area, REST under /api/, live streams under /events/."""

from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="products:list"), name="home"),
    path("", include("config.accounts.urls")),
    path("", include("config.page_urls")),
    path("operations/checks/", include("config.checks.urls")),
    path("", include("config.health_urls")),
    path("", include("config.metrics.urls")),
    path("", include("products.urls")),
    path("webhooks/", include("webhooks.urls")),
    path("stocksync/", include("stocksync.urls")),
    path("streaming/", include("streaming.urls")),
    path("transactions/", include("transactions.urls")),
    path("api/", include("config.api_urls")),
    path("events/", include("config.event_urls")),
]

handler400 = "config.pages.bad_request"
handler403 = "config.pages.permission_denied"
handler404 = "config.pages.not_found"
handler500 = "config.pages.server_error"

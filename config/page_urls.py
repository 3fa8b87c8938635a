"""Pages that belong to no single area."""

from django.urls import path

from config.operations.alert_views import alerts_page
from config.operations.views import operations

urlpatterns = [
    path("operations/alerts/", alerts_page, name="alerts"),
    path("operations/", operations, name="operations"),
]

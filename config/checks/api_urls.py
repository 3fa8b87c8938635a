"""REST addresses of checks, below /api/checks/."""

from django.urls import path

from . import api

urlpatterns = [
    path("", api.Checks.as_view(), name="api-checks"),
    path("runs/", api.RunList.as_view(), name="api-check-runs"),
    path("runs/<int:pk>/", api.RunDetail.as_view(), name="api-check-run"),
]

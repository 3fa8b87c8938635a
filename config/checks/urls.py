"""Pages of checks, below /operations/checks/."""

from django.urls import path

from . import views

urlpatterns = [
    path("", views.checks, name="checks"),
    path("run/", views.run, name="checks-run"),
    path("<int:pk>/", views.check, name="check"),
    path("<int:pk>/findings.csv", views.findings_csv, name="check-findings"),
]

"""Health of the process and of its engines, for load balancers and people."""

from django.urls import path

from config import health

urlpatterns = [
    path("healthz", health.alive, name="healthz"),
    path("readyz", health.ready, name="readyz"),
]

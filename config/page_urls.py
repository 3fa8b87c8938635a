"""Pages that belong to no single area."""

from django.urls import path

from config import pages

urlpatterns = [
    path("operations/", pages.operations, name="operations"),
]

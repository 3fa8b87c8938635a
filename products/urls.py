"""Pages of the catalogue."""

from django.urls import path
from django.views.generic import TemplateView

app_name = "products"
urlpatterns = [
    path("products/", TemplateView.as_view(template_name="products/list.html"), name="list"),
    path("imports/", TemplateView.as_view(template_name="products/imports.html"), name="imports"),
]

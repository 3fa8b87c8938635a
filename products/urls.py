"""Pages of the catalogue."""

from django.urls import path

from . import views

app_name = "products"
urlpatterns = [
    path("products/", views.product_list, name="list"),
    path("imports/", views.import_list, name="imports"),
    path("imports/new/", views.new_import, name="new-import"),
    path("imports/<int:pk>/", views.import_page, name="import"),
    path("imports/<int:pk>/rejects.csv", views.rejects_csv, name="rejects-csv"),
]

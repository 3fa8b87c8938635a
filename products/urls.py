"""Pages of the catalogue."""

from django.urls import path

from .catalogue import views as catalogue
from .imports import views as imports

app_name = "products"
urlpatterns = [
    path("products/", catalogue.product_list, name="list"),
    path("imports/", imports.import_list, name="imports"),
    path("imports/new/", imports.new_import, name="new-import"),
    path("imports/<int:pk>/", imports.import_page, name="import"),
    path("imports/<int:pk>/rejects.csv", imports.rejects_csv, name="rejects-csv"),
]

"""Pages of the catalogue."""

from django.urls import path

from .catalogue import bulk_views as bulk
from .catalogue import deletion_views as deletions
from .catalogue import export_views as export
from .catalogue import product_views as product
from .catalogue import views as catalogue
from .imports import views as imports

app_name = "products"
urlpatterns = [
    path("products/", catalogue.product_list, name="list"),
    path("products/new/", product.new_product, name="new"),
    path("products/<int:pk>/", product.product, name="product"),
    path("products/<int:pk>/delete/", product.delete_product, name="delete"),
    path("products/export.csv", export.export_csv, name="export"),
    path("products/bulk/", bulk.bulk_change, name="bulk"),
    path("products/bulk/<int:pk>/", bulk.bulk_page, name="bulk-change"),
    path("products/bulk/<int:pk>/cancel/", bulk.cancel_bulk_change, name="bulk-cancel"),
    path("products/delete-all/", deletions.delete_all_page, name="delete-all"),
    path("products/deleted/", deletions.deleted, name="deleted"),
    path("products/deleted/<int:pk>/undo/", bulk.undo_deletion, name="undo"),
    path("imports/", imports.import_list, name="imports"),
    path("imports/new/", imports.new_import, name="new-import"),
    path("imports/<int:pk>/", imports.import_page, name="import"),
    path("imports/<int:pk>/rejects.csv", imports.rejects_csv, name="rejects-csv"),
]

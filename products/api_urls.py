"""REST addresses of the catalogue, below /api/."""

from django.urls import path

from .catalogue import api as catalogue
from .catalogue import api_bulk as bulk
from .imports import api as imports
from .imports import tus

urlpatterns = [
    path("uploads/", tus.UploadList.as_view(), name="uploads"),
    path("uploads/<uuid:upload_id>/", tus.UploadDetail.as_view(), name="upload"),
    path("imports/", imports.ImportList.as_view(), name="imports"),
    path("imports/<int:pk>/", imports.ImportDetail.as_view(), name="import"),
    path("imports/<int:pk>/cancel/", imports.CancelImport.as_view(), name="import-cancel"),
    path("imports/<int:pk>/approve/", imports.ApproveImport.as_view(), name="import-approve"),
    path("imports/<int:pk>/repeat/", imports.RepeatImport.as_view(), name="import-repeat"),
    path("imports/<int:pk>/rejects/", imports.RejectList.as_view(), name="import-rejects"),
    path("products/", catalogue.ProductList.as_view(), name="products"),
    path("products/by-sku/", catalogue.ProductBySku.as_view(), name="product-by-sku"),
    path("products/export.csv", catalogue.ProductExport.as_view(), name="products-export"),
    path("products/bulk/", bulk.ProductBulk.as_view(), name="products-bulk"),
    path("products/delete-all/", bulk.DeleteAll.as_view(), name="products-delete-all"),
    path("products/<int:pk>/", catalogue.ProductDetail.as_view(), name="product"),
    path("products/<int:pk>/history/", catalogue.ProductHistory.as_view(), name="product-history"),
    path("bulk-changes/", bulk.BulkChangeList.as_view(), name="bulk-changes"),
    path("bulk-changes/<int:pk>/", bulk.BulkChangeDetail.as_view(), name="bulk-change"),
    path("bulk-changes/<int:pk>/cancel/", bulk.CancelBulkChange.as_view(), name="bulk-cancel"),
    path("deletions/", bulk.DeletionList.as_view(), name="deletions"),
    path("deletions/<int:pk>/", bulk.DeletionDetail.as_view(), name="deletion"),
    path("deletions/<int:pk>/undo/", bulk.UndoDeletion.as_view(), name="deletion-undo"),
]

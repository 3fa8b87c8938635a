"""REST addresses of the catalogue, below /api/."""

from django.urls import path

from .catalogue import api as catalogue
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
]

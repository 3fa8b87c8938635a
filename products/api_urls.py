"""REST addresses of the catalogue, below /api/."""

from django.urls import path

from . import api, tus

urlpatterns = [
    path("uploads/", tus.UploadList.as_view(), name="uploads"),
    path("uploads/<uuid:upload_id>/", tus.UploadDetail.as_view(), name="upload"),
    path("imports/", api.ImportList.as_view(), name="imports"),
    path("imports/<int:pk>/", api.ImportDetail.as_view(), name="import"),
    path("imports/<int:pk>/cancel/", api.CancelImport.as_view(), name="import-cancel"),
    path("imports/<int:pk>/approve/", api.ApproveImport.as_view(), name="import-approve"),
    path("imports/<int:pk>/repeat/", api.RepeatImport.as_view(), name="import-repeat"),
    path("imports/<int:pk>/rejects/", api.RejectList.as_view(), name="import-rejects"),
    path("products/", api.ProductList.as_view(), name="products"),
]

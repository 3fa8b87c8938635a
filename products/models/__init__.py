"""Tables of the catalogue: products and what was done to them, uploads, imports."""

from .bulk import BulkAction, BulkChange, BulkState
from .changes import ChangeAction, ProductChange
from .deletions import DeletedProduct, Deletion, DeletionKind
from .imports import Import, ImportPart, ImportReject, ImportState
from .product import Product
from .upload import Upload, UploadBlock

__all__ = [
    "BulkAction",
    "BulkChange",
    "BulkState",
    "ChangeAction",
    "DeletedProduct",
    "Deletion",
    "DeletionKind",
    "Import",
    "ImportPart",
    "ImportReject",
    "ImportState",
    "Product",
    "ProductChange",
    "Upload",
    "UploadBlock",
]

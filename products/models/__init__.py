"""Tables of the catalogue: products, uploads with their blocks, imports with their parts."""

from .imports import Import, ImportPart, ImportReject, ImportState
from .product import Product
from .upload import Upload, UploadBlock

__all__ = [
    "Import",
    "ImportPart",
    "ImportReject",
    "ImportState",
    "Product",
    "Upload",
    "UploadBlock",
]

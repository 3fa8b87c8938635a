"""Which state of a product somebody has seen: the API's ETag and the form's hidden field. Pure."""

import hashlib
import json
from datetime import UTC

from products.models import Product

DIGITS = 16


def version(product: Product) -> str:
    """16 hexadecimal digits that are others as soon as a field or the time of change is."""
    seen = [
        product.pk,
        product.sku,
        product.name,
        product.description,
        product.active,
        product.updated_at.astimezone(UTC).isoformat(),
    ]
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:DIGITS]

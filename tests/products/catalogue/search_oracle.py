"""What a search should find, the slow and obvious way."""

from collections.abc import Iterable

from products.models import Product

KEYS = {
    "newest": lambda product: -product.pk,
    "sku": lambda product: product.sku.lower(),
    "name": lambda product: (product.name.lower(), product.pk),
}


def holds(product: Product, word: str) -> bool:
    """A word with three letters in a row is found anywhere, a shorter one at a beginning."""
    word = word.lower()
    if any(len(run) >= 3 for run in _runs(word)):
        return any(word in text.lower() for text in _texts(product))
    return any(text.lower().startswith(word) for text in (product.sku, product.name))


def ids(products: Iterable[Product], search: str, active: bool | None, sort: str) -> list[int]:
    """Ids of all pages together."""
    found = [
        product
        for product in products
        if active in (None, product.active)
        and all(holds(product, word) for word in search.split()[:8])
    ]
    return [product.pk for product in sorted(found, key=KEYS[sort])]


def _texts(product: Product) -> tuple[str, str, str]:
    return product.sku, product.name, product.description


def _runs(word: str) -> list[str]:
    return "".join(sign if sign.isalnum() else " " for sign in word).split()

import string
from datetime import UTC, datetime, timedelta, timezone

import pytest

from products.catalogue.versions import version
from products.models import Product

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


def product(**values) -> Product:
    same = {"id": 7, "sku": "AB-1", "name": "Lamp", "description": "", "active": True}
    return Product(**(same | {"updated_at": AT} | values))


@pytest.mark.parametrize(
    "other",
    [
        {"id": 8},
        {"sku": "ab-1"},
        {"name": "Lamp "},
        {"description": "bright"},
        {"active": False},
        {"updated_at": AT + timedelta(microseconds=1)},
        {"sku": "AB-1Lamp", "name": ""},
    ],
)
def test_another_state_has_another_version(other):
    assert version(product(**other)) != version(product())


def test_the_same_state_has_the_same_version_whatever_the_time_zone():
    elsewhere = AT.astimezone(timezone(timedelta(hours=5)))
    assert version(product(updated_at=elsewhere)) == version(product())


def test_it_fits_into_a_header():
    found = version(product(name="\u201csong\u201d"))
    assert len(found) == 16
    assert set(found) <= set(string.hexdigits.lower())


@pytest.mark.django_db
def test_a_product_just_made_has_the_version_it_is_read_with():
    made = Product.objects.create(sku="AB-1", name="Lamp")
    assert version(made) == version(Product.objects.get())

from collections.abc import Callable, Iterator

import pytest
from django.db import connection

from config.accounts.actors import Actor
from products.models import Product


@pytest.fixture
def user(django_user_model):
    """An editor."""
    return django_user_model.objects.create_user("ana", password="a-long-enough-password")


@pytest.fixture
def actor(user) -> Actor:
    """`user` in a browser."""
    return Actor(user)


@pytest.fixture
def make_products(db) -> Callable[[int], list[Product]]:
    """`make_products(n)`: n active products "sku-1"… with names "Name 1"…, oldest first."""

    def make_products(count: int) -> list[Product]:
        numbers = range(1, count + 1)
        return Product.objects.bulk_create(
            Product(sku=f"sku-{n}", name=f"Name {n}", description=f"Text {n}") for n in numbers
        )

    return make_products


@pytest.fixture(autouse=True)
def _kept_tables_dropped(request) -> Iterator[None]:
    """What a delete all kept goes after a test whose changes are not rolled back."""
    marker = request.node.get_closest_marker("django_db")
    if marker is None or not marker.kwargs.get("transaction"):
        yield
        return
    request.getfixturevalue("transactional_db")
    yield
    with connection.cursor() as cursor:
        cursor.execute("SELECT nspname FROM pg_namespace WHERE nspname ~ '^kept_[0-9]+$'")
        for (name,) in cursor.fetchall():
            cursor.execute(f"DROP SCHEMA {name} CASCADE")

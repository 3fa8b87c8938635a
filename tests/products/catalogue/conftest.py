from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import psycopg2
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


@pytest.fixture
def workers() -> Iterator[Callable[..., Future]]:
    """`workers(function, *arguments)`: its Future, run in a thread with a connection of its own."""

    def work(function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=4) as pool:
        yield lambda function, *arguments: pool.submit(work, function, *arguments)


@pytest.fixture
def other(transactional_db) -> Iterator[Any]:
    """A database connection of somebody else."""
    parameters = connection.get_connection_params()
    names = ("dbname", "user", "password", "host", "port")
    found = psycopg2.connect(**{name: parameters[name] for name in names if name in parameters})
    yield found
    found.close()


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

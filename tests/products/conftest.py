from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from django.db import connection

from products.catalogue import search_index


@pytest.fixture
def other(transactional_db) -> Iterator[Any]:
    """A database connection of somebody else."""
    parameters = connection.get_connection_params()
    names = ("dbname", "user", "password", "host", "port")
    found = psycopg2.connect(**{name: parameters[name] for name in names if name in parameters})
    yield found
    found.close()


@pytest.fixture(autouse=True)
def _search_index_there(request) -> None:
    """Where a test before, whose changes were not rolled back, has dropped it."""
    marker = request.node.get_closest_marker("django_db")
    if marker is not None and marker.kwargs.get("transaction"):
        request.getfixturevalue("transactional_db")
        search_index.build()

"""Long refused lines: listed and downloaded a few at a time."""

import tracemalloc
from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client

from products.models import Import

from .importing import HEADER, import_bytes

pytestmark = pytest.mark.django_db

MIB = 1024**2
LONGEST = 65_536  # characters, each of four bytes
LONGEST_BYTES = 4 * LONGEST


@pytest.fixture
def client(client, user) -> Client:
    client.force_login(user)
    return client


@pytest.fixture
def with_rejects(user) -> Callable[[int], Import]:
    """`with_rejects(n)`: an import that refused the longest lines there can be, 1 to n."""

    def make(count: int) -> Import:
        job = import_bytes(user, HEADER + b"A,a,1\r\n")
        with connection.cursor() as cursor:
            cursor.execute(
                'INSERT INTO products_importreject (job_id, part, line, "column", reason, raw)'
                " SELECT %s, 0, n, 'sku', 'none', repeat('😀', %s) FROM generate_series(1, %s) n",
                [job.pk, LONGEST, count],
            )
        return job

    return make


def peak_bytes(work: Callable[[], None]) -> int:
    """Most that Python held more at a time than before."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_download_holds_a_few_of_them(client, with_rejects):
    job = with_rejects(400)
    lines = 0

    def download() -> None:
        nonlocal lines
        for piece in client.get(f"/imports/{job.pk}/rejects.csv").streaming_content:
            assert len(piece) < 4 * MIB + 2 * LONGEST_BYTES
            lines += piece.count(b"\r\n")

    assert peak_bytes(download) < 64 * MIB
    assert lines == 401


def test_a_page_of_the_api_holds_a_few_of_them(client, with_rejects):
    path = f"/api/imports/{with_rejects(400).pk}/rejects/"

    def ask() -> None:
        answer = client.get(path, {"page_size": 1000})
        assert 1 <= len(answer.json()["results"]) <= MIB // LONGEST_BYTES

    assert peak_bytes(ask) < 32 * MIB


@pytest.mark.parametrize("size", [3, 1000])
def test_short_pages_leave_nothing_out_in_either_direction(client, with_rejects, size):
    answer = client.get(f"/api/imports/{with_rejects(10).pk}/rejects/", {"page_size": size}).json()
    pages = [[row["line"] for row in answer["results"]]]
    while answer["next"]:
        answer = client.get(answer["next"]).json()
        pages.append([row["line"] for row in answer["results"]])
    assert [line for page in pages for line in page] == list(range(1, 11))
    assert all(1 <= len(page) <= 4 for page in pages)

    back = [row["line"] for row in answer["results"]]
    while answer["previous"]:
        answer = client.get(answer["previous"]).json()
        assert 1 <= len(answer["results"]) <= 4
        back = [row["line"] for row in answer["results"]] + back
    assert back == list(range(1, 11))

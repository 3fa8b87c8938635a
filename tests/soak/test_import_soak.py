"""Imports of full size through a running Stockroom, left alone and under random kills.

Each is compared row for row with the oracle. What was killed when depends on KILL_SEED and on the
machine's speed; durations and kills are printed.
"""

import io
import time
from collections import Counter
from contextlib import nullcontext

import pytest
from tusclient.exceptions import TusCommunicationError, TusUploadFailed

from bench.sample_csv import write_sample
from tests.products.imports import import_oracle
from tests.products.imports.import_oracle import Stored
from tests.products.imports.stack import RunningStockroom, running_stockroom
from tests.services.waiting import until

from .killing import kills

pytestmark = pytest.mark.soak

ROWS = 500_000
BAD_ROWS = 500
RUN_SECONDS = 1200.0
CHUNK_BYTES = 4 * 1024 * 1024
KILL_SEED = 20240607


def sample(changed_fraction: float = 0.0) -> bytes:
    file = io.BytesIO()
    write_sample(file, ROWS, seed=1, changed_fraction=changed_fraction, rejects=BAD_ROWS)
    return file.getvalue()


def send(stockroom: RunningStockroom, address: str, data: bytes) -> None:
    """Upload it whatever happens, always from the offset that the server knows."""

    def attempt() -> bool:
        try:
            stockroom.uploader(address, data, chunk=CHUNK_BYTES).upload()
        except (TusCommunicationError, TusUploadFailed):
            return False
        return True

    until(attempt, RUN_SECONDS)


def run(stockroom: RunningStockroom, data: bytes, before: dict[str, Stored], seed: int | None):
    """Import `data` and compare; returns the catalogue, the seconds it took, and the kills."""
    expected = import_oracle.expect(data, before)
    job_id, address = stockroom.create(len(data))
    began = time.monotonic()
    with nullcontext(Counter()) if seed is None else kills(stockroom, seed) as killed:
        send(stockroom, address, data)
        sent = time.monotonic()
        stockroom.end(job_id, RUN_SECONDS)
        ended = time.monotonic()
    stockroom.check(job_id, expected)
    return expected, f"sent in {sent - began:.0f} s, done {ended - sent:.0f} s later", killed


@pytest.mark.parametrize("killing", [False, True], ids=["left alone", "under kills"])
def test_an_import_of_full_size_ends_as_the_oracle_says(killing, capsys):
    variables = {"IMPORT_STALE_SECONDS": "3", "IMPORT_SWEEP_SECONDS": "1"} if killing else {}
    same = sample()
    files = {"first": same, "again unchanged": same, "again, 5 % changed": sample(0.05)}
    products: dict[str, Stored] = {}
    with running_stockroom(**variables) as stockroom:
        for number, (name, data) in enumerate(files.items()):
            seed = KILL_SEED + number if killing else None
            expected, duration, killed = run(stockroom, data, products, seed)
            products = expected.products
            with capsys.disabled():
                counts = ", ".join(f"{n:,} {what}" for what, n in expected.counts.items())
                print(f"\n{name}: {len(data):,} bytes {duration}; {counts}")
                if killing:
                    print(f"  seed {seed}: {killed.total()} kills: {dict(killed)}")
    assert len(products) == expected.created + expected.updated + expected.unchanged

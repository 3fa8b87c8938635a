"""Imports of full size through a running Stockroom, left alone and under random kills.

Each is compared row for row with the oracle. What was killed when depends on KILL_SEED and on the
machine's speed; durations and kills are printed.
"""

import io
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest
from tusclient.exceptions import TusCommunicationError, TusUploadFailed

from bench.sample_csv import write_sample
from tests.products.imports import import_oracle
from tests.products.imports.import_oracle import Stored
from tests.products.imports.stack import RunningStockroom, running_stockroom
from tests.services.waiting import until

pytestmark = pytest.mark.soak

ROWS = 500_000
BAD_ROWS = 500
RUN_SECONDS = 1200.0
CHUNK_BYTES = 4 * 1024 * 1024
KILL_SEED = 20240607
KILL_EVERY_SECONDS = (1.0, 5.0)
VICTIMS = {"worker": 2, "pool": 3, "web": 2, "valkey": 2, "postgres": 1}
# It takes the staged rows with it, so that the whole file is read again: killed more often, it
# would let no import of this size end.
POSTGRES_KILLS = 2


def sample(changed_fraction: float = 0.0) -> bytes:
    file = io.BytesIO()
    write_sample(file, ROWS, seed=1, changed_fraction=changed_fraction, rejects=BAD_ROWS)
    return file.getvalue()


class Killer:
    """Kills something every few seconds between `start` and `stop`."""

    def __init__(self, stockroom: RunningStockroom, seed: int) -> None:
        self.kills: Counter[str] = Counter()
        self._stockroom = stockroom
        self._random = random.Random(seed)
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        victims: list[str] = []
        try:
            while not self._stopping.wait(self._random.uniform(*KILL_EVERY_SECONDS)):
                if not victims:  # each in turn, so that a short run meets all of them
                    victims = [name for name, times in VICTIMS.items() for _ in range(times)]
                    self._random.shuffle(victims)
                if victims[-1] == "postgres" and self.kills["postgres"] == POSTGRES_KILLS:
                    victims.pop()
                    continue
                if self._kill(victims[-1]):
                    self.kills[victims.pop()] += 1
        except BaseException as error:
            self._failure = error

    def _kill(self, victim: str) -> bool:
        """SIGKILL it; False when it is down already. Engines are back on return, others later."""
        if victim in self._stockroom.stack.engines:
            self._stockroom.restart_engine(victim)
            return True
        found = self._stockroom.processes("worker.1" if victim == "pool" else f"{victim}.1")
        if victim == "pool":
            del found[:1]
        self._stockroom.signal(found, signal.SIGKILL)
        return bool(found)


@contextmanager
def kills(stockroom: RunningStockroom, seed: int) -> Iterator[Counter[str]]:
    """Within the block things are killed; counts by what."""
    killer = Killer(stockroom, seed)
    killer.start()
    try:
        yield killer.kills
    finally:
        killer.stop()


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

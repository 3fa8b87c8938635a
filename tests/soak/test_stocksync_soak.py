"""Stock sync jobs of 100 MB through a running Stockroom, left alone and under random kills.

Files are compared byte for byte with the engine's, and what became of each event row for row.
What was killed when depends on the seed and on the machine's speed; durations and kills are
printed.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bench.sample_stocksync import write_sample
from stocksync.engine.synchronizer import Synchronizer
from tests.products.imports.stack import RunningStockroom, running_stockroom
from tests.stocksync.jobs.expected import DECISION_COLUMNS
from tests.stocksync.jobs.stack import JOBS, end

from .killing import kills

pytestmark = pytest.mark.soak

SIZE = 100_000_000
TREES = 10_000
RUN_SECONDS = 1800.0
SEEDS = (20261121, 20261122)
VICTIMS = {"worker": 1, "pool": 2, "web": 2, "valkey": 2, "postgres": 1}
VARIABLES = {
    "IMPORT_STALE_SECONDS": "3",
    "IMPORT_SWEEP_SECONDS": "1",
    # A worker that has just started is often killed at once: the killer waits for it.
    "IMPORT_MAX_STALLS": "1000",
}


@pytest.fixture(scope="module")
def events() -> Iterator[Path]:
    with TemporaryDirectory(prefix="stocksync-soak-") as folder:
        path = Path(folder) / "events.txt"
        write_sample(path, SIZE, TREES)
        yield path


@pytest.fixture(scope="module")
def stockroom() -> Iterator[RunningStockroom]:
    with running_stockroom(**VARIABLES) as stockroom:
        yield stockroom


def begin(stockroom: RunningStockroom, path: Path, clock: str) -> int:
    with path.open("rb") as file:
        answer = stockroom.request("POST", JOBS, files={"file": file}, data={"clock": clock})
    return int(answer.json()["id"])


def decisions(stockroom: RunningStockroom, job_id: int) -> Iterator[tuple]:
    """In their order, some thousands at a time."""
    with closing(stockroom.connect()) as connection, connection.cursor("decisions") as cursor:
        cursor.itersize = 10_000
        cursor.execute(
            f"SELECT seq, {DECISION_COLUMNS} FROM stocksync_syncdecision WHERE job_id = %s"
            " ORDER BY seq",
            (job_id,),
        )
        yield from cursor


def digest(stockroom: RunningStockroom, job_id: int, name: str) -> str:
    """The SHA-256 of a download."""
    answer = stockroom.request("GET", f"{JOBS}{job_id}/{name}", stream=True)
    found = hashlib.sha256()
    for piece in answer.iter_content(1 << 20):
        found.update(piece)
    return found.hexdigest()


def compare(stockroom: RunningStockroom, job_id: int, path: Path, clock: str) -> None:
    """The job is done and has found what the engine finds."""
    row = end(stockroom, job_id)
    assert (row["state"], row["error"]) == ("done", ""), f"{row}\n{stockroom.log}"
    stockroom.stack.wait_ready()
    sync = Synchronizer(clock=clock, trace=True)
    output, rejects = hashlib.sha256(), hashlib.sha256()
    stored = decisions(stockroom, job_id)
    seq = 0

    def take() -> None:
        nonlocal seq
        output.update(sync.take_output())
        rejects.update(sync.take_rejects())
        for decision in sync.take_decisions():
            seq += 1
            assert next(stored) == (seq, *decision)

    with path.open("rb") as file:
        while data := file.read(1 << 20):
            sync.feed(data)
            take()
    sync.finish()
    take()
    for piece in sync.summary():
        output.update(piece)
    assert next(stored, None) is None
    assert row["counts"] == sync.counts.as_dict()
    assert digest(stockroom, job_id, "output") == output.hexdigest()
    assert digest(stockroom, job_id, "rejects") == rejects.hexdigest()
    trees = stockroom.query(
        "SELECT root_id, products, stock FROM stocksync_synctree WHERE job_id = %s ORDER BY place",
        job_id,
    )
    assert trees == [(tree.root, len(tree.products), tree.level) for tree in sync.trees()]
    products = stockroom.query(
        "SELECT product_id, root_id, stock, active FROM stocksync_syncproduct WHERE job_id = %s"
        " ORDER BY place",
        job_id,
    )
    assert products == [
        (product.id, product.tree.root, product.stock, product.active)
        for product in sync.products()
    ]


@pytest.mark.parametrize(
    ("seed", "clock"), [(None, "tree"), (SEEDS[0], "tree"), (SEEDS[1], "global")]
)
def test_a_job_of_100_mb_ends_as_the_engine_says(stockroom, events, seed, clock, capsys):
    job_id = begin(stockroom, events, clock)
    began = time.monotonic()
    with nullcontext(Counter()) if seed is None else kills(stockroom, seed, VICTIMS) as killed:
        row = end(stockroom, job_id, RUN_SECONDS)
        took = time.monotonic() - began
    compare(stockroom, job_id, events, clock)
    with capsys.disabled():
        print(f"\nclock {clock}: {row['counts']['events'] / took:,.0f} events/s for {took:.0f} s")
        if seed is not None:
            print(f"  seed {seed}: {killed.total()} kills: {dict(killed)}")

"""10,000 edits at 20 a second with five endpoints, of which one hangs and one fails, and imports.

The first half is left alone beside a first import of full size; in the second, beside a changed
one, workers, web, Valkey and PostgreSQL are killed at random. Each event has to arrive at each
healthy receiver, and at the others once they are well. Latencies are printed.
"""

import io
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import pytest

from bench.import_beside import Latencies
from bench.sample_csv import write_sample
from tests.products.imports.stack import RunningStockroom, running_stockroom
from tests.services.waiting import until
from tests.webhooks.receiver import status
from tests.webhooks.traffic import (
    HEALTHY,
    Watched,
    check_received,
    edit,
    first_attempts,
    products,
    told,
    undelivered,
    watching,
)

from .killing import kills
from .test_import_soak import send

pytestmark = pytest.mark.soak

ROWS = 500_000
EDITS = 10_000
PER_SECOND = 20
SECONDS = 600.0
SEED = 20260302
VICTIMS = {"deliveries.1": 2, "deliveries.2": 2, "web": 1, "valkey": 1, "postgres": 1}
VARIABLES = {
    "API_REQUESTS_PER_MINUTE": "1000000",
    "IMPORT_STALE_SECONDS": "3",
    "IMPORT_SWEEP_SECONDS": "1",
    "WEBHOOK_TIMEOUT_SECONDS": "5",
    "WEBHOOK_LEASE_SECONDS": "8",
    "WEBHOOK_RETRY_SECONDS": ",".join(["1", "2"] + ["5"] * 40),
    "WEBHOOK_BREAK_SECONDS": "5",
    # Killed engines are told to the same endpoints: here edits alone are counted.
    "OPERATIONS_ALERT_AFTER_SECONDS": "86400",
}
ATTEMPTS = "SELECT state, count(*) FROM webhooks_attempt GROUP BY 1"


def sample(changed_fraction: float) -> bytes:
    file = io.BytesIO()
    write_sample(file, ROWS, seed=1, changed_fraction=changed_fraction)
    return file.getvalue()


def import_beside(
    stockroom: RunningStockroom, data: bytes, address: str, job_id: int
) -> dict[str, Any]:
    send(stockroom, address, data)
    return stockroom.end(job_id, SECONDS)


def run(
    stockroom: RunningStockroom, ids: Sequence[int], numbers: range, data: bytes, seed: int | None
) -> tuple[Latencies, Counter[str]]:
    """Edit while `data` is imported; returns how long the answers took, and the kills."""
    job_id, address = stockroom.create(len(data))
    with ThreadPoolExecutor(1) as pool:
        importing = pool.submit(import_beside, stockroom, data, address, job_id)
        killing = nullcontext(Counter()) if seed is None else kills(stockroom, seed, VICTIMS)
        with killing as killed:
            answers = edit(stockroom, ids, numbers, PER_SECOND)
        job = importing.result()
    stockroom.stack.wait_ready()
    assert (job["state"], job["rows"], job["error"]) == ("done", ROWS, "")
    return answers, killed


def arrived(stockroom: RunningStockroom, watched: Sequence[Watched]) -> None:
    try:
        until(lambda: undelivered(stockroom, watched) == 0, SECONDS)
    except AssertionError:
        raise AssertionError(
            f"{undelivered(stockroom, watched)} are missing\n{stockroom.log}"
        ) from None


def test_every_event_of_10_000_edits_arrives(capsys):
    phases = {
        "left alone": (range(EDITS // 2), 0.0, None),
        "under kills": (range(EDITS // 2, EDITS), 0.05, SEED),
    }
    with running_stockroom(extra_roles=["deliveries", "deliveries"], **VARIABLES) as stockroom:
        ids = products(stockroom)
        with watching(stockroom) as watched:
            healthy = [watched[name] for name in HEALTHY]
            ill = [one for one in watched.values() if one not in healthy]
            for name, (numbers, changed_fraction, seed) in phases.items():
                data = sample(changed_fraction)
                answers, killed = run(stockroom, ids, numbers, data, seed)
                arrived(stockroom, healthy)
                names = {f"edit {number}" for number in numbers}
                events = [event for event in told(stockroom) if event.name in names]
                with capsys.disabled():
                    print(f"\n{name}; {killed.total()} kills: {dict(killed)}")
                    for latencies in (answers, *(first_attempts(one, events) for one in healthy)):
                        print(f"  {latencies.line()}")
            events = told(stockroom)
            assert sorted(event.name for event in events) == sorted(
                f"edit {number}" for number in range(EDITS)
            )
            assert stockroom.query("SELECT count(*) FROM webhooks_event") == [(EDITS,)]
            for one in ill:
                one.answers(status(200))
                stockroom.request("PATCH", one.api_url, json={"enabled": False})
                stockroom.request("PATCH", one.api_url, json={"enabled": True})
            arrived(stockroom, ill)
            twice = {one.name: check_received(stockroom, one, events) for one in watched.values()}
            with capsys.disabled():
                print(f"  came more than once: {twice}")
                print(f"  attempts: {dict(stockroom.query(ATTEMPTS))}")

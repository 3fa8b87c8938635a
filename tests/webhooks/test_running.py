"""Webhooks of a whole running Stockroom: edits through its API, real receivers, killed workers.

How long the events took is printed (`-s`), not asserted: that is bench/'s.
"""

import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bench.sample_csv import write_sample
from tests.products.imports.stack import SECONDS, RunningStockroom, running_stockroom
from tests.services.waiting import until
from tests.soak.killing import kills

from .receiver import slow, status
from .traffic import (
    ANSWERS,
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

EDITS = 500
PER_SECOND = 10
ROWS = 40_000
SEED = 20260301
SLOW = {"slow": slow(0.25)}  # so that most kills meet attempts under way
STATES = """
SELECT d.state, count(*) FROM webhooks_delivery d
WHERE d.endpoint_id = ANY(%s) GROUP BY 1
"""
LOST = "SELECT count(*) FROM webhooks_attempt WHERE state = 'lost'"
# Endpoints that fail are told of by alerts.
ALL_EVENTS = "SELECT count(*) FROM webhooks_event WHERE type !~ '^alert'"


@pytest.fixture(scope="module")
def stockroom() -> Iterator[RunningStockroom]:
    """With two workers that deliver, whose leases end soon, and a circuit that closes soon."""
    with running_stockroom(
        extra_roles=["deliveries", "deliveries"],
        API_REQUESTS_PER_MINUTE="1000000",
        WEB_CONCURRENCY="1",
        WEBHOOK_TIMEOUT_SECONDS="5",
        WEBHOOK_LEASE_SECONDS="10",
        WEBHOOK_RETRY_SECONDS=",".join(["1", "2"] + ["5"] * 20),
        WEBHOOK_BREAK_SECONDS="2",
    ) as stockroom:
        yield stockroom


def import_twice(stockroom: RunningStockroom) -> list[dict[str, Any]]:
    """First all new, then half of it changed."""
    jobs = []
    for changed in (0.0, 0.5):
        file = io.BytesIO()
        write_sample(file, ROWS, seed=1, changed_fraction=changed)
        jobs.append(stockroom.end(stockroom.upload(file.getvalue()), SECONDS))
    return jobs


def states(stockroom: RunningStockroom, watched: Sequence[Watched]) -> dict[str, int]:
    """How many deliveries of these endpoints are in each state."""
    return dict(stockroom.query(STATES, [one.id for one in watched]))


def arrived(stockroom: RunningStockroom, watched: Sequence[Watched], name: str = "edit") -> None:
    """Wait until all events of these edits have arrived at these endpoints."""
    try:
        until(lambda: undelivered(stockroom, watched, name) == 0, SECONDS)
    except AssertionError:
        left = undelivered(stockroom, watched, name)
        found = states(stockroom, watched)
        raise AssertionError(f"{left} are missing; {found}\n{stockroom.log}") from None


def test_every_event_arrives_whatever_hangs_fails_or_is_killed(stockroom):
    ids = products(stockroom)
    ((before,),) = stockroom.query(ALL_EVENTS)
    with watching(stockroom, ANSWERS | SLOW) as watched, ThreadPoolExecutor(1) as pool:
        healthy = [watched[name] for name in HEALTHY]
        ill = [one for one in watched.values() if one not in healthy]
        importing = pool.submit(import_twice, stockroom)
        with kills(stockroom, SEED, {"deliveries.1": 1}) as killed:
            answers = edit(stockroom, ids, range(EDITS), PER_SECOND)
        jobs = importing.result()
        assert [(job["state"], job["rows"]) for job in jobs] == [("done", ROWS)] * 2

        events = told(stockroom)
        assert sorted(e.name for e in events) == sorted(f"edit {n}" for n in range(EDITS))
        assert stockroom.query(ALL_EVENTS) == [(before + EDITS,)]  # none of the imports
        arrived(stockroom, healthy)
        twice = {one.name: check_received(stockroom, one, events) for one in healthy}
        assert states(stockroom, healthy) == {"succeeded": EDITS * len(healthy)}
        print(f"\n{answers.line()}")
        for one in healthy:
            print(first_attempts(one, events).line())

        # Of the others nothing is lost: it all comes once they are well again.
        waiting = states(stockroom, ill)
        assert waiting.keys() <= {"pending", "sending"}
        assert sum(waiting.values()) == EDITS * len(ill)
        for one in ill:
            one.answers(status(200))
            stockroom.request("PATCH", one.api_url, json={"enabled": False})
            stockroom.request("PATCH", one.api_url, json={"enabled": True})
        arrived(stockroom, ill)
        for one in ill:
            check_received(stockroom, one, events)
        assert states(stockroom, [*watched.values()]) == {"succeeded": EDITS * len(watched)}
        lost = stockroom.query(LOST)[0][0]
        print(f"kills {dict(killed)}, attempts lost {lost}, came twice {twice}")


def test_a_worker_that_is_told_to_stop_ends_what_it_sends(stockroom):
    one, other = (stockroom.stack.processes[f"deliveries.{n}"] for n in (1, 2))
    ids = products(stockroom)
    one.stop()
    lost = stockroom.query(LOST)
    with watching(stockroom, {"slow": slow(0.7)}) as watched:
        at_once = 4  # of one endpoint
        edit(stockroom, ids, range(at_once), 1000, "drained")
        watched["slow"].receiver.wait(at_once, SECONDS)
        other.stop()
        assert stockroom.said(other.name).splitlines()[-1] == "-- stopped"  # with code 0
        assert states(stockroom, [*watched.values()]) == {"succeeded": at_once}
        assert stockroom.query(LOST) == lost
        assert check_received(stockroom, watched["slow"], told(stockroom, "drained")) == 0
        one.start()
        other.start()

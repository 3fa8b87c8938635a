"""What an instance shows of itself while it runs, and when it has ended."""

import threading

import pytest

from config import live
from tests.services.waiting import until
from tests.transactions.bookkeeping import health, other
from transactions.ledger import board
from transactions.ledger.engine.consumer import LedgerConsumer
from transactions.ledger.instances import instances, leader

pytestmark = pytest.mark.usefixtures("ledger")


def test_it_is_renewed_while_it_runs_and_gone_at_its_end(monkeypatch):
    monkeypatch.setattr(board, "SNAPSHOT_SECONDS", 0.02)
    said = health(rows=1)
    with board.shown(lambda: dict(said)):
        until(lambda: [each["rows"] for each in board.snapshots()] == [1])
        said["rows"] = 2
        until(lambda: [each["rows"] for each in board.snapshots()] == [2])
        (found,) = board.snapshots()
        assert found["instance"] == board.instance() and "rate" in found
    assert board.snapshots() == []


def test_pages_are_told_of_changes_and_of_nothing_else(monkeypatch):
    monkeypatch.setattr(board, "SNAPSHOT_SECONDS", 0.02)
    monkeypatch.setattr(board, "RENEW_SECONDS", 60.0)
    told: list[dict] = []
    publishing = live.Throttle(board.CHANNEL, per_second=1000)
    monkeypatch.setattr(
        "config.live.board.throttle", lambda name: told.append({"name": name}) or publishing
    )
    asked = threading.Semaphore(0)
    said = health(rows=0, rejected=0)

    def look():
        asked.release()
        return dict(said)

    with board.shown(look):
        for _ in range(10):
            asked.acquire(timeout=60)
        assert told == [{"name": "ledger"}]
        said["failure"] = "KeyDB: refused"
        until(lambda: len(told) == 2)


def test_the_consumer_shows_what_it_waits_for(ledger):
    stop = threading.Event()
    thread = threading.Thread(target=LedgerConsumer().run, args=(stop,))
    thread.start()
    try:
        until(lambda: any("initial_data" in (x["waiting_for"] or "") for x in board.snapshots()))
        (found,) = instances(board.snapshots())
        assert found.leads and found.state == "waiting"
        until(lambda: [each["in_use"] for each in board.snapshots()] == [False])
    finally:
        stop.set()
        thread.join()
    assert board.snapshots() == []


def test_the_leader_comes_first_and_the_silent_do_not_lead():
    other("a.1", waiting_for="another instance leads")
    other("b.1", leads=True)
    found = instances(board.snapshots())
    assert [(each.instance, each.state) for each in found] == [
        ("b.1", "leading"),
        ("a.1", "waiting"),
    ]
    assert leader(found) is found[0]
    old = [{**each, "age_seconds": 8.0} for each in board.snapshots()]
    assert leader(instances(old)) is None
    assert {each.state for each in instances(old)} == {"silent"}

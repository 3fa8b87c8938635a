"""The thread that puts snapshots on the board, in a real Valkey."""

import time
from typing import Any

import pytest

from config.outage import Outage
from streaming import show
from streaming.sales import board
from streaming.show import Show
from tests.services.waiting import until


@pytest.fixture(autouse=True)
def own_group(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The board is shared by all tests of the process: this group's snapshots are taken off."""
    monkeypatch.setattr(board.BOARD, "outage", Outage("snapshots of sales"))
    yield
    board.remove("shown", "one")


def snapshot(**values: Any) -> dict[str, Any]:
    return {"instance": "one", "group": "shown", "at": time.time(), "state": "running", **values}


def shown() -> dict[str, Any]:
    return next((each for each in board.snapshots() if each["group"] == "shown"), {})


def test_the_newest_is_shown_and_an_ended_instance_is_not():
    with Show(board.BOARD, 0.0, board.watched) as shows:
        for taken in range(100):
            shows.put(snapshot(taken=taken))
        until(lambda: shown().get("taken") == 99)
    shows.gone("shown", "one")
    assert shown() == {}


def test_a_loop_that_waits_in_a_call_is_shown_as_waiting(monkeypatch):
    monkeypatch.setattr(show, "RENEW_SECONDS", 0.05)
    with Show(board.BOARD, 0.0, board.watched) as shows:
        shows.put(snapshot(taken=7))
        until(lambda: shown().get("state") == "waiting")
        assert shown()["waiting_for"].startswith(show.SILENT)
        assert shown()["taken"] == 7
        shows.put(snapshot(taken=8))
        until(lambda: shown().get("taken") == 8)


def test_what_is_watched_comes_back_to_the_loop():
    board.watch("85123A")
    with Show(board.BOARD, 0.0, board.watched) as shows:
        shows.put(snapshot())
        until(lambda: "85123A" in shows.watched)


def test_snapshots_are_rarer_where_they_cost_more():
    with Show(board.BOARD, 1.0) as shows:
        assert shows.due()
        shows._making_seconds = 0.5
        shows.put(snapshot())
        until(lambda: shown().get("every_seconds"))
        assert shown()["every_seconds"] >= 50
        assert not shows.due()

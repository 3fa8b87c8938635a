"""One sample: an engine that fails or hangs costs its own sections only."""

import threading
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
import redis
from django.db import connection

from config.operations import taking
from config.operations.lanes import Lane
from config.operations.problems import problems
from config.operations.taking import LANES, Taker
from tests.operations.example import EXAMPLE
from tests.services.waiting import until


def fine(before: dict[str, Any]) -> dict[str, Any]:
    return {"fine": True}


def raising(error: Exception) -> Any:
    def facts(before: dict[str, Any]) -> Any:
        raise error

    return facts


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What hangs goes on when it is set, at the latest at the end."""
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.django_db(transaction=True)
def test_a_sample_has_all_sections() -> None:
    found = Taker().take({})

    assert set(EXAMPLE) <= set(found)
    assert found["cost_seconds"] > 0
    assert [each["kind"] for each in found["rejects"]] == [
        each["kind"] for each in EXAMPLE["rejects"]
    ]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (redis.ConnectionError("redis://user:secret@host"), "Redis does not answer"),
        (psycopg2.OperationalError("host=secret"), "Redis does not answer"),
        (psycopg2.errors.QueryCanceled("secret"), "Redis needed more than a second"),
        (ValueError("secret"), "it could not be read (ValueError): the log of web has more"),
    ],
    ids=["redis", "postgres", "slow", "ours"],
)
def test_what_fails_is_said_in_its_section_without_secrets(error: Exception, words: str) -> None:
    lanes = {"Redis": (("jobs", raising(error)), ("orders", fine)), "Other": (("rollup", fine),)}

    found = Taker(lanes).take({})

    assert found["jobs"] == {"error": words}
    assert found["orders"] == found["rollup"] == {"fine": True}


def test_what_hangs_costs_its_lane_and_is_not_joined_by_a_second(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "PATIENCE_SECONDS", 2.0)
    asked = []

    def hang(before: dict[str, Any]) -> dict[str, Any]:
        asked.append(1)
        gate.wait(60)
        return {"late": True}

    taker = Taker({"PostgreSQL": (("jobs", hang),), "Redis": (("orders", fine),)})

    for _ in range(2):
        found = taker.take({})
        assert found["jobs"] == {"error": "PostgreSQL does not answer"}
        assert found["orders"] == {"fine": True}
    assert len(asked) == 1


def test_a_section_of_several_engines_has_what_there_is() -> None:
    rows = [{"name": "default", "waiting": 0}]
    away = raising(redis.ConnectionError())

    found = Taker({"one": (("queues", away),), "two": (("queues", lambda _: rows),)}).take({})

    assert found["queues"] == rows
    assert found["unread"] == [{"section": "queues", "why": "one does not answer"}]


def test_rejects_that_took_too_long_are_not_gone() -> None:
    slow = raising(psycopg2.errors.QueryCanceled())
    rows = [{"kind": "ledger", "last_hour": 0, "total": None, "url": "/"}]
    lanes = {"PostgreSQL": (("rejects", slow),), "other": (("rejects", lambda _: rows),)}

    found = Taker(lanes).take({})

    assert [each["kind"] for each in found["rejects"]] == ["sales", "ledger"]
    (unknown,) = [each for each in problems(found) if each.key == "unknown"]
    assert unknown.title == "Nobody knows just now: some rejects"
    assert unknown.advice.startswith("PostgreSQL needed more than a second.")


@pytest.mark.parametrize("outcome", ["all", "none", "single"])
def test_a_section_that_is_whole_or_away_has_no_missing_part(outcome: str) -> None:
    away = raising(redis.ConnectionError())
    lanes: Any = {
        "all": {"one": (("queues", lambda _: []),), "two": (("queues", lambda _: []),)},
        "none": {"one": (("queues", away),), "two": (("queues", away),)},
        "single": {"one": (("jobs", away), ("orders", fine))},
    }

    assert Taker(lanes[outcome]).take({})["unread"] == []


def test_a_failure_is_logged_once_and_its_end(caplog: pytest.LogCaptureFixture) -> None:
    outcome: list[Any] = [redis.ConnectionError("refused")]

    def facts(before: dict[str, Any]) -> Any:
        if isinstance(outcome[0], Exception):
            raise outcome[0]
        return outcome[0]

    taker = Taker({"Redis": (("jobs", facts),)})
    with caplog.at_level("INFO", "config.operations.taking"):
        taker.take({})
        taker.take({})
        outcome[0] = []
        taker.take({})
        taker.take({})

    assert caplog.text.count("jobs of Redis can't be read: ConnectionError: refused") == 1
    assert caplog.text.count("can be read again") == 1


@pytest.mark.django_db(transaction=True)
def test_the_database_is_asked_with_a_time_limit_and_no_connection_stays() -> None:
    seen: list[Any] = []

    def look() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid(), current_setting('statement_timeout')")
            seen.append(cursor.fetchone())

    lane = Lane("test", in_database=True, statement_ms=700)
    assert lane.begin(look)
    assert lane.wait(60)

    ((pid, limit),) = seen
    assert limit == "700ms"
    with connection.cursor() as cursor:

        def gone() -> bool:
            cursor.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [pid])
            return cursor.fetchone() is None

        until(gone)
        cursor.execute("SELECT current_setting('statement_timeout')")
        assert cursor.fetchone() == ("0",)


def test_each_section_has_its_facts() -> None:
    sections = {section for lane in LANES.values() for section, _ in lane}

    assert sections | {"at", "cost_seconds", "roles_seen"} == set(EXAMPLE)

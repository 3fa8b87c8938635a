"""Lag and rate of each consumer, and the processes that they are."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_django import Settings

from config.consumers.health import publish_health
from config.operations.facts import consumers, processes
from config.services.engine import Engine
from streaming.sales import board as sales
from transactions.ledger import board as ledger

AT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(autouse=True)
def server(own_valkey: Callable[[], Engine], settings: Settings) -> Engine:
    engine = own_valkey()
    settings.REDIS_URL = engine.variables()["REDIS_URL"]
    settings.CONSUMER_HEALTH_SECONDS = 60.0
    return engine


def publish(name: str, pid: int = 1, at: datetime = AT, **values: Any) -> None:
    record = {"name": name, "host": "here", "pid": pid, "state": "running", "error": None}
    record |= {"started_at": AT, "beaten_at": at, "health": {}, "version": "1", "memory_bytes": 5}
    publish_health({**record, **values})


def named(name: str, before: dict[str, Any] | None = None) -> dict[str, Any]:
    (found,) = [each for each in consumers.facts(before or {}) if each["name"] == name]
    return found


def test_those_that_do_not_run_are_named() -> None:
    found = consumers.facts({})

    assert [each["name"] for each in found] == ["deliveries", "ledger", "orders", "prices", "sales"]
    assert {each["state"] for each in found} == {"not running"}


def test_sales_has_lag_and_rate_from_its_board() -> None:
    publish("sales", health={"instance": "a", "last_step_at": AT.isoformat(), "taken": 5})
    partitions = [{"partition": 0, "lag": 3}, {"partition": 1, "lag": None}]
    snapshot = {"group": "sales", "instance": "a", "host": "here", "pid": 1, "at": 1.0}
    sales.publish({**snapshot, "rate_in": 12.5, "refused": 2, "partitions": partitions})

    found = named("sales")

    assert (found["lag"], found["rate"], found["refused"]) == (3, 12.5, 2)
    assert found["says"] == [["instance", "a"], ["last step", AT.isoformat()], ["taken", "5"]]


def test_the_ledger_has_its_rate_from_its_board() -> None:
    publish("ledger")
    snapshot = {"group": "ledger", "instance": "a", "host": "here", "pid": 1, "at": 1.0}
    ledger.BOARD.publish({**snapshot, "rate": 7.0})

    assert named("ledger")["rate"] == 7.0


def test_others_have_a_rate_from_the_second_sample_on() -> None:
    publish("deliveries", health={"attempts": 100})
    first = named("deliveries")
    again = named("deliveries", {"consumers": [first]})
    publish("deliveries", at=AT.replace(second=15), health={"attempts": 150})
    second = named("deliveries", {"consumers": [again]})
    silent = named("deliveries", {"consumers": [second]})

    rates = [each["rate"] for each in (first, again, second, silent)]
    assert rates == [None, None, 5.0, 5.0]


def test_a_restarted_consumer_has_no_rate_of_the_one_before() -> None:
    publish("orders", pid=2, health={"decided": 5})
    before = {"name": "orders", "host": "here", "pid": 1, "count": 900, "counted_at": 1.0}

    assert named("orders", {"consumers": [before]})["rate"] is None


def test_consumers_are_processes_until_they_end() -> None:
    publish("sales", pid=1)
    publish("prices", pid=2, state="crashed")

    assert processes.facts({}) == [
        {
            "role": "sales",
            "host": "here",
            "pid": 1,
            "version": "1",
            "started_at": AT.timestamp(),
            "beaten_at": AT.timestamp(),
            "memory_bytes": 5,
        }
    ]

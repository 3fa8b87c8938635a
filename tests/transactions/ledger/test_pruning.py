"""Balances, runs, rejects and message ids go when their time is over."""

import time
from collections.abc import Callable
from typing import Any

import psycopg2
import pytest
from celery.schedules import crontab
from pytest_django import Settings

from config.celery import app
from transactions.ledger import pruning

DAY = 86_400


def run(connection: Any, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection, connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall()) if cursor.description else []


def minute(connection: Any, days: float, *, providers: int = 2, failure: str = "") -> None:
    """One of so many days ago."""
    at = "date_trunc('minute', now()) - make_interval(secs => %s)"
    run(
        connection,
        f"INSERT INTO stockroom_ledger.runs (minute, failure) VALUES ({at}, %s)",
        *(days * DAY, failure),
    )
    run(
        connection,
        "INSERT INTO stockroom_ledger.balances (minute, provider_id, key, balance)"
        f" SELECT {at}, n, n || '_P', 5 FROM generate_series(1, %s) n",
        *(days * DAY, providers),
    )


def ages(connection: Any, table: str, column: str) -> list[float]:
    """In days."""
    found = run(
        connection,
        f"SELECT extract(epoch FROM now() - {column}) FROM stockroom_ledger.{table}"
        f" ORDER BY {column}",
    )
    return [round(float(seconds) / DAY, 1) for (seconds,) in found]


def test_what_is_older_than_the_time_goes(connection: Any) -> None:
    for days in (9, 8, 7.5, 6.5, 0):
        minute(connection, days)
        run(
            connection,
            "INSERT INTO stockroom_ledger.rejects (rejected_at, reason, detail, body, body_bytes)"
            " VALUES (now() - make_interval(secs => %s), 'not_json', '', '', 0)",
            days * DAY,
        )
        run(
            connection,
            "INSERT INTO stockroom_ledger.reconciliations (at, seconds)"
            " VALUES (now() - make_interval(secs => %s), 1)",
            days * DAY,
        )
    assert pruning.prune(connection, 7 * DAY) == 3 * (2 + 1 + 1 + 1)
    assert ages(connection, "balances", "minute") == [6.5, 6.5, 0, 0]
    assert ages(connection, "runs", "minute") == [6.5, 0]
    assert ages(connection, "rejects", "rejected_at") == [6.5, 0]
    assert ages(connection, "reconciliations", "at") == [6.5, 0]


def test_it_goes_in_portions_and_ends_in_time(connection: Any) -> None:
    minute(connection, 8, providers=25)
    minute(connection, 0)
    assert pruning.prune(connection, 7 * DAY, until=0.0) == 0
    assert pruning.prune(connection, 7 * DAY, rows=10) == 26
    assert ages(connection, "balances", "minute") == [0, 0]


def test_the_last_written_minute_stays_however_old(connection: Any) -> None:
    """KeyDB is compared with it, and by its keys those of former providers are found."""
    minute(connection, 30)
    minute(connection, 20)
    minute(connection, 19, failure="KeyDB: away")
    minute(connection, 10, failure="KeyDB: away")
    pruning.prune(connection, 7 * DAY)
    assert ages(connection, "balances", "minute") == [20, 20, 10, 10]
    assert ages(connection, "runs", "minute") == [20]


def test_where_no_minute_was_ever_written_only_the_newest_stays(connection: Any) -> None:
    for days in (30, 20):
        minute(connection, days, failure="KeyDB: away")
    pruning.prune(connection, 7 * DAY)
    assert ages(connection, "balances", "minute") == [20, 20]


def test_the_last_reconciliation_stays(connection: Any) -> None:
    for days in (30, 20):
        run(
            connection,
            "INSERT INTO stockroom_ledger.reconciliations (at, seconds)"
            " VALUES (now() - make_interval(days => %s), 1)",
            days,
        )
    pruning.prune(connection, 7 * DAY)
    assert ages(connection, "reconciliations", "at") == [20]


def test_message_ids_are_known_for_an_hour_before_the_newest(connection: Any) -> None:
    for minutes in (200, 170, 150, 120):
        run(
            connection,
            "INSERT INTO stockroom_ledger.inbox VALUES (%s, now() - make_interval(mins => %s))",
            *(f"id-{minutes}", minutes),
        )
    assert pruning.prune(connection, 7 * DAY, rows=1) == 1
    assert run(connection, "SELECT message_id FROM stockroom_ledger.inbox ORDER BY 1") == [
        ("id-120",),
        ("id-150",),
        ("id-170",),
    ]


def test_it_prunes_by_the_setting(connection: Any, database_url: str, settings: Settings) -> None:
    settings.LEDGER_DATABASE_URL, settings.LEDGER_KEEP_DAYS = database_url, 2.0
    for days in (3, 1):
        minute(connection, days)
    pruning.purge(time.monotonic() + 60)
    assert ages(connection, "runs", "minute") == [1]


def test_it_says_where_no_consumer_ever_ran(
    connect: Callable[[], Any], database_url: str, settings: Settings
) -> None:
    settings.LEDGER_DATABASE_URL = database_url
    with pytest.raises(psycopg2.errors.UndefinedTable):
        pruning.purge(time.monotonic() + 60)


def test_beat_sends_the_comparison_to_a_queue_that_workers_take() -> None:
    entry = app.conf.beat_schedule["reconcile-ledger"]
    assert isinstance(entry["schedule"], crontab)
    app.loader.import_default_modules()  # as a worker does
    assert entry["task"] in app.tasks
    assert entry["options"]["queue"] == "default"

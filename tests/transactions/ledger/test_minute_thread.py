"""ledger.engine.minute_thread: minutes of a clock that a test sets, on real engines."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import psycopg2
import pytest

from tests.services.waiting import until
from tests.transactions.ledger.rolling import INSERT, NOON, Ledger
from tests.transactions.ledger.stage import make_tables
from transactions.ledger.engine import minute_thread, rollup, summing
from transactions.ledger.engine.minute_thread import MinuteThread


@pytest.fixture
def ledger(connection: Any, connect: Callable[[], Any], keydb_url: str) -> Iterator[Ledger]:
    """On the specification's tables, and an empty KeyDB."""
    make_tables(connection)
    made = Ledger(connect, keydb_url)
    yield made
    made.close()


def test_the_thread_does_not_end_without_a_word(
    ledger: Ledger, database_url: str, keydb_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever happens in it, its end is its host's crash, or it waits and says for what."""
    monkeypatch.setattr(minute_thread, "RETRY_SECONDS", 0.05)

    def broken(*_: object, **__: object) -> None:
        raise ArithmeticError("a bug")

    monkeypatch.setattr(summing, "add_up", broken)
    with pytest.raises(ArithmeticError):
        with MinuteThread(database_url, keydb_url) as thread:
            until(thread.check, 60)


def test_postgres_away_is_said(keydb_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minute_thread, "RETRY_SECONDS", 0.05)
    with MinuteThread("postgresql://nobody@127.0.0.1:1/none", keydb_url) as thread:
        until(lambda: "PostgreSQL" in thread.waiting_for, 60)


@pytest.fixture
def thread(ledger: Ledger, database_url: str, keydb_url: str) -> Iterator[MinuteThread]:
    """Half a minute before noon; ledger.clock is its clock."""
    ledger.clock.now = NOON - 30
    with MinuteThread(database_url, keydb_url, ledger.clock) as made:
        until(lambda: ledger.sql("SELECT * FROM stockroom_ledger.totals"), 60)
        yield made
        made.check()


def written(thread: MinuteThread, minute: int) -> rollup.Run:
    """How it went, as soon as it is over."""
    until(lambda: thread.last is not None and thread.last.minute == minute, 60)
    assert thread.last is not None
    return thread.last


def runs(ledger: Ledger) -> list[tuple[Any, ...]]:
    return ledger.sql(
        "SELECT extract(epoch FROM minute)::bigint, failure FROM stockroom_ledger.runs ORDER BY 1"
    )


def test_it_writes_each_minute(thread: MinuteThread, ledger: Ledger) -> None:
    ledger.clock.now = NOON + 0.01
    assert written(thread, NOON).failure == ""
    ledger.sql(INSERT, 1, 600)
    ledger.clock.now = NOON + 60.01
    assert written(thread, NOON + 60).failure == ""
    assert ledger.shown() == {"1_Visa": "1900", "2_Mastercard": "1800"}
    assert runs(ledger) == [(NOON, ""), (NOON + 60, "")]


@pytest.mark.parametrize("forward", [32.0, 61.5, 3600.0])
def test_a_clock_that_is_set_forward(thread: MinuteThread, ledger: Ledger, forward: float) -> None:
    """Or a process that stood still: that minute is left out, and told."""
    ledger.clock.now += forward
    rows = until(lambda: runs(ledger), 60)
    assert [minute for minute, _ in rows] == [NOON]
    assert "stood still, or the clock was set" in rows[0][1]
    assert ledger.shown() == {}
    following = int(ledger.clock.now // 60 + 1) * 60
    ledger.clock.now = following + 0.01
    assert written(thread, following).failure == ""
    assert ledger.shown() == ledger.right()


@pytest.mark.parametrize("back", [15.0, 31.0, 90.0, 86_400.0])
def test_a_clock_that_is_set_back(thread: MinuteThread, ledger: Ledger, back: float) -> None:
    """The minutes that it shows are written, also those that it has shown before."""
    ledger.clock.now = NOON + 0.01
    assert written(thread, NOON).failure == ""
    ledger.sql(INSERT, 1, 600)
    ledger.clock.now -= back
    again = int(ledger.clock.now // 60 + 1) * 60
    until(lambda: thread._due == again, 60)
    thread.last = None
    ledger.clock.now = again + 0.01
    assert written(thread, again).failure == ""
    assert ledger.shown() == {"1_Visa": "1900", "2_Mastercard": "1800"}
    ledger.minute = again
    assert ledger.kept() == {"1_Visa": 1900, "2_Mastercard": 1800}


def allow_connections(database_url: str, yes: bool) -> None:
    """Else those that are there end, and no others are let in."""
    server, _, name = database_url.rpartition("/")
    connection = psycopg2.connect(f"{server}/postgres")
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {yes}")
            if not yes:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
                    " AND application_name = 'stockroom-ledger-minute'",
                    [name],
                )
    finally:
        connection.close()


def test_postgres_is_away_for_a_moment_at_the_minute(
    thread: MinuteThread, ledger: Ledger, database_url: str
) -> None:
    ledger.sql(INSERT, 1, 600)
    allow_connections(database_url, False)
    ledger.clock.now = NOON + 0.01
    until(lambda: "not currently accepting connections" in thread.waiting_for, 60)
    ledger.clock.now = NOON + 0.9
    allow_connections(database_url, True)
    assert written(thread, NOON).failure == ""
    assert thread.waiting_for == ""
    assert ledger.shown() == {"1_Visa": "1900", "2_Mastercard": "1800"}


def test_postgres_is_away_over_the_minute(
    thread: MinuteThread, ledger: Ledger, database_url: str
) -> None:
    allow_connections(database_url, False)
    ledger.clock.now = NOON + 0.01
    until(lambda: "not currently accepting connections" in thread.waiting_for, 60)
    ledger.clock.now = NOON + 1.5
    allow_connections(database_url, True)
    rows = until(lambda: runs(ledger), 60)
    assert [minute for minute, _ in rows] == [NOON]
    assert "PostgreSQL: " in rows[0][1] and "not currently accepting connections" in rows[0][1]
    assert ledger.shown() == {}
    ledger.clock.now = NOON + 60.01
    assert written(thread, NOON + 60).failure == ""
    assert ledger.shown() == ledger.right()


def test_a_repair_that_comes_between_is_no_trouble(
    thread: MinuteThread,
    ledger: Ledger,
    connect: Callable[[], Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    repair = connect()
    repair.cursor().execute("UPDATE stockroom_ledger.totals SET total = total")
    ledger.sql(INSERT, 1, 600)
    # Until it has its snapshot, and waits to add that to the same total.
    until(lambda: ledger.sql("SELECT pid FROM pg_locks WHERE NOT granted"), 60)
    repair.commit()
    until(lambda: "added up once more" in caplog.text, 60)
    ledger.clock.now = NOON + 0.01
    assert written(thread, NOON).failure == ""
    assert ledger.shown() == ledger.right()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_table_that_goes_and_comes_is_said_once(
    thread: MinuteThread, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    ledger.sql("ALTER TABLE historical_transactions RENAME TO away")
    until(lambda: "historical_transactions" in thread.waiting_for, 60)
    ledger.sql("ALTER TABLE away RENAME TO historical_transactions")
    until(lambda: not thread.waiting_for, 60)
    ledger.clock.now = NOON + 0.01
    assert written(thread, NOON).failure == ""
    assert ledger.shown() == ledger.right()
    assert caplog.text.count("the balances wait for") == 1


def test_what_is_no_number_is_said(thread: MinuteThread, ledger: Ledger) -> None:
    ledger.sql("UPDATE initial_data SET initial_value = 'NaN' WHERE id = 1")
    ledger.clock.now = NOON + 0.01
    assert written(thread, NOON).unwritten == ("1_Visa",)
    until(lambda: "1_Visa" in thread.waiting_for, 60)
    ledger.sql("UPDATE initial_data SET initial_value = 0 WHERE id = 1")
    ledger.clock.now = NOON + 60.01
    assert written(thread, NOON + 60).unwritten == ()
    until(lambda: thread.waiting_for == "", 60)

"""transactions.ledger.engine.rollup where KeyDB is away, refuses or stands still: a real Valkey."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import redis

from config.services.engine import Engine
from tests.services import waiting
from tests.services.waiting import until
from tests.transactions.ledger.rolling import INSERT, NOON, Ledger
from tests.transactions.ledger.stage import make_tables
from transactions.ledger.engine import rollup


@pytest.fixture
def ledger(connection: Any, connect: Callable[[], Any], keydb_url: str) -> Iterator[Ledger]:
    """On the specification's tables, and an empty KeyDB."""
    make_tables(connection)
    made = Ledger(connect, keydb_url)
    yield made
    made.close()


@pytest.fixture
def away(
    connection: Any, connect: Callable[[], Any], own_valkey: Callable[[], Engine]
) -> Iterator[tuple[Ledger, Engine]]:
    """With a KeyDB of the test's own."""
    make_tables(connection)
    engine = own_valkey()
    made = Ledger(connect, engine.variables()["KEYDB_URL"])
    yield made, engine
    made.close()


def test_keydb_away_until_the_tolerance_ends(away: tuple[Ledger, Engine]) -> None:
    ledger, engine = away
    ledger.write()
    ledger.sql("UPDATE initial_data SET provider_name = 'Visa Inc' WHERE id = 1")
    ledger.sql(INSERT, 2, 1)
    engine.kill()
    looks = iter(range(100))
    ledger.rollup._clock = lambda: ledger.minute + 60 + next(looks) * 0.2
    ledger.minute += 60
    run = ledger.rollup.write(ledger.minute)
    assert run.failure
    assert ledger.sql(
        "SELECT failure, written_at FROM stockroom_ledger.runs ORDER BY minute DESC LIMIT 1"
    ) == [(run.failure, None)]

    engine.start()
    ledger.rollup._clock = ledger.clock
    with suppress(redis.RedisError):  # the old connection
        ledger.keydb.ping()
    ledger.rollup.warm_up()
    run = ledger.write()
    assert run.failure == ""
    # The name of before was to be deleted in the minute that failed.
    assert ledger.shown() == {"1_Visa Inc": "1300", "2_Mastercard": "1801"}


def test_keydb_away_for_a_moment(away: tuple[Ledger, Engine]) -> None:
    ledger, engine = away
    engine.kill()
    looks = 0

    def clock() -> float:
        nonlocal looks
        looks += 1
        if looks == 5:
            engine.start()
        return NOON + 60 + looks / 100

    ledger.rollup._clock = clock
    run = ledger.rollup.write(NOON + 60)
    assert looks > 5
    assert run.failure == ""
    assert ledger.shown() == {"1_Visa": "1300", "2_Mastercard": "1800"}


def test_keydb_that_refuses_writes(away: tuple[Ledger, Engine]) -> None:
    """All of a minute's balances, or none."""
    ledger, _ = away
    ledger.write()
    ledger.sql(INSERT, 1, 600)
    ledger.sql(INSERT, 2, 600)
    ledger.keydb.config_set("maxmemory", "1")
    looks = iter(range(100))
    ledger.rollup._clock = lambda: NOON + 120 + next(looks) * 0.2
    run = ledger.rollup.write(NOON + 120)
    assert "OOM" in run.failure or "memory" in run.failure
    ledger.keydb.config_set("maxmemory", "0")
    assert ledger.shown() == {"1_Visa": "1300", "2_Mastercard": "1800"}


def freeze(engine: Engine) -> None:
    assert engine.pid is not None
    waiting.freeze(engine.pid)


def go_on(engine: Engine) -> None:
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGCONT)


@pytest.fixture
def frozen(away: tuple[Ledger, Engine]) -> Iterator[tuple[Ledger, Engine]]:
    """With balances written at noon; what stands still goes on at the end."""
    ledger, engine = away
    ledger.write()
    ledger.sql(INSERT, 1, 600)
    yield ledger, engine
    go_on(engine)


def has_done_all(ledger: Ledger) -> bool:
    """Whether nothing is left of what was sent while it stood still."""
    with suppress(redis.RedisError):
        return not ledger.keydb.exists(rollup.LEASE) and len(ledger.keydb.client_list()) == 1
    return False


def test_keydb_stands_still_until_the_tolerance_ends(frozen: tuple[Ledger, Engine]) -> None:
    """What was sent to it meanwhile must not be done when it goes on."""
    ledger, engine = frozen
    freeze(engine)
    looks = iter(range(100))
    ledger.rollup._clock = lambda: NOON + 120 + next(looks) * 0.1
    run = ledger.rollup.write(NOON + 120)
    assert run.failure.startswith("KeyDB: ")
    assert next(looks) > 6  # tried again
    go_on(engine)
    ledger._client.close()
    until(lambda: has_done_all(ledger), 60)
    assert ledger.shown() == {"1_Visa": "1300", "2_Mastercard": "1800"}


def test_keydb_stands_still_right_before_it_writes(frozen: tuple[Ledger, Engine]) -> None:
    """With the balances on their way."""
    ledger, engine = frozen
    now = NOON + 120.9  # so that the lease is over when its client gives up

    def clock() -> float:
        nonlocal now
        if now < NOON + 120.95 and has_lease():
            freeze(engine)
            now = NOON + 120.99
        return now

    def has_lease() -> bool:
        with suppress(redis.RedisError):
            return bool(ledger.keydb.exists(rollup.LEASE))
        return False

    ledger.rollup._clock = clock
    assert ledger.rollup.write(NOON + 120).failure.startswith("KeyDB: ")
    go_on(engine)
    ledger._client.close()
    until(lambda: has_done_all(ledger), 60)
    assert ledger.shown() == {"1_Visa": "1300", "2_Mastercard": "1800"}


def test_keydb_stands_still_for_a_moment(frozen: tuple[Ledger, Engine]) -> None:
    ledger, engine = frozen
    freeze(engine)
    looks = 0

    def clock() -> float:
        nonlocal looks
        looks += 1
        if looks == 8:
            go_on(engine)
        return NOON + 120 + looks / 100

    ledger.rollup._clock = clock
    assert ledger.rollup.write(NOON + 120).failure == ""
    assert looks > 8
    assert ledger.shown() == {"1_Visa": "1900", "2_Mastercard": "1800"}


@pytest.mark.parametrize("late", [1.01, 2.0, 300.0])
def test_balances_are_never_written_late(ledger: Ledger, late: float) -> None:
    """The process stood still after it had begun, or the sums took long."""
    ledger.write()
    ledger.sql(INSERT, 1, 600)
    run = ledger.write(late)
    assert run.failure
    assert ledger.shown() == {"1_Visa": "1300", "2_Mastercard": "1800"}


def test_an_answer_that_comes_too_late_is_a_failure(ledger: Ledger) -> None:
    """What KeyDB was given in time may be there too late: that is said."""
    times = [0.1, 0.2, 0.3]
    ledger.rollup._clock = lambda: NOON + 60 + (times.pop(0) if len(times) else 1.5)
    run = ledger.rollup.write(NOON + 60)
    assert run.lateness_seconds <= 1.0 or run.failure

"""The ledger's process while PostgreSQL or KeyDB, or what is in them, is at fault."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import redis

from config.services.engine import Engine
from tests.services.waiting import freeze, until
from tests.transactions.ledger.faults import (
    SAMPLE,
    assert_each_once,
    rows,
    sent_bodies,
    wait_for_health,
)
from tests.transactions.ledger.stage import (
    LedgerStage,
    body,
    drop_database,
    fresh_database,
    make_tables,
)

FULL = 'could not extend file "base/16384/2619": No space left on device'
# Counts the attempts outside of their transactions.
DISK_FULL = f"""
CREATE SEQUENCE attempts;
CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM nextval('attempts');
    RAISE '{FULL}' USING ERRCODE = '53100';
END $$;
CREATE TRIGGER disk_full BEFORE INSERT ON historical_transactions
FOR EACH STATEMENT EXECUTE FUNCTION disk_full();
"""
ATTEMPTS = "SELECT last_value FROM attempts"
SESSIONS = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND starts_with(application_name, 'stockroom-ledger-')
ORDER BY pid
"""


@pytest.mark.parametrize(
    "arguments",
    [{}, {"x-queue-type": "quorum", "x-delivery-limit": 1}],
    ids=["classic", "quorum"],
)
def test_a_full_disk(sample: LedgerStage, arguments: dict[str, Any]) -> None:
    """It is said once however often it is tried, and the minute's thread is left alone. What has
    arrived is not given back: a quorum queue would drop it."""
    sample.queue.delete()
    sample.queue.declare(arguments=arguments)
    sample.query(DISK_FULL)
    process = sample.start()
    ids = [f"id{n}" if n % 2 else None for n in range(200)]
    sample.queue.send(*sent_bodies(200), ids=ids)
    wait_for_health(process, "No space left on device")
    sessions = until(lambda: len(found := sample.query(SESSIONS)) == 2 and found, 60)
    until(lambda: sample.query(ATTEMPTS)[0][0] >= 4, 60)
    assert rows(sample) == SAMPLE
    assert sample.query(SESSIONS) == sessions
    assert process.log.count("ledger waits for PostgreSQL") == 1, process.log
    assert "ledger goes on" not in process.log
    sample.query("DROP TRIGGER disk_full ON historical_transactions")
    sample.wait_for_rows(SAMPLE + 200)
    process.says("ledger goes on")
    assert_each_once(sample, 200)
    assert sample.query("SELECT count(*) FROM stockroom_ledger.rejects") == [(0,)]
    assert "Traceback" not in process.log


def test_postgres_is_restarted_and_killed_among_messages_without_ids(
    own_postgres: Callable[[], Engine], rabbitmq: Engine, keydb_url: str, tmp_path: Path
) -> None:
    postgres = own_postgres()
    url = fresh_database(postgres.variables()["DATABASE_URL"])
    stage = LedgerStage(url, rabbitmq.variables()["AMQP_URL"], keydb_url, tmp_path)
    try:
        with_tables(url)
        stage.queue.declare()
        process = stage.start(LEDGER_BATCH="20")
        for number, end in enumerate((postgres.stop, postgres.kill)):
            before = SAMPLE + 1000 * number
            stage.queue.send(*sent_bodies(1000, 1000 * number))
            until(lambda: rows(stage) > before + 100, 60)  # noqa: B023
            end()
            process.says("ledger waits for PostgreSQL", number + 1)
            postgres.start()
            stage.wait_for_rows(before + 1000)
        assert_each_once(stage, 2000)
        assert "Traceback" not in process.log
        process.send(signal.SIGTERM)
        assert process.exit_code() == 0
    finally:
        stage.close()


def with_tables(url: str) -> None:
    connection = psycopg2.connect(url)
    make_tables(connection)
    connection.close()


# KeyDB at the minute


@pytest.fixture
def stages(
    own_valkey: Callable[[], Engine], postgres_engine: Engine, rabbitmq: Engine, tmp_path: Path
) -> Iterator[dict[str, tuple[LedgerStage, Engine]]]:
    """Two ledgers that meet the same minute, each with a KeyDB and a database of its own."""
    server = postgres_engine.variables()["DATABASE_URL"]
    made = {}
    for name in ("full", "frozen"):
        url = fresh_database(server)
        with_tables(url)
        keydb = own_valkey()
        (tmp_path / name).mkdir()
        addresses = rabbitmq.variables()["AMQP_URL"], keydb.variables()["KEYDB_URL"]
        made[name] = LedgerStage(url, *addresses, tmp_path / name), keydb
    yield made
    for stage, _ in made.values():
        stage.close()
        drop_database(stage.database_url, server)


def test_keydb_is_full_or_frozen_over_a_minute(
    stages: dict[str, tuple[LedgerStage, Engine]],
) -> None:
    """The run tells why, the next minute is right."""
    (full, _), (frozen, keydb) = stages["full"], stages["frozen"]
    pid = keydb.pid
    assert pid is not None
    for stage in (full, frozen):
        stage.queue.declare()
        stage.start()
        stage.queue.send(body())
        stage.wait_for_rows(SAMPLE + 1)
    full.keydb.config_set("maxmemory", "1")
    for stage in (full, frozen):
        stage.keydb.flushdb()  # a minute may have passed since the start
    freeze(pid)
    try:
        found = at_next_minute(full, frozen, why="KeyDB: ")
    finally:
        os.kill(pid, signal.SIGCONT)
    assert found[0][2].startswith("KeyDB: "), found
    assert "maxmemory" in found[0][2]
    assert found[1][2].startswith("KeyDB: Timeout"), found
    full.keydb.config_set("maxmemory", "0")
    assert not any(key.endswith("Visa") for key in [*full.balances(), *frozen.balances()])
    for stage in (full, frozen):
        stage.queue.send(body(2, 5))
        stage.wait_for_rows(SAMPLE + 2)
    for stage, (_, lateness, failure) in zip(
        (full, frozen), at_next_minute(full, frozen, why=""), strict=True
    ):
        assert failure == "", stage.logs()
        assert 0 <= lateness <= 1
        assert stage.balances() == {"1_Visa": "1900", "2_Mastercard": "1805"}
        assert stage.balances() == stage.right_balances()
        assert "Traceback" not in stage.logs()


def at_next_minute(*stages: LedgerStage, why: str) -> list[tuple[Any, float, str]]:
    """What each of them keeps of the next minute that fails for `why`; "": that does not fail."""
    found: dict[int, tuple[Any, float, str]] = {}

    def wait(number: int) -> None:
        found[number] = stages[number].wait_for_minute_that(
            lambda failure: failure.startswith(why) if why else not failure
        )

    threads = [threading.Thread(target=wait, args=(number,)) for number in range(len(stages))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[number] for number in range(len(stages))]


# Tables and rights that come later


def test_tables_and_a_provider_that_come_later(
    stage: LedgerStage, connect: Callable[[], Any]
) -> None:
    stage.queue.declare()
    stage.queue.send(*sent_bodies(10), body(3, 10))
    process = stage.start()
    wait_for_health(process, "initial_data is missing")
    assert stage.queue.waiting() == 11
    make_tables(connect())
    stage.wait_for_rows(SAMPLE + 10)
    until(lambda: stage.query("SELECT 1 FROM stockroom_ledger.rejects"), 60)
    stage.query("INSERT INTO initial_data (provider_name, initial_value) VALUES ('Café', 0)")
    stage.queue.send(body(3, 10))
    stage.wait_for_rows(SAMPLE + 11)
    assert_each_once(stage, 11)
    assert stage.transactions()[-1] == (3, 10)
    kept = stage.query("SELECT reason, body FROM stockroom_ledger.rejects")
    assert [(reason, bytes(raw)) for reason, raw in kept] == [("unknown_provider", body(3, 10))]
    wait_for_health(process, None)


@pytest.mark.parametrize(
    ("variable", "words"),
    [
        ("AMQP_URL", "RabbitMQ: .*ACCESS_REFUSED"),
        ("LEDGER_DATABASE_URL", "PostgreSQL: .*password authentication failed"),
    ],
)
def test_a_wrong_password(sample: LedgerStage, variable: str, words: str) -> None:
    """It waits, says it once, and doesn't tell the password."""
    url = sample.queue.url if variable == "AMQP_URL" else sample.database_url
    scheme, _, rest = url.partition("://")
    user, _, _ = rest.partition(":")
    process = sample.start(**{variable: f"{scheme}://{user}:wr0ngpass@{rest.partition('@')[2]}"})
    first, second = words.split(".*")
    process.says(f"ledger waits for {first}")
    wait_for_health(process, second)
    process.send(signal.SIGTERM)
    assert process.exit_code() == 0
    assert process.log.count("ledger waits for") == 1
    assert "Traceback" not in process.log
    assert "wr0ngpass" not in process.log


def test_a_schema_that_may_not_be_made(sample: LedgerStage) -> None:
    name = sample.database_url.rpartition("/")[2]
    sample.query(f"REVOKE CREATE ON DATABASE {name} FROM stockroom")
    process = sample.start()
    sample.queue.send(*sent_bodies(10))
    wait_for_health(process, f"permission denied for database {name}")
    assert "Traceback" not in process.log
    sample.query(f"GRANT CREATE ON DATABASE {name} TO stockroom")
    sample.wait_for_rows(SAMPLE + 10)
    wait_for_health(process, None)
    assert process.log.count("ledger waits for PostgreSQL") == 1, process.log


def test_keydb_is_never_a_reason_to_wait_with_messages(sample: LedgerStage) -> None:
    """It is away from the start."""
    address = redis.Redis.from_url(sample._environment["KEYDB_URL"]).connection_pool
    port = address.connection_kwargs["port"]
    sample.start(KEYDB_URL=f"redis://127.0.0.1:{1 if port != 1 else 2}/0")
    sample.queue.send(*sent_bodies(20))
    sample.wait_for_rows(SAMPLE + 20)
    assert_each_once(sample, 20)

"""The ledger as it runs: real RabbitMQ, PostgreSQL and Valkey, `manage.py run_consumer ledger`."""

import random
import signal
import socket
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from pika.exceptions import AMQPChannelError

from config.services.engine import Engine
from tests.services.waiting import until
from tests.transactions.ledger import oracle
from tests.transactions.ledger.stage import (
    LedgerStage,
    Queue,
    body,
    drop_database,
    fresh_database,
    make_tables,
)
from transactions.ledger.engine import intake, tables
from transactions.ledger.engine.intake import Held, Intake, NotInserted

SEED = 20261122
SAMPLE = len(oracle.SAMPLE_TRANSACTIONS)


@pytest.fixture
def sample(stage: LedgerStage, connect: Callable[[], Any]) -> LedgerStage:
    """With the tables and rows of the specification."""
    make_tables(connect())
    return stage


def sent_bodies(count: int, start: int = 0) -> list[bytes]:
    """All different, so that a lost one can't be hidden by one that came twice."""
    return [body(1 + n % 2, n) for n in range(start, start + count)]


def assert_each_once(stage: LedgerStage, bodies: list[bytes]) -> None:
    found = stage.transactions()[SAMPLE:]
    assert sorted(int(value) for _, value in found) == list(range(len(bodies))), stage.logs()


def test_the_example_of_the_specification_at_a_real_minute(
    stage: LedgerStage, connect: Callable[[], Any]
) -> None:
    """Started before anything is there; the producer makes queue and tables, others insert too."""
    process = stage.start()
    process.says("initial_data is missing")
    make_tables(connect())
    stage.queue.declare()
    stage.queue.send(b'{\n"id": 1,\n"value": 600\n}')
    stage.wait_for_rows(4)
    assert stage.query(
        "SELECT id, provider_id, transaction_value FROM historical_transactions ORDER BY id"
    ) == [*oracle.SAMPLE_TRANSACTIONS, (4, 1, 600)]
    _, lateness, failure = stage.wait_for_minute_that(lambda failure: not failure)
    assert failure == "", stage.logs()
    assert 0 <= lateness <= 1
    assert stage.balances() == {"1_Visa": "1900", "2_Mastercard": "1800"}
    process.send(signal.SIGTERM)
    assert process.exit_code() == 0


def test_killed_again_and_again_while_messages_without_ids_arrive(sample: LedgerStage) -> None:
    rng = random.Random(SEED)
    bodies = sent_bodies(4000)
    sample.queue.declare()
    process = sample.start(LEDGER_BATCH="50")
    sent = kills = 0
    while sent < len(bodies):
        portion = bodies[sent : sent + rng.randrange(100, 900)]
        sample.queue.send(*portion)
        sent += len(portion)
        reached = SAMPLE + rng.randrange(sent - len(portion), sent)
        until(lambda: rows(sample) > reached, 60)  # noqa: B023
        sample.kill(process)
        kills += 1
        process = sample.start(LEDGER_BATCH="50")
    sample.wait_for_rows(SAMPLE + len(bodies))
    assert kills >= 4
    assert_each_once(sample, bodies)


def rows(stage: LedgerStage) -> int:
    return int(stage.query("SELECT count(*) FROM historical_transactions")[0][0])


def test_equal_messages_and_kills(sample: LedgerStage) -> None:
    """The specification's producer says the same all the time."""
    sample.queue.declare()
    for number in range(5):
        process = sample.start(LEDGER_BATCH="2")
        sample.queue.send(*9 * [body()])
        until(lambda: rows(sample) > SAMPLE + 9 * number + 3, 60)  # noqa: B023
        sample.kill(process)
    sample.start(LEDGER_BATCH="2")
    sample.wait_for_rows(SAMPLE + 45)
    assert sample.transactions()[SAMPLE:] == 45 * [(1, 600)]


def test_messages_that_come_one_at_a_time(sample: LedgerStage) -> None:
    """Each receipt is there before its message."""
    sample.queue.declare()
    process = sample.start()
    until(lambda: sample.queue.consumers() == 1, 60)
    for number in range(3):
        sample.queue.send(*sent_bodies(1, number))
        sample.wait_for_rows(SAMPLE + number + 1)
    until(lambda: sample.queue.waiting() == 0, 60)
    assert_each_once(sample, sent_bodies(3))
    assert "unknown delivery tag" not in process.log


def test_two_instances(sample: LedgerStage) -> None:
    """One waits until the other has gone."""
    first = sample.start()
    sample.queue.declare()
    sample.queue.send(*sent_bodies(10))
    sample.wait_for_rows(SAMPLE + 10)
    second = sample.start()
    second.says("another instance leads")
    sample.queue.send(*sent_bodies(10, 10))
    sample.wait_for_rows(SAMPLE + 20)
    sample.kill(first)
    second.says("ledger goes on")
    sample.queue.send(*sent_bodies(10, 20))
    sample.wait_for_rows(SAMPLE + 30)
    assert_each_once(sample, sent_bodies(30))


def test_sigterm_drains(sample: LedgerStage) -> None:
    sample.queue.declare()
    bodies = sent_bodies(3000)
    sample.queue.send(*bodies)
    process = sample.start(LEDGER_BATCH="20")
    until(lambda: rows(sample) > SAMPLE + 200, 60)
    process.send(signal.SIGTERM)
    assert process.exit_code() == 0
    assert rows(sample) > SAMPLE + 200
    # The broker gives back what it held as soon as it finds the connection closed.
    until(lambda: rows(sample) - SAMPLE + sample.queue.waiting() == len(bodies), 60)
    sample.start()
    sample.wait_for_rows(SAMPLE + len(bodies))
    assert_each_once(sample, bodies)


def test_rejects_and_good_ones_with_ids(sample: LedgerStage) -> None:
    sample.queue.declare()
    sample.start()
    bad = [b"", b"\xff", b"[]", body(9), body(1, "NaN"), body(note="x" * 100_000)]
    sample.queue.send(*bad, body(1, "0.1"), body(1, "0.1"), ids=[*"abcdefgg"])
    sample.wait_for_rows(SAMPLE + 1)
    kept = sample.query("SELECT body, message_id FROM stockroom_ledger.rejects ORDER BY id")
    assert [(bytes(raw), id_) for raw, id_ in kept] == [
        (each[: 64 * 1024], id_) for each, id_ in zip(bad, "abcdef", strict=True)
    ]


@pytest.mark.parametrize(
    "options",
    [
        {"arguments": {"x-queue-type": "quorum"}},
        {"arguments": {"x-max-priority": 5}},
        {"durable": False},
        {"auto_delete": True},
    ],
    ids=["quorum", "priorities", "transient", "auto_delete"],
)
def test_a_queue_of_another_kind(sample: LedgerStage, options: dict[str, Any]) -> None:
    sample.queue.declare(**options)
    process = sample.start()
    process.says("of another kind")
    bodies = sent_bodies(50)
    sample.queue.send(*bodies)
    sample.wait_for_rows(SAMPLE + 50)
    assert_each_once(sample, bodies)


def test_a_queue_that_is_deleted_and_made_anew(sample: LedgerStage) -> None:
    sample.queue.declare()
    process = sample.start()
    sample.queue.send(*sent_bodies(1))
    sample.wait_for_rows(SAMPLE + 1)
    sample.queue.delete()
    process.says("ledger waits for RabbitMQ")
    sample.queue.declare()
    sample.queue.send(*sent_bodies(1, 1))
    sample.wait_for_rows(SAMPLE + 2)
    assert_each_once(sample, sent_bodies(2))


# One intake in this process


@pytest.fixture
def intakes(sample: LedgerStage, connect: Callable[[], Any]) -> Iterator[Callable[..., Any]]:
    """`intakes(**options)`: once there is none other, one whose `cut` ends it as SIGKILL would."""
    made: list[Any] = []
    tables.make_ours(connect())
    sample.queue.declare()

    def make(**options: Any) -> Any:
        connection = intake.connect(sample.queue.url)
        made.append(connection)

        def intake_of(database: Any) -> Intake | None:
            try:
                return intake_on(connection, sample, database, **options)
            except Held:  # the one before is not gone yet
                return None

        database = connect()
        found = until(lambda: intake_of(database), 60)
        found.cut = lambda: cut(connection)  # type: ignore[attr-defined]
        return found

    yield make
    for connection in made:
        cut(connection)


def intake_on(connection: Any, stage: LedgerStage, database: Any, **options: Any) -> Intake:
    channel, _ = intake.declare(connection, stage.queue.name)
    return Intake(
        *(channel, stage.queue.name, database),
        connect=lambda: intake.connect(stage.queue.url),
        **options,
    )


def cut(connection: Any) -> None:
    """Its socket is closed without a word."""
    with suppress(OSError, AttributeError):
        connection._impl._transport._sock.shutdown(socket.SHUT_RDWR)


def work_off(stage: LedgerStage, session: Intake, count: int) -> None:
    until(lambda: (session.step() and None) or rows(stage) >= SAMPLE + count, 60)


def test_a_look_alike_that_was_delivered_before_the_kill_is_not_lost(
    sample: LedgerStage, intakes: Callable[..., Any]
) -> None:
    session = intakes()
    sample.queue.send(body())
    work_off(sample, session, 1)
    sample.queue.send(body())
    until(lambda: sample.queue.waiting() == 0, 60)  # it is on its way to the client
    session.cut()
    session = intakes()
    work_off(sample, session, 2)
    for _ in range(30):
        session.step()
    assert rows(sample) == SAMPLE + 2


def test_what_a_consumer_without_a_sign_of_life_holds_is_waited_for(
    sample: LedgerStage,
    intakes: Callable[..., Any],
    connect: Callable[[], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has inserted its batch and is gone before the acknowledgement, and nobody knows yet."""
    session = intakes()
    sample.queue.send(body(1, 1), body(1, 2))
    monkeypatch.setattr(Intake, "_acknowledge", frozen)
    with pytest.raises(Frozen):
        work_off(sample, session, 3)
    monkeypatch.undo()
    assert rows(sample) == SAMPLE + 2
    sample.queue.send(body(1, 3))
    other = intake.connect(sample.queue.url)
    with pytest.raises(Held):
        intake_on(other, sample, connect())
    cut(other)
    session.cut()
    session = intakes()
    work_off(sample, session, 3)
    for _ in range(30):
        session.step()
    assert sorted(int(value) for _, value in sample.transactions()[SAMPLE:]) == [1, 2, 3]


def test_large_bodies_are_not_held_and_their_batch_is_known_again(
    sample: LedgerStage, intakes: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """pika collects them while it waits for an answer; killed before the acknowledgement."""
    count, large = 8, 5 * 1024 * 1024 * b"x"
    session = intakes()
    channel = session._channel
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        sample.queue.send(*count * [large])
        until(
            lambda: (
                channel.queue_declare(sample.queue.name, passive=True)
                and len(channel._pending_events) == count
            ),
            60,
        )
        now, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert now - before < 2 * count * 64 * 1024
    monkeypatch.setattr(Intake, "_acknowledge", frozen)
    with pytest.raises(Frozen):
        work_off(sample, session, 1)
    monkeypatch.undo()
    session.cut()
    session = intakes()
    until(lambda: (session.step() and None) or session.idle, 60)
    assert sample.queue.waiting() == 0
    kept = sample.query("SELECT body_bytes, length(body) FROM stockroom_ledger.rejects")
    assert kept == count * [(len(large), 64 * 1024)]


def test_what_postgres_refuses_stays_with_the_session_that_tries_again(
    sample: LedgerStage, intakes: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not come back, unless RabbitMQ would soon take it back by itself."""
    sample.query("ALTER TABLE historical_transactions ALTER id SET DEFAULT 1")
    sample.query("DROP SEQUENCE historical_transactions_id_seq")
    session = intakes()
    sample.queue.send(*sent_bodies(2))
    for _ in range(3):
        with pytest.raises(NotInserted, match="SELECT setval"):
            work_off(sample, session, 2)
    with monkeypatch.context() as patched:
        patched.setattr(intake, "MOST_UNACKNOWLEDGED_SECONDS", 0.0)
        with pytest.raises(AMQPChannelError, match="held for long"):
            work_off(sample, session, 2)
    sample.query("CREATE SEQUENCE others START 100")
    sample.query("ALTER TABLE historical_transactions ALTER id SET DEFAULT nextval('others')")
    work_off(sample, session, 2)
    assert_each_once(sample, sent_bodies(2))
    until(lambda: (session.step() and None) or session.idle, 60)
    assert rows(sample) == SAMPLE + 2


class Frozen(Exception):
    """The process stands still."""


def frozen(*_: object) -> None:
    raise Frozen


# Engines that are killed


@pytest.fixture
def own_stage(
    own_postgres: Callable[[], Engine],
    own_rabbitmq: Callable[[], Engine],
    keydb_url: str,
    tmp_path: Path,
) -> Iterator[tuple[LedgerStage, Engine, Engine]]:
    """With a PostgreSQL and a RabbitMQ of the test's own, and the specification's tables."""
    postgres, rabbitmq = own_postgres(), own_rabbitmq()
    server = postgres.variables()["DATABASE_URL"]
    url = fresh_database(server)
    made = LedgerStage(url, rabbitmq.variables()["AMQP_URL"], keydb_url, tmp_path)
    made.query("SELECT 1")
    connection = tables_of(url)
    connection.close()
    yield made, postgres, rabbitmq
    made.close()
    drop_database(url, server)


def tables_of(url: str) -> Any:
    connection = psycopg2.connect(url)
    make_tables(connection)
    return connection


def test_postgres_and_rabbitmq_are_killed_and_started(
    own_stage: tuple[LedgerStage, Engine, Engine],
) -> None:
    """Acknowledgements that the broker forgot with its death are not asked for twice."""
    stage, postgres, rabbitmq = own_stage
    stage.queue.declare()
    process = stage.start(LEDGER_BATCH="50")
    stage.queue.send(*sent_bodies(2000))
    until(lambda: rows(stage) > SAMPLE + 300, 60)
    postgres.kill()
    process.says("ledger waits for PostgreSQL")
    postgres.start()
    stage.wait_for_rows(SAMPLE + 2000)
    assert_each_once(stage, sent_bodies(2000))

    stage.queue.send(*sent_bodies(100, 2000))
    stage.wait_for_rows(SAMPLE + 2100)
    rabbitmq.stop()
    process.says("ledger waits for RabbitMQ")
    rabbitmq.start()
    stage.queue.close()
    stage.queue.send(*sent_bodies(100, 2100))
    stage.wait_for_rows(SAMPLE + 2200)
    assert_each_once(stage, sent_bodies(2200))
    process.send(signal.SIGTERM)
    assert process.exit_code() == 0


def test_marks_of_what_was_delivered_before(rabbitmq: Engine) -> None:
    """In order and marked: the ledger relies on it."""
    queue = Queue(rabbitmq.variables()["AMQP_URL"], "marks-of-a-connection")
    try:
        queue.declare()
        queue.send(b"1", b"2")
        method, _, _ = queue.channel().basic_get(queue.name)
        assert not method.redelivered
        cut(queue._connection)
        queue._connection = None
        until(lambda: queue.waiting() == 2, 60)
        found = [queue.channel().basic_get(queue.name) for _ in range(2)]
        assert [(method.redelivered, raw) for method, _, raw in found] == [
            (True, b"1"),
            (False, b"2"),
        ]
        queue.delete()
    finally:
        queue.close()

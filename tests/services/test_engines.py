"""Each engine does its work, survives SIGKILL on the same address, and listens on loopback only."""

import os
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import pika
import psutil
import psycopg2
import psycopg2.extensions
import pytest
import redis
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.structs import TopicPartition

from config.services.engine import Engine, EngineError
from streaming.kafka_log.discarding import discard
from tests.engines import KEY
from tests.services.waiting import alive, until


@contextmanager
def connect(engine: Engine) -> Iterator[psycopg2.extensions.cursor]:
    connection = psycopg2.connect(engine.variables()["DATABASE_URL"])
    connection.autocommit = True
    try:
        yield connection.cursor()
    finally:
        connection.close()


def channel(engine: Engine) -> pika.adapters.blocking_connection.BlockingChannel:
    opened = pika.BlockingConnection(pika.URLParameters(engine.variables()["AMQP_URL"])).channel()
    opened.confirm_delivery()
    return opened


def consume(engine: Engine, topic: str) -> list[bytes]:
    """Values in the topic of one partition that a reader of committed records sees first."""
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=engine.variables()["KAFKA_BOOTSTRAP_SERVERS"],
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    try:
        found = until(lambda: consumer.poll(timeout_ms=500))
        return [record.value for records in found.values() for record in records]
    finally:
        consumer.close()


def test_postgres_folds_case_of_all_letters_and_has_trigrams(postgres_engine: Engine) -> None:
    with connect(postgres_engine) as cursor:
        cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        cursor.execute("SELECT lower('ÉßΣЖ'), cardinality(show_trgm('ÉÉ')), similarity('é', 'É')")
        assert cursor.fetchone() == ("éßσж", 3, 1.0)


def test_postgres_role_is_no_superuser_but_makes_databases(postgres_engine: Engine) -> None:
    with connect(postgres_engine) as cursor:
        cursor.execute("SELECT rolsuper, rolcreatedb FROM pg_roles WHERE rolname = current_user")
        assert cursor.fetchone() == (False, True)


def test_postgres_refuses_a_wrong_password(postgres_engine: Engine) -> None:
    url = postgres_engine.variables()["DATABASE_URL"]
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(url.replace(":", ":x", 2).replace("postgresql:x", "postgresql:"))


def test_postgres_logs_what_failed_without_its_values(postgres_engine: Engine) -> None:
    with connect(postgres_engine) as cursor:
        cursor.execute("CREATE TEMPORARY TABLE logged (word text CONSTRAINT logged_once UNIQUE)")
        cursor.execute("INSERT INTO logged VALUES ('confidential-7')")
        with pytest.raises(psycopg2.errors.UniqueViolation, match="confidential-7"):
            cursor.execute("INSERT INTO logged VALUES ('confidential-7')")
    log = until(
        lambda: (text := postgres_engine.log_path.read_text()) and "logged_once" in text and text
    )
    assert "confidential-7" not in log


def test_postgres_keeps_committed_rows_through_sigkill(
    own_postgres: Callable[[], Engine],
) -> None:
    engine = own_postgres()
    with connect(engine) as cursor:
        cursor.execute("CREATE TABLE kept (id int)")
        cursor.execute("INSERT INTO kept SELECT generate_series(1, 1000)")
        address = engine.variables()
        engine.kill()
        with pytest.raises(psycopg2.OperationalError):
            cursor.execute("SELECT 1")
    assert not engine.running
    engine.start()
    assert engine.variables() == address
    with connect(engine) as cursor:
        cursor.execute("SELECT count(*) FROM kept")
        assert cursor.fetchone() == (1000,)


def test_postgres_starts_over_a_stale_pid_file(own_postgres: Callable[[], Engine]) -> None:
    engine = own_postgres()
    engine.stop()
    # After a power cut the number may belong to anything, here to this test.
    stale = engine.data_dir / "postmaster.pid"
    stale.write_text(f"{os.getpid()}\n{engine.data_dir}\n0\n5432\n\n127.0.0.1\n1 1\nready\n")
    engine.start()
    with connect(engine) as cursor:
        cursor.execute("SELECT 1")


def test_postgres_takes_a_second_start_for_done(own_postgres: Callable[[], Engine]) -> None:
    engine = own_postgres()
    pid = engine.pid
    engine.start()
    assert engine.pid == pid


def test_valkey_keeps_answered_writes_through_sigkill(own_valkey: Callable[[], Engine]) -> None:
    engine = own_valkey()
    urls = engine.variables()
    with redis.from_url(urls["PRICES_REDIS_URL"]) as client:
        client.set("price", "12.50")
        engine.kill()
        with pytest.raises(redis.ConnectionError):
            client.get("price")
        engine.start()
        assert engine.variables() == urls
        assert client.get("price") == b"12.50"
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    with redis.from_url(urls["REDIS_URL"]) as other:
        assert other.get("price") is None


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_what_a_failed_test_took_away_is_there_for_the_next(
    valkey_engine: Engine, pytestconfig: pytest.Config, number: signal.Signals
) -> None:
    assert valkey_engine.pid is not None
    os.kill(valkey_engine.pid, number)
    if number is signal.SIGKILL:
        until(lambda: not valkey_engine.running)
    pytestconfig.stash[KEY].start_again()
    with redis.from_url(valkey_engine.variables()["REDIS_URL"]) as client:
        assert client.ping()


def test_valkey_needs_its_password(valkey_engine: Engine) -> None:
    address = valkey_engine.variables()["REDIS_URL"].rpartition("@")[2]
    with redis.from_url(f"redis://{address}") as client:
        with pytest.raises(redis.AuthenticationError):
            client.ping()


def test_kafka_shows_committed_transactions_only(kafka: Engine) -> None:
    topic = f"smoke-{uuid.uuid4()}"
    producer = KafkaProducer(
        bootstrap_servers=kafka.variables()["KAFKA_BOOTSTRAP_SERVERS"],
        transactional_id=topic,
    )
    producer.init_transactions()
    producer.begin_transaction()
    producer.send(topic, b"given up")
    producer.abort_transaction()
    producer.begin_transaction()
    producer.send(topic, b"kept")
    producer.commit_transaction()
    producer.close()
    assert consume(kafka, topic) == [b"kept"]


def test_kafka_keeps_records_through_sigkill(kafka: Engine) -> None:
    topic = f"kill-{uuid.uuid4()}"
    address = kafka.variables()
    producer = KafkaProducer(bootstrap_servers=address["KAFKA_BOOTSTRAP_SERVERS"], acks="all")
    producer.send(topic, b"kept").get(timeout=60)
    producer.close()
    kafka.kill()
    kafka.start()
    assert kafka.variables() == address
    assert consume(kafka, topic) == [b"kept"]


def test_kafka_finishes_commits_that_a_kill_cuts_short(kafka: Engine) -> None:
    """The broker answers a commit before it has marked the partitions. (KAFKA-20734)"""
    topic, partitions = f"cut-{uuid.uuid4()}", range(200)
    server = {"bootstrap_servers": kafka.variables()["KAFKA_BOOTSTRAP_SERVERS"]}
    with closing(KafkaAdminClient(**server)) as admin:
        admin.create_topics({topic: {"num_partitions": len(partitions)}}, wait_for_metadata=True)
    writer = KafkaProducer(**server, transactional_id=topic)
    writer.init_transactions()
    writer.begin_transaction()
    for number in partitions:
        writer.send(topic, b"kept", partition=number)
    writer.commit_transaction()
    os.kill(kafka.pid, signal.SIGKILL)  # at once: `kill` looks for children first
    kafka.kill()
    discard(writer, 0)
    kafka.start()

    with closing(KafkaProducer(**server, transactional_id=topic)) as successor:
        successor.init_transactions()
    with closing(KafkaConsumer(**server, isolation_level="read_committed")) as reader:
        ends = reader.end_offsets([TopicPartition(topic, number) for number in partitions])
    assert min(ends.values()) >= 2  # the record and its mark; where it has none it can't be read


def test_rabbitmq_confirms_delivers_and_takes_the_ack(rabbitmq: Engine) -> None:
    opened = channel(rabbitmq)
    queue = opened.queue_declare("", exclusive=True).method.queue
    opened.basic_publish("", queue, b"payment", mandatory=True)
    message = until(lambda: take(opened, queue))
    assert message is not None
    method, _, body = message
    assert body == b"payment"
    opened.basic_ack(method.delivery_tag)
    assert opened.queue_declare(queue, passive=True).method.message_count == 0
    opened.connection.close()


def take(
    opened: pika.adapters.blocking_connection.BlockingChannel, queue: str
) -> tuple[pika.spec.Basic.GetOk, pika.BasicProperties, bytes] | None:
    method, properties, body = opened.basic_get(queue)
    return None if method is None else (method, properties, body)


def test_rabbitmq_keeps_persistent_messages_through_sigkill(rabbitmq: Engine) -> None:
    queue = f"kill-{uuid.uuid4()}"
    address = rabbitmq.variables()
    channel(rabbitmq).queue_declare(queue, durable=True)
    # A confirmed message is on disk, but a queue declared in the last moment before SIGKILL may be
    # gone (seen, 1 in 8): Mnesia writes definitions a little later. A clean stop writes them.
    rabbitmq.stop()
    rabbitmq.start()
    channel(rabbitmq).basic_publish("", queue, b"kept", pika.BasicProperties(delivery_mode=2))
    rabbitmq.kill()
    rabbitmq.start()
    assert rabbitmq.variables() == address
    opened = channel(rabbitmq)
    message = until(lambda: take(opened, queue))
    assert message is not None
    method, _, body = message
    assert body == b"kept"
    opened.basic_ack(method.delivery_tag)
    opened.queue_delete(queue)
    opened.connection.close()


def test_nothing_listens_beyond_loopback(
    postgres_engine: Engine, valkey_engine: Engine, kafka: Engine, rabbitmq: Engine
) -> None:
    listening: dict[str, set[str]] = {}
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # a helper that has ended meanwhile
            for connection in process.net_connections():
                if connection.status == psutil.CONN_LISTEN:
                    address = connection.laddr.ip.removeprefix("::ffff:")
                    listening.setdefault(process.name(), set()).add(address)
    assert {"postgres", "valkey-server", "java", "beam.smp", "epmd"} <= set(listening)
    assert set.union(*listening.values()) <= {"127.0.0.1", "::1"}


@pytest.mark.parametrize("name", ["postgres", "valkey", "rabbitmq"])
def test_stop_leaves_no_process(name: str, request: pytest.FixtureRequest) -> None:
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    engine = request.getfixturevalue(f"own_{name}")()
    started = {process.pid for process in psutil.Process().children(recursive=True)} - before
    assert started
    engine.stop()
    until(lambda: not alive(started))
    assert not engine.running


def test_an_engine_that_exits_at_once_says_why(own_valkey: Callable[[], Engine]) -> None:
    engine = own_valkey()
    engine.stop()
    engine.settings["no-such-setting"] = "1"  # type: ignore[attr-defined]
    with pytest.raises(EngineError, match="no-such-setting"):
        engine.start()

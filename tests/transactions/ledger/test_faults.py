"""The ledger's process while RabbitMQ, the process itself or its messages are at fault."""

import signal
import struct
from collections import Counter

import pika
import pytest

from config.services.engine import Engine
from config.services.rabbitmq import USER
from tests.services.waiting import until
from tests.transactions.ledger.faults import (
    SAMPLE,
    amounts,
    assert_each_once,
    control,
    leaders,
    memory_alarm,
    rows,
    send_in_spite_of_restarts,
    sent_bodies,
    wait_for_health,
)
from tests.transactions.ledger.stage import LedgerStage, body

# RabbitMQ out of memory


def test_what_waits_is_taken_in_while_the_broker_is_out_of_memory(
    sample: LedgerStage, rabbitmq: Engine
) -> None:
    """Also after a crash meanwhile: there are receipts left."""
    process = sample.start(LEDGER_BATCH="50")
    sample.queue.send(*sent_bodies(1))
    sample.wait_for_rows(SAMPLE + 1)
    process.send(signal.SIGSTOP)
    sample.queue.send(*sent_bodies(1500, 1))
    sample.queue.close()  # one that has published is not listened to any more
    with memory_alarm(rabbitmq):
        process.send(signal.SIGCONT)
        until(lambda: rows(sample) > SAMPLE + 300, 60)
        sample.kill(process)
        sample.start(LEDGER_BATCH="50")
        sample.wait_for_rows(SAMPLE + 1501)
        sample.queue.close()
    sample.queue.send(*sent_bodies(100, 1501))
    sample.wait_for_rows(SAMPLE + 1601)
    assert_each_once(sample, 1601)


def test_a_first_start_while_the_broker_is_out_of_memory(
    sample: LedgerStage, rabbitmq: Engine
) -> None:
    sample.queue.send(*sent_bodies(20))
    sample.queue.close()
    with memory_alarm(rabbitmq):
        process = sample.start()
        process.says("ledger waits for RabbitMQ to take a message: is it out of memory or disk?")
        wait_for_health(process, "is it out of memory or disk?")
        assert rows(sample) == SAMPLE
    sample.wait_for_rows(SAMPLE + 20)
    assert_each_once(sample, 20)
    wait_for_health(process, None)
    assert process.log.count("ledger waits for RabbitMQ to take") == 1
    assert "Traceback" not in process.log


def test_a_user_who_may_not_publish(sample: LedgerStage, rabbitmq: Engine) -> None:
    """Receipts are published; why there are none is said once, however often it is tried."""
    sample.queue.send(*sent_bodies(20))
    permissions = "set_permissions", USER, ".*"
    control(rabbitmq, *permissions, "^(?!amq.default$).*", ".*")
    try:
        process = sample.start()
        process.says("RabbitMQ takes no receipts")
        wait_for_health(process, "RabbitMQ to take a message")
        assert rows(sample) == SAMPLE
    finally:
        control(rabbitmq, *permissions, ".*", ".*")
    sample.wait_for_rows(SAMPLE + 20)
    assert_each_once(sample, 20)
    assert process.log.count("RabbitMQ takes no receipts") == 1
    assert "ACCESS_REFUSED" in process.log
    assert "Traceback" not in process.log


# RabbitMQ is killed


def test_the_broker_is_killed_among_messages_with_ids(
    sample: LedgerStage, rabbitmq: Engine
) -> None:
    bodies, ids = sent_bodies(3000), [f"id{n}" for n in range(3000)]
    sample.queue.send(*bodies[:2000], ids=ids[:2000])
    process = sample.start(LEDGER_BATCH="50")
    until(lambda: rows(sample) > SAMPLE + 500, 60)
    rabbitmq.kill()
    process.says("ledger waits for RabbitMQ")
    rabbitmq.start()
    send_in_spite_of_restarts(sample, bodies[1900:], ids[1900:])
    sample.wait_for_rows(SAMPLE + 3000)
    assert_each_once(sample, 3000)


@pytest.mark.parametrize("different", [True, False], ids=["different", "equal"])
def test_the_broker_is_killed_among_messages_without_ids(
    sample: LedgerStage, rabbitmq: Engine, different: bool
) -> None:
    """None is lost. What was acknowledged in its last moment it may have forgotten."""
    bodies = sent_bodies(3000) if different else 3000 * [body(1, 0)]
    sample.queue.send(*bodies)
    process = sample.start(LEDGER_BATCH="50")
    until(lambda: rows(sample) > SAMPLE + 500, 60)
    rabbitmq.kill()
    process.says("ledger waits for RabbitMQ")
    at_the_kill = rows(sample) - SAMPLE
    sample.queue.close()
    rabbitmq.start()
    sample.wait_for_rows(SAMPLE + 3000)
    found = Counter(amounts(sample))
    twice = found.total() - 3000
    print(f"{at_the_kill} rows when the broker was killed, {twice} of them came twice")
    assert 0 <= twice <= at_the_kill
    assert set(found) == (set(range(3000)) if different else {0})
    assert max(found.values()) <= 2 or not different


# The process stands still


@pytest.mark.parametrize("session", ["stays", "ends"])
def test_a_leader_that_stands_still_for_longer_than_its_heartbeat(
    sample: LedgerStage, session: str
) -> None:
    """RabbitMQ gives its messages back. Where PostgreSQL has ended its session too, another one
    leads meanwhile."""
    url = {"AMQP_URL": f"{sample.queue.url}?heartbeat=2", "LEDGER_BATCH": "20"}
    first = sample.start(**url)
    sample.queue.send(*sent_bodies(10))
    sample.wait_for_rows(SAMPLE + 10)
    second = sample.start(**url)
    second.says("another instance leads")
    sample.queue.send(*sent_bodies(1000, 10))
    until(lambda: rows(sample) > SAMPLE + 100, 60)
    first.send(signal.SIGSTOP)
    stopped_at = rows(sample)
    sample.queue.send(*sent_bodies(500, 1010))
    if session == "ends":
        sample.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname ="
            " current_database() AND application_name = 'stockroom-ledger-intake'"
            " AND pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted)"
        )
        second.says("ledger goes on")
        sample.wait_for_rows(SAMPLE + 1510)
    else:
        until(lambda: sample.queue.waiting() >= SAMPLE + 1510 - stopped_at, 60)
    first.send(signal.SIGCONT)
    if session == "ends":
        first.says("another instance leads")
    sample.queue.send(*sent_bodies(100, 1510))
    sample.wait_for_rows(SAMPLE + 1610)
    assert_each_once(sample, 1610)
    until(lambda: leaders(sample) == [(second if session == "ends" else first).child.pid], 60)
    assert "Traceback" not in sample.logs()


def test_two_instances_that_start_at_once(sample: LedgerStage) -> None:
    sample.queue.send(*sent_bodies(500))
    for _ in range(2):
        sample.start(LEDGER_BATCH="20")
    sample.wait_for_rows(SAMPLE + 500)
    until(lambda: len(leaders(sample)) == 1, 60)
    until(lambda: sample.logs().count("another instance leads") == 1, 60)
    assert_each_once(sample, 500)
    assert "Traceback" not in sample.logs()


# Messages


def test_poison_among_good_ones(sample: LedgerStage) -> None:
    poison = {
        "too_large": [body(1, 1, note="x" * 1024 * 1024), b"[" * 1024 * 1024],
        "not_json": [b"\0" * 100, b'{"id": 1, "value": 1}\0', b"[" * 60_000, b'{"id": 1, "val'],
        "not_utf8": [b'{"id": 1, "value": "\xff"}'],
        "not_object": [b"[" * 200 + b"]" * 200],
        "bad_id": [
            body("1\0", 1),
            body("\ud800", 1),
            b'{"id": ' + 400 * b"9" + b', "value": 1}',
            b'{"id": {"id": 1}, "value": 1}',
        ],
        "bad_value": [
            body(1, "\0"),
            b'{"id": 1, "value": ' + 400 * b"9" + b"}",
            b'{"id": 1, "value": 0.' + 400 * b"9" + b"}",
            b'{"id": 1, "value": 1e999999999}',
            b'{"id": 1, "value": ' + 200 * b"[" + 200 * b"]" + b"}",
        ],
    }
    wanted = [(reason, len(each)) for reason, bodies in poison.items() for each in bodies]
    process = sample.start()
    good = 0
    for each in [each for bodies in poison.values() for each in bodies]:
        sample.queue.send(each, *sent_bodies(1, good))
        good += 1
    nested = b'{"id": 1, "value": %d, "more": ' % good + 200 * b"[" + 200 * b"]" + b"}"
    sample.queue.send(nested)  # further fields are allowed
    sample.wait_for_rows(SAMPLE + good + 1)
    assert_each_once(sample, good + 1)
    found = sample.query("SELECT reason, body_bytes FROM stockroom_ledger.rejects ORDER BY id")
    assert found == wanted
    process.send(signal.SIGTERM)
    assert process.exit_code() == 0
    assert "Traceback" not in process.log


class DatedAfterAllTime(pika.BasicProperties):  # type: ignore[misc]
    """With a header that holds milliseconds where AMQP has seconds: the year 57,000."""

    def encode(self) -> list[bytes]:
        table = b"\x04sentT" + struct.pack(">Q", 1_750_000_000_000)
        return [struct.pack(">H", self.FLAG_HEADERS), struct.pack(">I", len(table)), table]


def test_properties_that_nobody_expects(sample: LedgerStage) -> None:
    """Each sent twice; where it is a message id, that is once."""
    ids = [b"\xff\xfe", b"\xff" * 254 + b"1", b"\xff" * 254 + b"2", "a\0b", 85 * "\N{EURO SIGN}"]
    others = [
        pika.BasicProperties(message_id=""),
        pika.BasicProperties(correlation_id=b"\xff", content_type=b"\xff"),
        pika.BasicProperties(headers={"sent": b"\xff"}),
        pika.BasicProperties(timestamp=2**63),
        DatedAfterAllTime(),
    ]
    with_ids = [pika.BasicProperties(message_id=each) for each in ids]
    for number, properties in enumerate(with_ids + others):
        for _ in range(2):
            sample.queue.channel().basic_publish("", sample.queue.name, body(1, number), properties)
    process = sample.start()
    sample.wait_for_rows(SAMPLE + len(ids) + 2 * len(others))
    assert amounts(sample) == sorted([*range(10), *range(5, 10)])
    assert "Traceback" not in process.log

"""How many tasks wait in Redis, and since when: with messages that Celery itself has sent."""

import time
from collections.abc import Iterator

import pytest
import redis
from kombu import Connection
from pytest_django import Settings

from config.celery import app
from config.operations.facts import broker_queues, worker_queues
from config.services.engine import Engine
from transactions import queue_depth


@pytest.fixture(autouse=True)
def client(settings: Settings) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(settings.CELERY_BROKER_URL)
    names = ("default", "imports", "performance")
    client.delete(*names)
    yield client
    client.delete(*names)


def imports() -> dict:
    (found,) = [each for each in worker_queues.facts({}) if each["name"] == "imports"]
    return found


def send(number: int) -> None:
    app.send_task("products.tasks.advance_import", (number,))


def test_an_empty_queue_has_no_oldest() -> None:
    found = worker_queues.facts({})

    assert [each["name"] for each in found] == ["default", "imports", "performance"]
    assert {(each["waiting"], each["oldest_seconds"]) for each in found} == {(0, None)}


def test_the_oldest_is_the_next_that_a_worker_takes() -> None:
    began = time.time()
    send(1)
    between = time.time()
    send(2)

    found = imports()

    assert found["waiting"] == 2
    assert time.time() - between - 0.01 <= found["oldest_seconds"] <= time.time() - began
    with Connection(app.conf.broker_url) as connection:
        message = connection.SimpleQueue("imports").get(timeout=10)
        assert message.decode()[0] == [1]
        message.ack()
    assert imports()["waiting"] == 1


def test_it_takes_nothing_away() -> None:
    send(1)

    assert imports()["waiting"] == imports()["waiting"] == 1


@pytest.mark.parametrize("message", [b"\xff", b"{}", b'{"headers": {"sent_at": null}}'])
def test_a_message_that_does_not_say_when_has_no_age(client: redis.Redis, message: bytes) -> None:
    client.lpush("imports", message)

    assert (imports()["waiting"], imports()["oldest_seconds"]) == (1, None)


def test_without_rabbitmq_it_has_no_queues(settings: Settings) -> None:
    settings.AMQP_URL = ""

    assert broker_queues.facts({}) == []


def test_queues_that_are_not_there_yet_say_so(rabbitmq: Engine, settings: Settings) -> None:
    settings.LEDGER_QUEUE = "operations-nowhere"
    queue_depth.forget()

    found = broker_queues.facts({})[0]

    assert (found["engine"], found["waiting"]) == ("rabbitmq", None)
    assert found["error"] == "there is no queue operations-nowhere yet"
    assert found["missing"]

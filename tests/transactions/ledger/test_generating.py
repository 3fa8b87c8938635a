"""`manage.py generate_transactions` on a real RabbitMQ: every message confirmed, none lost."""

import json
import random
import signal
import socket
import threading
import time
from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from config.services.engine import Engine
from tests.services.waiting import until
from tests.transactions.ledger.stage import LedgerStage, make_tables
from transactions.ledger import generating
from transactions.ledger.engine import messages
from transactions.ledger.engine.messages import Transaction
from transactions.ledger.generating import Generator


@pytest.fixture
def configured(stage: LedgerStage, connection: Any, settings: Settings) -> LedgerStage:
    """With the specification's tables."""
    make_tables(connection)
    settings.LEDGER_DATABASE_URL = stage.database_url
    settings.AMQP_URL, settings.LEDGER_QUEUE = stage.queue.url, stage.queue.name
    return stage


def received(stage: LedgerStage) -> list[tuple[Any, bytes]]:
    """Properties and bodies of all that wait in the queue."""
    channel = stage.queue.channel()
    found: list[tuple[Any, bytes]] = []
    while True:
        method, properties, body = channel.basic_get(stage.queue.name, auto_ack=True)
        if method is None:
            return found
        found.append((properties, body))


def generate(*arguments: str) -> None:
    call_command("generate_transactions", "--no-progress", *arguments)


def generator(stage: LedgerStage, **options: Any) -> Generator:
    bodies = generating.messages([1, 2], random.Random(7))
    given = {"rate": None, "count": None, "ids": False, "ended": lambda: False, **options}
    return Generator(stage.queue.url, stage.queue.name, bodies, **given)


def test_bodies_are_those_of_the_specification() -> None:
    bodies = list(islice(generating.messages([1, 2], random.Random(7)), 500))
    assert {tuple(json.loads(body)) for body in bodies} == {("id", "value")}
    read = [messages.read(body) for body in bodies]
    assert all(isinstance(each, Transaction) for each in read)
    assert {json.loads(body)["id"] for body in bodies} == {1, 2}
    assert min(json.loads(body)["value"] for body in bodies) < 0
    assert bodies == list(islice(generating.messages([1, 2], random.Random(7)), 500))


def test_a_number_of_messages_for_the_providers_of_the_table(
    configured: LedgerStage, capsys: pytest.CaptureFixture[str]
) -> None:
    generate("--rate", "max", "--count", "2500")
    out = capsys.readouterr().out
    assert out.startswith(f"Sent 2,500 messages to queue {configured.queue.name}, all confirmed,")
    found = received(configured)
    assert len(found) == 2500
    assert {json.loads(body)["id"] for _, body in found} == {1, 2}
    properties = found[0][0]
    assert (properties.delivery_mode, properties.message_id) == (2, None)


def test_the_queue_is_made_as_the_specification_has_it(configured: LedgerStage) -> None:
    generate("--rate", "max", "--count", "1")
    configured.queue.declare(durable=True)  # refused where it were another
    assert configured.queue.waiting() == 1


def test_a_queue_of_another_kind_is_taken_as_it_is(configured: LedgerStage) -> None:
    configured.queue.declare(durable=False)
    generate("--rate", "max", "--count", "3")
    assert configured.queue.waiting() == 3


def test_message_ids_and_given_providers(configured: LedgerStage) -> None:
    generate("--rate", "max", "--count", "50", "--ids", "--providers", "7", "9")
    found = received(configured)
    assert len({properties.message_id for properties, _ in found}) == 50
    assert {json.loads(body)["id"] for _, body in found} == {7, 9}


def test_the_rate_is_kept(stage: LedgerStage, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that the test moves: at 100 a second one each 10 ms, and 100 at once after 5 s."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    made = generator(stage, rate=100.0)
    sent: list[bytes] = []

    class Channel:
        def basic_publish(self, exchange: str, queue: str, body: bytes, *_: Any, **__: Any) -> None:
            sent.append(body)

    made._channel = Channel()
    counts = []
    for step in (0.0, 0.01, 0.005, 0.005, 0.1, 5.0):
        now[0] += step
        made._send()
        counts.append(len(sent))
    assert counts[:4] == [1, 2, 2, 3]
    assert counts[4] == 13
    assert counts[5] - counts[4] in (100, 101)


def test_no_more_are_under_way_than_the_broker_confirms(stage: LedgerStage) -> None:
    made = generator(stage)

    class Channel:
        def basic_publish(self, *_: Any, **__: Any) -> None:
            """The broker says nothing."""

    made._channel = Channel()
    made._send()
    made._send()
    assert made.tally.sent == generating.MOST_UNDER_WAY


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_when_it_is_told_to_with_all_confirmed(
    configured: LedgerStage, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    configured.queue.declare()

    def end() -> None:
        until(lambda: configured.queue.waiting() >= 5)
        signal.pthread_kill(threading.main_thread().ident or 0, number)

    thread = threading.Thread(target=end)
    thread.start()
    generate("--rate", "200")
    thread.join()
    words = capsys.readouterr().out.split()
    assert int(words[1].replace(",", "")) == configured.queue.waiting() >= 5


def test_a_queue_that_is_deleted_meanwhile_is_said(configured: LedgerStage) -> None:
    def delete() -> None:
        until(lambda: configured.queue.waiting() >= 5)
        configured.queue.delete()

    configured.queue.declare()
    thread = threading.Thread(target=delete)
    thread.start()
    with pytest.raises(CommandError, match=r"is gone: NO_ROUTE. Confirmed: "):
        generate("--rate", "200", "--count", "3000")
    thread.join()


def test_a_full_queue_that_refuses_is_said(configured: LedgerStage) -> None:
    configured.queue.declare(arguments={"x-max-length": 3, "x-overflow": "reject-publish"})
    with pytest.raises(CommandError, match=r"refused a message.* Confirmed: 3; ") as refused:
        generate("--rate", "200", "--count", "100")
    assert "not confirmed: " in str(refused.value)
    assert configured.queue.waiting() == 3


def test_a_broker_that_dies_ends_it(
    configured: LedgerStage, own_rabbitmq: Callable[[], Engine], settings: Settings
) -> None:
    broker = own_rabbitmq()
    settings.AMQP_URL = broker.variables()["AMQP_URL"]
    configured.queue.url = settings.AMQP_URL
    configured.queue.close()
    configured.queue.declare()

    def die() -> None:
        until(lambda: configured.queue.waiting() >= 5)
        broker.stop()

    thread = threading.Thread(target=die)
    thread.start()
    with pytest.raises(CommandError, match=r"RabbitMQ: .* Confirmed: \d+; sent, and not confirmed"):
        generate("--rate", "200")
    thread.join()


def test_it_says_what_is_missing(
    configured: LedgerStage, settings: Settings, unused_port: int
) -> None:
    settings.AMQP_URL = f"amqp://127.0.0.1:{unused_port}/"
    with pytest.raises(CommandError, match=r"RabbitMQ: .*Confirmed: 0"):
        generate("--count", "1")
    settings.AMQP_URL = ""
    with pytest.raises(CommandError, match="AMQP_URL is not set"):
        generate("--count", "1")
    settings.AMQP_URL = configured.queue.url
    configured.query("TRUNCATE initial_data, historical_transactions")
    with pytest.raises(CommandError, match=r"no providers.*seed_ledger"):
        generate("--count", "1")
    configured.query("DROP TABLE initial_data, historical_transactions")
    with pytest.raises(CommandError, match=r"initial_data.*seed_ledger"):
        generate("--count", "1")


def test_a_wrong_password_is_said(configured: LedgerStage, settings: Settings) -> None:
    where = settings.AMQP_URL.rpartition("@")[2]
    settings.AMQP_URL = f"amqp://nobody:nothing@{where}"
    with pytest.raises(CommandError, match="ACCESS_REFUSED"):
        generate("--count", "1")


@pytest.mark.parametrize("given", [["--rate=0"], ["--rate=-1"], ["--rate=nan"], ["--count=0"]])
def test_numbers_that_are_none_are_refused(given: list[str]) -> None:
    with pytest.raises(CommandError):
        generate(*given)


@pytest.fixture
def unused_port() -> Any:
    """One on which nobody answers."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]

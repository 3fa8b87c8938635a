"""Orders told to a real RabbitMQ, which is there, comes back, hangs, or is not there at all."""

import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from uuid import UUID

import pika
import pika.exceptions
import psutil
import pytest
from pytest_django import Settings

from config.services.engine import Engine
from tests.services.waiting import freeze, until
from tests.transactions.ledger.faults import memory_alarm
from tests.transactions.ledger.stage import Queue
from transactions.orders import announcing

THREAD = "orders.announcing"


@pytest.fixture
def queue(rabbitmq: Engine, settings: Settings) -> Iterator[Queue]:
    """A fresh queue's name in the settings; nobody has declared it."""
    made = Queue(rabbitmq.variables()["AMQP_URL"], f"orders-{uuid.uuid4().hex[:8]}")
    settings.AMQP_URL, settings.ORDERS_QUEUE = made.url, made.name
    yield made
    announcing.close(10)
    with suppress(pika.exceptions.AMQPError, OSError):
        made.close()
        made.delete()
    made.close()


def arrived(queue: Queue) -> list[tuple[str, pika.BasicProperties]]:
    """What is there, taken out."""
    found = []
    with suppress(pika.exceptions.AMQPError, OSError):  # not declared yet, or the broker is away
        while True:
            method, properties, body = queue.channel().basic_get(queue.name, auto_ack=True)
            if method is None:
                break
            found.append((body.decode(), properties))
    return found


def wait_for(queue: Queue, *order_ids: UUID, seconds: float = 60) -> list[str]:
    """All that came until the last of these is there."""
    found: list[str] = []

    def there() -> bool:
        found.extend(body for body, _ in arrived(queue))
        return {str(order_id) for order_id in order_ids} <= set(found)

    until(there, seconds)
    return found


def sockets(broker: Engine) -> set[int]:
    """Local ports of this process's open connections to it."""
    port = int(broker.variables()["AMQP_URL"].rpartition(":")[2].strip("/"))
    return {
        each.laddr.port
        for each in psutil.Process().net_connections("tcp")
        if each.raddr and each.raddr.port == port and each.status == psutil.CONN_ESTABLISHED
    }


@contextmanager
def frozen(broker: Engine) -> Iterator[None]:
    assert broker.pid is not None
    freeze(broker.pid)
    try:
        yield
    finally:
        os.kill(broker.pid, signal.SIGCONT)


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD]


def test_all_arrive_in_order(queue: Queue) -> None:
    orders = [uuid.uuid4() for _ in range(500)]
    for order in orders:
        announcing.announce(order)
    assert wait_for(queue, *orders) == [str(order) for order in orders]
    assert len(threads()) == 1


def test_those_of_many_threads_arrive(queue: Queue, workers: Callable[..., Future[None]]) -> None:
    """None is left lying until the next one comes."""

    def announce(some: list[UUID]) -> None:
        for order in some:
            announcing.announce(order)

    for _ in range(5):
        orders = [[uuid.uuid4() for _ in range(50)] for _ in range(8)]
        for future in [workers(announce, some) for some in orders]:
            future.result(60)
        wait_for(queue, *(order for some in orders for order in some))
    assert len(threads()) == 1


def test_queue_and_messages_outlive_the_broker(queue: Queue, rabbitmq: Engine) -> None:
    order = uuid.uuid4()
    announcing.announce(order)
    until(lambda: _waiting(queue) == 1)
    announcing.close(10)
    queue.close()
    rabbitmq.stop()
    rabbitmq.start()
    ((body, properties),) = until(lambda: arrived(queue))
    assert body == str(order)
    assert properties.delivery_mode == 2


def _waiting(queue: Queue) -> int:
    try:
        return queue.waiting()
    except (pika.exceptions.AMQPError, OSError):
        return 0


def test_a_queue_that_others_made_another_way_serves_too(queue: Queue) -> None:
    queue.declare(arguments={"x-max-length": 1000})
    order = uuid.uuid4()
    announcing.announce(order)
    wait_for(queue, order)


def test_orders_announced_while_the_broker_is_killed_arrive_later(
    queue: Queue, rabbitmq: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    first, meanwhile, later = (uuid.uuid4() for _ in range(3))
    announcing.announce(first)
    wait_for(queue, first)
    queue.close()
    rabbitmq.kill()
    until(lambda: "orders are not announced" in caplog.text)
    announcing.announce(meanwhile)
    rabbitmq.start()
    wait_for(queue, meanwhile)
    announcing.announce(later)
    wait_for(queue, later)
    assert caplog.text.count("orders are not announced") == 1


def test_a_frozen_broker_holds_up_nobody(
    queue: Queue, rabbitmq: Engine, workers: Callable[..., Future[None]]
) -> None:
    """More is announced than fits into the sockets' buffers; what is too much is dropped."""
    first, last = uuid.uuid4(), uuid.uuid4()
    announcing.announce(first)
    wait_for(queue, first)
    queue.close()

    def announce() -> None:
        for _ in range(10 * announcing.BACKLOG):
            announcing.announce(uuid.uuid4())

    with frozen(rabbitmq):
        workers(announce).result(60)
        announcer = announcing._current
        assert announcer is not None and announcer._dropped > 0
        assert 0 < len(announcer._backlog) <= announcing.BACKLOG
    until(lambda: not announcer._backlog, 60)
    queue.channel().queue_purge(queue.name)
    announcing.announce(last)
    wait_for(queue, last)


def test_a_broker_without_memory_holds_up_nobody(queue: Queue, rabbitmq: Engine) -> None:
    first, blocked, last = (uuid.uuid4() for _ in range(3))
    announcing.announce(first)
    wait_for(queue, first)
    with memory_alarm(rabbitmq):
        announcing.announce(blocked)
    announcing.announce(last)
    wait_for(queue, blocked, last)


def test_heartbeats_are_answered_while_nothing_is_announced(
    queue: Queue, rabbitmq: Engine, settings: Settings
) -> None:
    settings.AMQP_URL = f"{queue.url}?heartbeat=3"  # less, and a starved thread of ours is cut
    first, last = uuid.uuid4(), uuid.uuid4()
    announcing.announce(first)
    wait_for(queue, first)
    queue.close()
    ours = sockets(rabbitmq)
    assert len(ours) == 1
    # One that serves none shows when the broker cuts.
    silent = pika.BlockingConnection(pika.URLParameters(settings.AMQP_URL))
    assert len(sockets(rabbitmq)) == 2
    for _ in range(2):
        until(lambda: sockets(rabbitmq) == ours)
        with suppress(pika.exceptions.AMQPError, OSError):
            silent.close()
        silent = pika.BlockingConnection(pika.URLParameters(settings.AMQP_URL))
    silent.close()
    announcing.announce(last)
    wait_for(queue, last)
    queue.close()
    assert sockets(rabbitmq) == ours


def test_a_forked_child_has_a_connection_of_its_own(queue: Queue, rabbitmq: Engine) -> None:
    """As gunicorn's workers, and though the parent's lock is held when it forks."""
    before, within, after = (uuid.uuid4() for _ in range(3))
    announcing.announce(before)
    wait_for(queue, before)
    with announcing._lock:
        child = os.fork()
        if child == 0:
            announcing.announce(within)
            announcing.close(30)
            os._exit(0)
    try:
        assert psutil.Process(child).wait(60) == 0
    except psutil.TimeoutExpired:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    announcing.announce(after)
    assert set(wait_for(queue, within, after)) == {str(within), str(after)}


def test_without_an_address_nothing_happens(settings: Settings) -> None:
    announcing.close()
    settings.AMQP_URL = None
    announcing.announce(uuid.uuid4())
    assert announcing._current is None
    until(lambda: threads() == [])
    announcing.close()


def test_an_address_that_leads_nowhere_raises_nothing(
    settings: Settings, unused_tcp_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    for url in (f"amqp://a:b@127.0.0.1:{unused_tcp_port}/", "amqp://127.0.0.1:port/"):
        caplog.clear()
        settings.AMQP_URL = url
        announcing.announce(uuid.uuid4())
        until(lambda: "orders are not announced" in caplog.text)
    announcing.close()
    until(lambda: threads() == [])


def test_another_address_is_followed(queue: Queue, settings: Settings) -> None:
    first, second = uuid.uuid4(), uuid.uuid4()
    announcing.announce(first)
    wait_for(queue, first)
    other = Queue(queue.url, f"{queue.name}-2")
    settings.ORDERS_QUEUE = other.name
    announcing.announce(second)
    try:
        assert wait_for(other, second) == [str(second)]
        until(lambda: len(threads()) == 1)
    finally:
        other.delete()
        other.close()


# The end of a process

ANNOUNCE = """
import sys, time, uuid, django
django.setup()
from transactions.orders import announcing
first, *others = map(uuid.UUID, sys.argv[1:])
announcing.announce(first)
while others and announcing._current._backlog:
    time.sleep(0.01)
for order_id in others:
    announcing.announce(order_id)
"""


def ends(queue: Queue, *orders: UUID) -> int:
    """The exit code of a process that announces these and ends at once.

    Where there are several, the first is sent before the others are announced.
    """
    done = subprocess.run(
        [sys.executable, "-c", ANNOUNCE, *map(str, orders)],
        env={**os.environ, "AMQP_URL": queue.url, "ORDERS_QUEUE": queue.name},
        timeout=60,
    )
    return done.returncode


def test_a_process_that_ends_sends_what_it_has(queue: Queue) -> None:
    orders = [uuid.uuid4() for _ in range(100)]
    assert ends(queue, *orders) == 0
    wait_for(queue, *orders)


def test_a_frozen_broker_keeps_no_process_from_ending(queue: Queue, rabbitmq: Engine) -> None:
    with frozen(rabbitmq):
        assert ends(queue, uuid.uuid4()) == 0

"""One test's orders, users, prices, and instances of the consumer.

Writes and reads Redis with a plain client. Rows are made as the API makes them.
"""

import json
import signal
import uuid
from collections.abc import Iterable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pika
import redis
from django.conf import settings as django_settings

from config.live import throttling
from config.services.spawn import kill_tree
from tests.consumers.processes import Process
from tests.services.waiting import until
from transactions.models import OPEN, Order

PRICE = 100


def set_credit(client: redis.Redis, user: str, credit: int | str) -> None:
    """As the specification's sample has it; a text is JSON."""
    number = user.removeprefix("user")
    client.set(user, f'{{"id": {number if number.isdigit() else 1}, "credit": {credit}}}')


def set_price(client: redis.Redis, stock: str, *prices: int | str) -> None:
    """A history as somebody else may write it: texts are JSON."""
    times = ", ".join(f'"{90000 + number:06}"' for number in range(len(prices)))
    written = ", ".join(str(each) if each != "" else '""' for each in prices)
    client.set(stock, f'{{"id": 1, "price": [{written}], "time": [{times}], "performance": 0}}')


def credit(client: redis.Redis, user: str) -> Decimal:
    """What is left."""
    value: Any = client.get(user)
    return Decimal(str(json.loads(value, parse_int=Decimal, parse_float=Decimal)["credit"]))


def make_order(
    user: str = "user1", quantity: int = 1, stock: str = "stock1", **other: Any
) -> Order:
    """A row as the API leaves it."""
    made = Order.objects.create(user=user, stockname=stock, quantity=quantity, **other)
    return Order.objects.get(pk=made.pk)


class OrdersStage:
    """A queue of a fresh name, and instances that work on the test's orders; `close` ends them."""

    def __init__(self, market: redis.Redis, settings: Any, folder: Path) -> None:
        """`settings` (pytest-django's) lead to the engines; the queue's name is set there."""
        self.market = market
        self.instances: list[Process] = []
        self._folder = folder
        self._made = 0
        self.amqp_url: str = settings.AMQP_URL or ""
        self.queue = settings.ORDERS_QUEUE = f"orders-{uuid.uuid4().hex[:8]}"
        self._environment = {
            "DATABASE_URL": database_url(),
            "REDIS_URL": settings.REDIS_URL,
            "PRICES_REDIS_URL": settings.PRICES_REDIS_URL,
            "AMQP_URL": self.amqp_url,
            "ORDERS_QUEUE": self.queue,
            "ORDERS_STALE_SECONDS": "2",
            "ORDERS_SWEEP_SECONDS": "1",
            "VERIFIER_MIN_SECONDS": "0.05",
            "VERIFIER_MAX_SECONDS": "0.2",
            "CONSUMER_HEALTH_SECONDS": "0.5",
        }

    def start(self, **environment: str) -> Process:
        """Start an instance."""
        log = self._folder / f"orders{self._made}.log"
        self._made += 1
        process = Process(
            ["manage.py", "run_consumer", "orders"], {**self._environment, **environment}, log
        )
        self.instances.append(process)
        return process

    def kill(self, process: Process) -> None:
        """SIGKILL, and wait for its end."""
        process.send(signal.SIGKILL)
        process.exit_code()

    def send(self, orders: Iterable[Order]) -> None:
        """Their messages, as the web process sends them."""
        connection = pika.BlockingConnection(pika.URLParameters(self.amqp_url))
        try:
            channel = connection.channel()
            channel.queue_declare(self.queue, durable=True)
            for order in orders:
                channel.basic_publish(
                    "",
                    self.queue,
                    str(order.order_id).encode(),
                    pika.BasicProperties(delivery_mode=2),
                )
        finally:
            connection.close()

    def wait_until_decided(self, seconds: float = 60.0) -> None:
        """Until no order is open."""
        try:
            until(lambda: not Order.objects.filter(status__in=OPEN).exists(), seconds)
        except AssertionError:
            left = list(Order.objects.filter(status__in=OPEN).values("status", "claim", "holder"))
            raise AssertionError(f"{len(left)} open: {left[:5]}\n{self.logs()}") from None

    def wait_for(self, seconds: float = 60.0, **fields: Any) -> None:
        """Until there is an order with these."""
        try:
            until(lambda: Order.objects.filter(**fields).exists(), seconds)
        except AssertionError:
            raise AssertionError(f"none with {fields}\n{self.logs()}") from None

    def logs(self) -> str:
        return "\n".join(process.log for process in self.instances)

    def close(self) -> None:
        for process in self.instances:
            kill_tree(process.child)
        if not self.amqp_url:
            return
        with suppress(pika.exceptions.AMQPError, OSError):
            connection = pika.BlockingConnection(pika.URLParameters(self.amqp_url))
            connection.channel().queue_delete(self.queue)
            connection.close()


def database_url() -> str:
    """Of the database that this test uses."""
    url = django_settings.DATABASE_URL
    name = django_settings.DATABASES["default"]["NAME"]
    return f"{url.rpartition('/')[0]}/{name}"


def clear_channels() -> None:
    """Let the next test's events go out at once."""
    throttling._throttles.clear()

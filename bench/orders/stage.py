"""Engines, the web process, consumers, users and orders for the bench of orders."""

import os
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pika
import psutil
import psycopg2
import redis

from bench.sales_stage import Worker
from config.services.stack import Stack

USERS = 200
STOCK, PRICE = "stock1", 100
CREDIT = 10**15
READY_SECONDS = 120.0
POLL_SECONDS = 0.05
SIMULATED = {"VERIFIER_URL": "", "VERIFIER_TIMEOUT_SECONDS": "3600"}
INSERT = """
INSERT INTO transactions_order (order_id, "user", stockname, quantity, status, reason, detail,
    verifications, claim, callback_url, created_by_id)
SELECT gen_random_uuid(), 'user' || 1 + n %% %(users)s, %(stock)s, 1, 'received', '', '', 0, 0,
    CASE WHEN n %% %(each)s = 0 THEN %(callback)s ELSE '' END, %(owner)s
FROM generate_series(1, %(orders)s) n RETURNING order_id
"""
OPEN = """
SELECT count(*) FROM transactions_order WHERE status IN ('received', 'verifying', 'verified')
"""
VERIFYING = "SELECT count(*) FROM transactions_order WHERE status = 'verifying'"


class Callbacks(NamedTuple):
    """Orders that have a callback: those whose number can be divided by `each`."""

    url: str
    each: int


class Stage:
    """The engines and the web process, and what is made on them."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        from config.accounts import tokens
        from config.accounts.models import User

        self.environment = stack.environment
        self.folder = folder
        address = urlsplit(stack.address)
        self.place = str(address.hostname), int(address.port or 0)
        self.queue = stack.environment["ORDERS_QUEUE"]
        self.database_url = stack.environment["DATABASE_URL"]
        self.redis_url = stack.environment["PRICES_REDIS_URL"]
        self.redis: redis.Redis = redis.Redis.from_url(self.redis_url)
        self._web = stack.processes["web.1"]
        self._database = psycopg2.connect(self.database_url)
        self._database.autocommit = True
        self._numbers = count(1)
        owner = User.objects.create_user("bench")
        self._owner = owner.pk
        self.token = tokens.issue(owner, "bench", ["orders:write"], ["*"])[1]

    def close(self) -> None:
        self._database.close()
        self.redis.close()

    def sql(self, statement: str, values: Any = None) -> list[tuple[Any, ...]]:
        """Rows of a statement."""
        with self._database.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def web_cpu_seconds(self) -> float:
        """Of the web processes so far."""
        first = psutil.Process(self._web.pid)
        each = [process.cpu_times() for process in (first, *first.children())]
        return float(sum(times.user + times.system for times in each))

    def number(self, statement: str) -> int:
        return int(self.sql(statement)[0][0])

    def clear(self) -> None:
        """No orders, an empty queue, users with credit, one stock."""
        self.sql("TRUNCATE transactions_order")
        with self._channel() as channel:
            channel.queue_purge(self.queue)
        self.redis.delete(*self.redis.keys("orders:*"), STOCK)
        self.redis.mset(
            {f"user{n}": f'{{"id": {n}, "credit": {CREDIT}}}' for n in range(1, USERS + 1)}
        )
        self.redis.set(
            STOCK, f'{{"id": 1, "price": [{PRICE}], "time": ["090000"], "performance": 0}}'
        )

    def orders(self, orders: int, callbacks: Callbacks | None = None) -> list[uuid.UUID]:
        """Insert so many, as the API leaves them."""
        url, each = callbacks or Callbacks("", 1)
        values = {
            "users": USERS,
            "stock": STOCK,
            "orders": orders,
            "owner": self._owner,
            "callback": url,
            "each": each,
        }
        return [uuid.UUID(str(row[0])) for row in self.sql(INSERT, values)]

    def announce(self, orders: Sequence[uuid.UUID]) -> None:
        """Send their messages, as the web process does."""
        properties = pika.BasicProperties(content_type="text/plain", delivery_mode=2)
        with self._channel() as channel:
            for order_id in orders:
                channel.basic_publish("", self.queue, str(order_id).encode(), properties)

    def consumer(self, name: str = "orders", **variables: str) -> Worker:
        """Start the real consumer's process: `orders`, or `deliveries` for the callbacks."""
        return self.worker(["manage.py", "run_consumer", name], **variables)

    def worker(self, words: Sequence[str], **variables: str) -> Worker:
        """Start a Python process with these arguments."""
        log = self.folder / f"worker-{next(self._numbers)}.log"
        return Worker(words, {**self.environment, **variables}, log)

    def wait_ready(self, worker: Worker) -> None:
        """Until the consumer `orders` reads the queue."""
        with self._channel() as channel:
            self.wait(worker, lambda: _readers(channel, self.queue) > 0, "it reads the queue")

    def wait(self, worker: Worker, there: Any, what: str) -> None:
        """Until `there()`, asked every POLL_SECONDS. Raises SystemExit where it takes too long."""
        deadline = time.monotonic() + READY_SECONDS
        while not there():
            worker.check()
            if time.monotonic() > deadline:
                raise SystemExit(f"not within {READY_SECONDS:g} s: {what}\n{worker.said()}")
            time.sleep(POLL_SECONDS)

    @contextmanager
    def _channel(self) -> Iterator[Any]:
        connection = pika.BlockingConnection(pika.URLParameters(self.environment["AMQP_URL"]))
        try:
            channel = connection.channel()
            channel.queue_declare(self.queue, durable=True)
            yield channel
        finally:
            connection.close()


def _readers(channel: Any, queue: str) -> int:
    return int(channel.queue_declare(queue, passive=True).method.consumer_count)


def complain(worker: Worker) -> None:
    """Print the last of its warnings, if there are any: then what it did is not the usual."""
    said = worker.said().strip()
    if said:
        print(f"   WARNED: {said.splitlines()[-1]}", flush=True)


@contextmanager
def running(folder: Path) -> Iterator[Stage]:
    """Engines of the bench's own and the web process, as `make run` starts them."""
    environment = {
        "LOG_LEVEL": "WARNING",
        "ORDERS_QUEUE": "orders",
        "API_REQUESTS_PER_MINUTE": "1000000",
        **os.environ,
    }
    engines = ("postgres", "valkey", "rabbitmq")
    with Stack(folder / "var", environment, roles=("web",), engines=engines, port=0) as stack:
        stack.start()
        os.environ.update(stack.environment)
        import django

        django.setup()
        stage = Stage(stack, folder)
        try:
            yield stage
        finally:
            stage.close()

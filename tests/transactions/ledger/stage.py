"""One test's tables, queue, KeyDB and instances of the ledger.

Reads and writes them with plain clients, never with the product's.
"""

import json
import os
import signal
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pika
import psycopg2
import redis

from config.services.spawn import kill_tree
from tests.consumers.processes import Process
from tests.services.waiting import until
from tests.transactions.ledger import oracle

# The specification's stack has NUMERIC and serial ids.
TABLES = """
CREATE TABLE initial_data (
    id serial PRIMARY KEY, provider_name text NOT NULL, initial_value {kind}
);
CREATE TABLE historical_transactions (
    id serial PRIMARY KEY, provider_id integer REFERENCES initial_data, transaction_value {kind}
);
"""

TRIES = 3


def make_tables(connection: Any, kind: str = "numeric", *, sample: bool = True) -> None:
    """Those of the specification, as the producer of its stack makes them."""
    with connection, connection.cursor() as cursor:
        cursor.execute(TABLES.format(kind=kind))
        if sample:
            cursor.executemany(
                "INSERT INTO initial_data (provider_name, initial_value) VALUES (%s, %s)",
                [each[1:] for each in oracle.SAMPLE_PROVIDERS],
            )
            cursor.executemany(
                "INSERT INTO historical_transactions (provider_id, transaction_value)"
                " VALUES (%s, %s)",
                [each[1:] for each in oracle.SAMPLE_TRANSACTIONS],
            )


def body(provider: Any = 1, value: Any = 600, **other: Any) -> bytes:
    """A message of the specification's producer."""
    return json.dumps({"id": provider, "value": value, **other}).encode()


class Queue:
    """The producer's side of a queue; connects anew where the broker was away."""

    def __init__(self, url: str, name: str) -> None:
        self.url, self.name = url, name
        self._connection: Any = None
        self._channel: Any = None

    def channel(self) -> Any:
        if self._connection is None or self._connection.is_closed or self._channel.is_closed:
            self.close()
            self._connection = pika.BlockingConnection(pika.URLParameters(self.url))
            self._channel = self._connection.channel()
            self._channel.confirm_delivery()
        return self._channel

    def declare(self, **options: Any) -> None:
        """As the specification's producer does, or another way."""
        self.channel().queue_declare(self.name, **{"durable": True, **options})

    def send(self, *bodies: bytes, ids: Sequence[str | None] = ()) -> None:
        """Send, persistent and confirmed: on return the broker has them."""
        channel = self.channel()
        for number, each in enumerate(bodies):
            properties = pika.BasicProperties(
                delivery_mode=2, message_id=ids[number] if ids else None
            )
            channel.basic_publish("", self.name, each, properties)

    def waiting(self) -> int:
        """Messages that nobody holds."""
        return int(self.channel().queue_declare(self.name, passive=True).method.message_count)

    def consumers(self) -> int:
        return int(self.channel().queue_declare(self.name, passive=True).method.consumer_count)

    def delete(self) -> None:
        self.channel().queue_delete(self.name)

    def delete_all(self) -> None:
        """With what the ledger has made beside it."""
        for name in (self.name, f"{self.name}.receipts"):
            self.channel().queue_delete(name)

    def close(self) -> None:
        if self._connection is not None:
            with suppress(Exception):  # of a broker that is away
                self._connection.close()
        self._connection = None


class LedgerStage:
    """A queue of a fresh name, and the instances that work it off; `close` ends them."""

    def __init__(
        self, database_url: str, amqp_url: str, keydb_url: str, folder: Path, **environment: str
    ) -> None:
        """`environment`: variables of all instances."""
        self.database_url = database_url
        self.keydb = redis.Redis.from_url(keydb_url, decode_responses=True)
        self.queue = Queue(amqp_url, f"incoming-{uuid.uuid4().hex[:8]}")
        self.instances: list[Process] = []
        self._folder = folder
        self._environment = {
            "LEDGER_DATABASE_URL": database_url,
            "AMQP_URL": amqp_url,
            "KEYDB_URL": keydb_url,
            "LEDGER_QUEUE": self.queue.name,
            "CONSUMER_HEALTH_SECONDS": "0.5",
            **environment,
        }

    def start(self, **environment: str) -> Process:
        """Start an instance."""
        log = self._folder / f"ledger{len(self.instances)}.log"
        process = Process(
            ["manage.py", "run_consumer", "ledger"], {**self._environment, **environment}, log
        )
        self.instances.append(process)
        return process

    def kill(self, process: Process) -> None:
        """SIGKILL, and wait for its end."""
        process.send(signal.SIGKILL)
        process.exit_code()

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of a statement in a session of its own."""
        connection = psycopg2.connect(self.database_url)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement, values)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def transactions(self) -> list[tuple[int, Any]]:
        """Provider and value of all rows, in the order of their ids."""
        return [
            (provider, value)
            for provider, value in self.query(
                "SELECT provider_id, transaction_value FROM historical_transactions ORDER BY id"
            )
        ]

    def wait_for_rows(self, count: int, seconds: float = 120.0) -> None:
        """Until that many are there, at least, and the queue is empty."""
        found: list[int] = [0, 0]

        def done() -> bool:
            with suppress(psycopg2.Error, pika.exceptions.AMQPError, OSError):
                found[0] = self.query("SELECT count(*) FROM historical_transactions")[0][0]
                found[1] = self.queue.waiting()
            return found[0] >= count and not found[1]

        try:
            until(done, seconds)
        except AssertionError:
            raise AssertionError(
                f"{found[0]} rows of {count}, {found[1]} messages wait\n{self.logs()}"
            ) from None

    def wait_for_minute(self, seconds: float = 150.0) -> tuple[Any, float, str]:
        """The next real minute that is written: it, its lateness, why it failed."""
        last = "SELECT minute, lateness_seconds, failure FROM stockroom_ledger.runs" + (
            " ORDER BY minute DESC LIMIT 1"
        )
        before = self.query(last)
        found = until(lambda: [row for row in self.query(last) if row not in before], seconds)
        return found[0]  # type: ignore[return-value]

    def wait_for_minute_that(self, ended: Callable[[str], bool]) -> tuple[Any, float, str]:
        """The next one that ended as wanted, by its failure; the last of TRIES if none does.

        A starved process may miss a minute, and says so.
        """
        for _ in range(TRIES):
            found = self.wait_for_minute()
            if ended(found[2]):
                break
        return found

    def balances(self) -> dict[str, str]:
        """What KeyDB shows."""
        return {key: self.keydb.get(key) for key in self.keydb.scan_iter()}  # type: ignore[misc]

    def right_balances(self) -> dict[str, str]:
        """What it must show, by the tables."""
        connection = psycopg2.connect(self.database_url)
        try:
            with connection, connection.cursor() as cursor:
                return oracle.balances_of(cursor)
        finally:
            connection.close()

    def logs(self) -> str:
        return "\n".join(process.log for process in self.instances)

    def close(self) -> None:
        for process in self.instances:
            kill_tree(process.child)
        with suppress(Exception):
            self.queue.delete()
        self.queue.close()
        self.keydb.close()


def values_of(bodies: Iterable[bytes]) -> list[tuple[int, Any]]:
    """Provider and value of well-formed messages."""
    read = [json.loads(each) for each in bodies]
    return [(each["id"], each["value"]) for each in read]


def fresh_database(url: str) -> str:
    """The address of a new empty database on the same server."""
    name = f"ledger_{os.getpid()}_{uuid.uuid4().hex[:8]}"
    _on_server(url, f"CREATE DATABASE {name}")
    return f"{url.rpartition('/')[0]}/{name}"


def drop_database(url: str, server: str) -> None:
    """Once its own clean-up (autovacuum), which nobody may end, has left it."""
    statement = f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)"

    def dropped() -> bool:
        with suppress(psycopg2.errors.InsufficientPrivilege, psycopg2.errors.ObjectInUse):
            _on_server(server, statement)
            return True
        return False

    until(dropped, 60)


def _on_server(url: str, statement: str) -> None:
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()

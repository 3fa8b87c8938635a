"""RabbitMQ, PostgreSQL, Valkey, histories and processes for the bench of the ledger."""

import math
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO, Any

import pika
import psycopg2

from bench.sales_stage import Rate, Worker
from config.services.stack import Stack

PROVIDERS = 2
READY_SECONDS = 300.0
POLL_SECONDS = 0.05
PERSISTENT = 2

# As the producer of the specification's stack makes them.
TABLES = """
CREATE TABLE initial_data (
    id serial PRIMARY KEY, provider_name text NOT NULL, initial_value numeric
);
CREATE TABLE historical_transactions (
    id serial, provider_id integer, transaction_value numeric
);
INSERT INTO initial_data (provider_name, initial_value) VALUES ('Visa', 1000), ('Mastercard', 2000)
"""
FILL = """
INSERT INTO historical_transactions
SELECT n, 1 + n %% %(providers)s, n * 7919 %% 2001 - 1000
FROM generate_series(1, %(rows)s::bigint) n
"""
# Made after the rows: a foreign key that is checked for each of 100,000,000 takes much memory.
KEYS = """
ALTER TABLE historical_transactions ADD PRIMARY KEY (id);
ALTER TABLE historical_transactions ADD FOREIGN KEY (provider_id) REFERENCES initial_data;
SELECT setval('historical_transactions_id_seq', greatest(max(id), 1), max(id) IS NOT NULL)
FROM historical_transactions
"""
COPY = "COPY historical_transactions (provider_id, transaction_value) FROM STDIN"


class Tables:
    """A database with the specification's two tables, and a queue that nobody else has."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.queue = f"incoming-{uuid.uuid4().hex[:8]}"
        self._connection = psycopg2.connect(url)
        self._connection.autocommit = True

    def sql(self, statement: str, values: Any = None) -> list[tuple[Any, ...]]:
        """Rows of a statement."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def make(self, rows: int) -> None:
        """Make the tables, with so many transactions of history."""
        self.sql(TABLES)
        self.sql(FILL, {"providers": PROVIDERS, "rows": rows})
        self.sql(KEYS)
        self.sql("VACUUM ANALYZE historical_transactions")

    def copied(self, file: IO[str], count: int) -> Rate:
        """Copy so many rows from a file; only the clock is of use."""
        began = time.monotonic()
        with self._connection.cursor() as cursor:
            cursor.copy_expert(COPY, file)
        return Rate(count, time.monotonic() - began, math.nan)

    def highest(self) -> int:
        """The highest id, which is how many rows are there: nothing else takes ids."""
        return int(self.sql("SELECT coalesce(max(id), 0) FROM historical_transactions")[0][0])

    def megabytes(self) -> float:
        """What the transactions take on disk, with their index."""
        found = self.sql("SELECT pg_total_relation_size('historical_transactions')")
        return float(found[0][0]) / 1e6

    def close(self) -> None:
        self._connection.close()


class Stage:
    """The engines, and what is made on them."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.environment = stack.environment
        self.folder = folder
        self._numbers = count(1)

    @contextmanager
    def tables(self, rows: int) -> Iterator[Tables]:
        """In a database of its own, which is dropped at the end of the block."""
        server = self.environment["DATABASE_URL"]
        name = f"ledger_{next(self._numbers)}"
        self._on_server(f"CREATE DATABASE {name}")
        made = Tables(f"{server.rpartition('/')[0]}/{name}")
        try:
            made.make(rows)
            yield made
        finally:
            made.close()
            self._on_server(f"DROP DATABASE {name} WITH (FORCE)")

    def _on_server(self, statement: str) -> None:
        connection = psycopg2.connect(self.environment["DATABASE_URL"])
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
        finally:
            connection.close()

    def worker(self, what: str, words: Sequence[str], tables: Tables) -> Worker:
        """Start a Python process with these arguments, for that database and queue."""
        log = self.folder / f"{what}-{next(self._numbers)}.log"
        given = {"LEDGER_DATABASE_URL": tables.url, "LEDGER_QUEUE": tables.queue}
        return Worker(words, {**self.environment, **given}, log)

    def consumer(self, tables: Tables, code: str = "") -> Worker:
        """Start the real consumer's process; `code`, if any, runs in it before."""
        words = ["manage.py", "run_consumer", "ledger"]
        if code:
            words = [
                "-c",
                f"{code}\nfrom django.core.management import execute_from_command_line\n"
                f"execute_from_command_line({words!r})\n",
            ]
        return self.worker("consumer", words, tables)

    def fill(self, queue: str, bodies: Sequence[bytes], *, ids: bool) -> None:
        """Send them, persistent; on return the broker has all."""
        with self.channel() as channel:
            channel.queue_declare(queue, durable=True)
            for body in bodies:
                properties = pika.BasicProperties(
                    delivery_mode=PERSISTENT, message_id=str(uuid.uuid4()) if ids else None
                )
                channel.basic_publish("", queue, body, properties)
        deadline = time.monotonic() + READY_SECONDS
        while (there := self.waiting(queue)) < len(bodies):
            if time.monotonic() > deadline:
                raise SystemExit(f"the broker has {there:,} of {len(bodies):,} messages")
            time.sleep(POLL_SECONDS)

    def waiting(self, queue: str) -> int:
        """Messages that nobody holds."""
        with self.channel() as channel:
            return int(channel.queue_declare(queue, passive=True).method.message_count)

    @contextmanager
    def channel(self) -> Iterator[Any]:
        connection = pika.BlockingConnection(pika.URLParameters(self.environment["AMQP_URL"]))
        try:
            yield connection.channel()
        finally:
            connection.close()


def complain(worker: Worker) -> None:
    """Print the last of its warnings, if there are any: then what it did is not the usual."""
    said = worker.said().strip()
    if said:
        print(f"   WARNED: {said.splitlines()[-1]}", flush=True)


@contextmanager
def running(folder: Path) -> Iterator[Stage]:
    """Engines of the bench's own, as `make run` starts them."""
    environment = {"LOG_LEVEL": "WARNING", **os.environ}
    engines = ("postgres", "valkey", "rabbitmq")
    with Stack(folder / "var", environment, roles=(), engines=engines, port=0) as stack:
        stack.start_engines()
        yield Stage(stack, folder)

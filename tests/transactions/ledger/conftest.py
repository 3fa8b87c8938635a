"""Fixtures of the ledger's tests: a database of the test's own, KeyDB, RabbitMQ."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import redis

from config.services.engine import Engine
from tests.transactions.ledger.stage import (
    LedgerStage,
    drop_database,
    fresh_database,
    make_tables,
)
from transactions.ledger.engine import tables

KEYDB_DATABASE = 13  # which no other tests use


@pytest.fixture
def database_url(postgres_engine: Engine) -> Iterator[str]:
    """The address of an empty database on the run's PostgreSQL."""
    server = postgres_engine.variables()["DATABASE_URL"]
    url = fresh_database(server)
    yield url
    drop_database(url, server)


@pytest.fixture
def connect(database_url: str) -> Iterator[Callable[[], Any]]:
    """`connect()`: a session of that database, closed with the test."""
    made: list[Any] = []

    def make() -> Any:
        made.append(psycopg2.connect(database_url))
        return made[-1]

    yield make
    for connection in made:
        connection.close()


@pytest.fixture
def connection(connect: Callable[[], Any]) -> Any:
    """A session of that database, with the ledger's own schema."""
    made = connect()
    tables.make_ours(made)
    return made


@pytest.fixture
def keydb_url(valkey_engine: Engine) -> Iterator[str]:
    """The address of an empty database on the run's Valkey."""
    url = f"{valkey_engine.variables()['KEYDB_URL'].rpartition('/')[0]}/{KEYDB_DATABASE}"
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        yield url
        client.flushdb()


@pytest.fixture
def stage(database_url: str, rabbitmq: Engine, keydb_url: str, tmp_path: Path) -> Iterator[Any]:
    """A fresh queue on the run's RabbitMQ, and instances that end with the test."""
    made = LedgerStage(database_url, rabbitmq.variables()["AMQP_URL"], keydb_url, tmp_path)
    yield made
    made.close()


@pytest.fixture
def sample(stage: LedgerStage, connect: Callable[[], Any]) -> LedgerStage:
    """With the queue, and the tables and rows of the specification."""
    make_tables(connect())
    stage.queue.declare()
    return stage

"""Fixtures of the ledger's pages and API: a database of the test's own, a clear board."""

import os
import socket
from collections.abc import Iterator

import pytest
from pytest_django import Settings

from config.accounts.models import User
from config.outage import Outage
from config.services.engine import Engine
from tests.transactions import bookkeeping
from tests.transactions.bookkeeping import Ledger
from tests.transactions.ledger.stage import drop_database, fresh_database
from transactions.ledger import board, reading


@pytest.fixture
def user(django_user_model: type[User]) -> User:
    return django_user_model.objects.create_user("ana", password="a-long-enough-password")


@pytest.fixture
def ledger(
    postgres_engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Ledger]:
    """An empty database that pages and API read; nobody on the board, no RabbitMQ."""
    server = postgres_engine.variables()["DATABASE_URL"]
    url = fresh_database(server)
    settings.LEDGER_DATABASE_URL = url
    settings.AMQP_URL = ""
    monkeypatch.setattr(board.BOARD, "outage", Outage("snapshots of ledger"))
    board_url = settings.REDIS_URL
    bookkeeping.clear(board_url)
    made = Ledger(url)
    yield made
    made.close()
    reading.pool(url, os.getpid()).close()
    bookkeeping.clear(board_url)
    drop_database(url, server)


@pytest.fixture
def unused_tcp_port() -> Iterator[int]:
    """A port on which nobody answers: bound, and never listened on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]

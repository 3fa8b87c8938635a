import socket
from collections.abc import Iterator

import pytest
from pytest_django import Settings

from config.accounts.models import User
from config.outage import Outage
from streaming.prices import board as prices_board
from streaming.sales import board
from tests.streaming import pricing, showing


@pytest.fixture
def clear_board(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[None]:
    """A board with nothing on it, before and after; what is put there stays for 3 minutes."""
    settings.SALES_SNAPSHOT_SECONDS = 60.0  # stale after 121 s, however slow the machine is
    monkeypatch.setattr(board.BOARD, "outage", Outage("snapshots of sales"))
    url = settings.REDIS_URL
    showing.clear(url)
    yield
    showing.clear(url)


@pytest.fixture
def no_prices(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[None]:
    """No stock and no updater, before and after; what is put on the board stays for 3 minutes."""
    settings.PRICES_SNAPSHOT_SECONDS = 60.0  # stale after 121 s, however slow the machine is
    monkeypatch.setattr(prices_board.BOARD, "outage", Outage("snapshots of prices"))
    urls = settings.PRICES_REDIS_URL, settings.REDIS_URL
    pricing.clear(*urls)
    yield
    pricing.clear(*urls)


@pytest.fixture
def user(django_user_model) -> User:
    return django_user_model.objects.create_user("ana", password="a-long-enough-password")


@pytest.fixture
def unused_tcp_port() -> Iterator[int]:
    """A port on which nobody answers: bound, and never listened on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]

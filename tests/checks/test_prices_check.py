"""Histories of stocks: right as the updater writes them, each planted fault is found."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from config.checks.findings import NotChecked
from config.checks.kinds import prices
from streaming.prices import keys
from tests.checks.looking import look, told
from tests.streaming import pricing


@pytest.fixture
def client(market: redis.Redis) -> Iterator[Any]:
    """An empty Redis, with two stocks."""
    pricing.add("stock1", ("090000", "10"), ("090010", "10.5"), ("090020", ""))
    pricing.add("stock2", ("090000", ""))
    yield market


def test_no_stocks_say_so(market):
    outcome = look("prices")
    assert (outcome.looked_at, outcome.found) == (0, 0)
    assert outcome.summary == "There are no stocks yet."


@pytest.mark.parametrize("piece", [1024**2, 7])
def test_what_the_updater_writes_is_right(client, monkeypatch, piece):
    monkeypatch.setattr(prices, "PIECE_BYTES", piece)
    outcome = look("prices")
    assert told(outcome) == []
    assert outcome.summary == "2 stocks with 4 rows, 1 position."


def test_a_history_that_was_cut_is_right(market):
    cut = pricing.store(kept=2)
    pricing.add("stock1", ("090000", "10"), ("090010", ""), ("090020", ""), into=cut)
    pricing.add("stock1", ("090030", ""), into=cut)
    assert told(look("prices")) == []


def test_values_of_others_are_read_as_the_updater_would(client):
    client.set("stock1", '{"id": 1, "time": ["090000"], "price": [3]}')
    assert told(look("prices")) == []
    client.set("stock1", '{"id": 1, "time": ["090000"], "price": [3, 4]}')
    (said,) = told(look("prices"))
    assert said.startswith("stock stock1: ") and said.endswith("1 times, but 2 prices")


@pytest.mark.parametrize("piece", [1024**2, 7])
def test_lists_of_other_lengths_are_found(client, monkeypatch, piece):
    monkeypatch.setattr(prices, "PIECE_BYTES", piece)
    text = client.get("stock1").replace(b"10,10.5", b"10010.5")
    client.set("stock1", text)
    said = told(look("prices"))
    assert "stock stock1: 3 times, but 2 prices" in said


def test_a_newest_price_that_is_another_is_found(client):
    client.hset(keys.beside("stock1"), "latest", "99")
    assert told(look("prices")) == ["stock stock1: its newest price is 10.5, kept is 99"]


def test_a_count_that_is_another_is_found(client):
    client.hset(keys.beside("stock1"), "count", "4")
    assert told(look("prices")) == ["stock stock1: 3 rows in its lists, 4 are counted"]


def test_missing_and_strange_values_are_found(client):
    client.delete("stock1")
    client.delete("stock2")
    client.lpush("stock2", "x")
    assert told(look("prices")) == [
        "stock stock1: its value is missing",
        "stock stock2: its value holds a list",
    ]


def test_positions_that_are_none_are_found(client):
    client.hset(keys.POSITIONS, "kafka:main_topic:0", "12 one")
    client.hset(keys.POSITIONS, "kafka:main_topic:1", "12 two")
    client.hset(keys.POSITIONS, "kafka:main_topic:2", "nowhere")
    said = "\n".join(told(look("prices")))
    assert 'position kafka:main_topic:2: is at "nowhere", which is no position' in said
    assert "is of a topic with id" in said


def test_with_redis_away_that_is_said(settings, unused_tcp_port):
    settings.PRICES_REDIS_URL = f"redis://127.0.0.1:{unused_tcp_port}/0"
    with pytest.raises(NotChecked, match="Redis: "):
        look("prices")

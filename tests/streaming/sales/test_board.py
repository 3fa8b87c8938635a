"""The board in a real Valkey: what is published is read until it is not renewed."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from pytest_django import Settings

from config import live
from config.live import throttling
from config.live.board import KEPT_SECONDS
from config.outage import Outage
from config.services.engine import Engine
from streaming.sales import board
from tests.services.waiting import until


@pytest.fixture
def server(
    own_valkey: Callable[[], Engine], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Engine:
    engine = own_valkey()
    settings.REDIS_URL = engine.variables()["REDIS_URL"]
    monkeypatch.setattr(board.BOARD, "outage", Outage("snapshots of sales"))
    return engine


@pytest.fixture
def client(server: Engine, settings: Settings) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(settings.REDIS_URL, decode_responses=True) as client:
        yield client


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """What is sent to open pages."""
    sent: list[tuple[str, Any]] = []
    monkeypatch.setattr(throttling, "publish", lambda *event: sent.append(event))
    monkeypatch.setattr(throttling, "_throttles", type(throttling._throttles)())
    return sent


def snapshot(instance: str = "one", **values: Any) -> dict[str, Any]:
    return {"instance": instance, "version": 1, "at": time.time(), "group": "sales", **values}


def without_age(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    added = ("age_seconds", "every_seconds")
    return [{k: v for k, v in each.items() if k not in added} for each in found]


def test_all_are_read_by_group_and_instance(client):
    assert board.snapshots() == []
    given = [snapshot("one"), snapshot("two", top=[{"sum": "12.50"}]), snapshot("a", group="other")]
    for each in given:
        board.publish(each)

    found = board.snapshots()

    assert without_age(found) == [given[2], given[0], given[1]]
    assert all(0 <= each["age_seconds"] < KEPT_SECONDS for each in found)


def test_the_next_one_of_an_instance_takes_the_place_of_its_last(client):
    board.publish(snapshot(state="replaying"))
    board.publish(snapshot(state="running"))

    assert [each["state"] for each in board.snapshots()] == ["running"]


def test_one_that_is_not_renewed_ages_and_is_gone_after_ten_seconds(client):
    board.publish(snapshot())
    (key,) = client.zrange(board.SNAPSHOTS, 0, -1)
    assert 5_000 < client.pttl(key) <= 10_000

    client.pexpire(key, 4_000)
    (found,) = board.snapshots()
    assert 6 <= found["age_seconds"] < 10

    client.pexpire(key, 1)
    until(lambda: board.snapshots() == [])


def test_rare_snapshots_are_kept_for_three_of_their_periods(client, settings):
    settings.SALES_SNAPSHOT_SECONDS = 60.0
    board.publish(snapshot())
    (key,) = client.zrange(board.SNAPSHOTS, 0, -1)
    assert 170_000 < client.pttl(key) <= 180_000


def test_the_index_forgets_instances_long_gone(client):
    client.zadd(board.SNAPSHOTS, {"gone": 1})

    board.publish(snapshot())

    assert len(client.zrange(board.SNAPSHOTS, 0, -1)) == 1


def test_publishing_is_one_round_trip(client, monkeypatch):
    board.publish(snapshot())  # the connection is there from now on
    sent: list[int] = []
    send = redis.connection.AbstractConnection.send_packed_command

    def counted(self, *arguments: Any, **options: Any) -> Any:
        sent.append(1)
        return send(self, *arguments, **options)

    monkeypatch.setattr(redis.connection.AbstractConnection, "send_packed_command", counted)
    monkeypatch.setattr(live, "throttle", lambda channel: throttling.Throttle(channel))
    monkeypatch.setattr(throttling, "publish", lambda *event: None)

    board.publish(snapshot())

    assert len(sent) == 1


def test_open_pages_hear_of_it_but_not_too_often(client, events, settings):
    settings.LIVE_EVENTS_PER_SECOND = 0.01
    for _ in range(3):
        board.publish(snapshot(at=7.5))

    assert events == [("sales", {"at": 7.5})]


def test_what_is_not_json_is_refused(client):
    with pytest.raises(ValueError):
        board.publish(snapshot(rate_in=float("nan")))
    assert board.snapshots() == []


def test_without_redis_publishing_fails_at_once_until_it_may_be_back(server, settings, events):
    settings.LIVE_OUTAGE_SECONDS = 600
    board.publish(snapshot())
    server.kill()

    with pytest.raises(redis.RedisError):
        board.publish(snapshot())
    with pytest.raises(redis.ConnectionError, match="a moment ago"):
        board.publish(snapshot())
    for read in (board.snapshots, board.watched, lambda: board.watch("A")):
        with pytest.raises(redis.RedisError):
            read()
    assert len(events) == 1

    server.start()
    board.BOARD.outage._retry_at = 0.0  # its time is over

    def published() -> bool:
        try:
            board.publish(snapshot("two"))
        except redis.RedisError:
            return False
        return True

    until(published)
    assert "two" in [each["instance"] for each in board.snapshots()]


def test_a_watched_code_is_forgotten_when_nobody_looks_any_more(client):
    assert board.watched() == []
    board.watch("85123A")
    assert board.watched() == ["85123A"]
    assert 0 < client.ttl(board.WATCHED) <= board.WATCH_SECONDS

    # Somebody looks at another one half a minute later.
    client.zadd(board.WATCHED, {"85123A": time.time() - board.WATCH_SECONDS - 1})
    board.watch("ä / ☃")
    assert board.watched() == ["ä / ☃"]


def test_at_most_fifty_codes_are_watched_the_last_ones(client):
    for number in range(60):
        board.watch(str(number))
    board.watch("30")

    assert board.watched() == ["30", *(str(n) for n in range(59, 9, -1) if n != 30)]
    assert len(board.watched()) == board.WATCHED_MOST


def test_it_is_json_that_anybody_can_read(client):
    given = snapshot(at=1.0, top=[{"stock_code": "ä\u2028"}])
    board.publish(given)
    (key,) = client.zrange(board.SNAPSHOTS, 0, -1)
    assert json.loads(client.get(key)) == {**given, "every_seconds": 1.0}


def test_an_instance_that_ended_is_taken_off(client):
    board.publish(snapshot("a"))
    board.publish(snapshot("b"))
    board.remove("sales", "a")
    assert [each["instance"] for each in board.snapshots()] == ["b"]
    board.remove("sales", "nobody")

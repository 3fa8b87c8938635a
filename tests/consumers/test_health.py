"""Publishing and reading health, in this process against a real Redis."""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from pytest_django import Settings

from config.consumers.health import INDEX_KEY, Reporter, consumer_health, publish_health
from config.consumers.host import Hosted
from config.services.engine import Engine

from .processes import wait_until

AT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def server(own_valkey: Callable[[], Engine], settings: Settings) -> Engine:
    engine = own_valkey()
    settings.REDIS_URL = engine.variables()["REDIS_URL"]
    settings.CONSUMER_HEALTH_SECONDS = 0.1
    return engine


@pytest.fixture
def client(server: Engine, settings: Settings) -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL)


def record(name: str, **values: Any) -> dict[str, Any]:
    return {
        "name": name,
        "host": "here",
        "pid": 1,
        "state": "running",
        "started_at": AT,
        "beaten_at": AT,
        "error": None,
        "health": {},
        **values,
    }


def test_all_are_read_by_name_host_and_pid(client: redis.Redis, settings: Settings) -> None:
    settings.CONSUMER_HEALTH_SECONDS = 60.0
    assert consumer_health() == []
    given = [record("a", pid=9), record("a", pid=10), record("b", host="a"), record("b", host="b")]

    for one in reversed(given):
        publish_health(one)

    assert consumer_health() == given


def test_one_that_falls_silent_expires(client: redis.Redis, settings: Settings) -> None:
    settings.CONSUMER_HEALTH_SECONDS = 60.0
    publish_health(record("a"))
    assert 0 < client.pttl(f"{INDEX_KEY}:a:here:1") <= 180_000
    settings.CONSUMER_HEALTH_SECONDS = 0.1
    publish_health(record("a"))

    wait_until("it has expired", lambda: consumer_health() == [])


def test_the_index_forgets_those_long_gone(client: redis.Redis) -> None:
    client.zadd(INDEX_KEY, {"gone": 1})

    publish_health(record("a"))

    assert client.zrange(INDEX_KEY, 0, -1) == [f"{INDEX_KEY}:a:here:1".encode()]


def test_without_redis_reading_says_so(server: Engine) -> None:
    server.kill()

    with pytest.raises(redis.RedisError):
        consumer_health()


class Patient:
    """Runs until stopped; `health()` gives or raises what it was made with."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def run(self, stop: threading.Event) -> None:
        stop.wait()

    def health(self) -> dict[str, Any]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (KeyError("topic"), "health() raised KeyError: 'topic'"),
        ({"at": object()}, "health() is not JSON: Object of type object is not JSON serializable"),
        ({"lag": float("nan")}, "health() is not JSON: Out of range float values"),
    ],
)
def test_a_failing_health_is_shown_as_such(
    server: Engine, settings: Settings, answer: Any, error: str
) -> None:
    settings.CONSUMER_HEALTH_SECONDS = 20.0  # what is shown last stays for a minute
    stop = threading.Event()
    hosted = Hosted("patient", Patient(answer), stop, lambda hosted: None)
    hosted.start()

    shown = wait_until("it is shown", lambda: [r for r in consumer_health() if r["error"]])
    stop.set()
    hosted.reporter.join(60.0)

    assert shown[0]["state"] == "running"
    assert shown[0]["error"].startswith(error)
    assert shown[0]["health"] == {}
    assert consumer_health()[0]["state"] == "stopped"


def test_an_outage_is_logged_once(server: Engine, caplog: pytest.LogCaptureFixture) -> None:
    beats: list[int] = []

    def snapshot() -> dict[str, Any]:
        beats.append(1)
        return record("a")

    caplog.set_level("INFO", logger="config.consumers.health")
    server.kill()
    reporter = Reporter("a", snapshot)
    reporter.start()
    wait_until("some have failed", lambda: len(beats) > 3)
    server.start()
    wait_until("it is seen again", lambda: consumer_health())
    wait_until("and says so", lambda: "again" in caplog.text)
    reporter.end()
    reporter.join(60.0)

    assert [r.levelname for r in caplog.records if r.name == "config.consumers.health"] == [
        "WARNING",
        "INFO",
    ]


def test_the_stored_text_is_json(client: redis.Redis, settings: Settings) -> None:
    settings.CONSUMER_HEALTH_SECONDS = 60.0
    publish_health(record("a", health={"lag": 3}))

    text = client.get(f"{INDEX_KEY}:a:here:1")

    assert isinstance(text, bytes)
    assert json.loads(text)["health"] == {"lag": 3}

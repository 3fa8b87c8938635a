"""What is known of consumers, in words: for the samples that the page Operations shows."""

from datetime import UTC, datetime
from typing import Any

import pytest
import redis

from config.consumers.health import INDEX_KEY, publish_health
from config.consumers.overview import overview, said

DEMO = "tests.consumers.demo.Demo"


def beat(name: str, **fields: Any) -> None:
    """A consumer called `name` shows its health."""
    running = {
        "host": "box",
        "pid": 7,
        "state": "running",
        "started_at": "2026-01-02T03:04:05+00:00",
        "beaten_at": "2026-01-02T03:04:06+00:00",
        "error": None,
        "health": {},
    }
    publish_health({"name": name, **running, **fields})


@pytest.fixture
def known(settings):
    """`known()`: records by name, with no consumers of tests before and none that should run."""
    with redis.Redis.from_url(settings.REDIS_URL) as engine:
        engine.delete(INDEX_KEY)
    settings.CONSUMER_CLASSES = {}
    return lambda: {each["name"]: each for each in overview()}


def test_a_consumer_has_its_state_and_what_it_says(known):
    beat("look-test", state="crashed", error="ValueError: <b>", health={"lag": 12})
    record = known()["look-test"]
    assert (record["state"], record["error"]) == ("crashed", "ValueError: <b>")
    assert record["says"] == [("lag", 12)]


def test_redis_away_is_an_error_for_who_asks(known, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    with pytest.raises(redis.RedisError):
        known()


def test_one_that_does_not_run_has_the_command_that_starts_it(known, settings):
    settings.CONSUMER_CLASSES = {"deliveries": DEMO, "own-one": DEMO}
    found = known()
    assert [each["state"] for each in found.values()] == ["not running"] * 2
    procfile = (settings.BASE_DIR / "Procfile").read_text()
    command = "celery -A config.celery worker --pool solo --consumer deliveries -l INFO"
    assert f"deliveries: {command}\n" in procfile
    assert found["deliveries"]["command"] == command
    assert found["deliveries"]["process"] == "deliveries"
    own = "celery -A config.celery worker --pool solo --consumer own-one -l INFO"
    assert (found["own-one"]["command"], found["own-one"]["process"]) == (own, "")


def test_one_that_is_heard_of_needs_no_start(known, settings):
    settings.CONSUMER_CLASSES = {"own-two": DEMO}
    assert known()["own-two"]["state"] == "not running"
    beat("own-two")
    assert (known()["own-two"]["state"], known()["own-two"]["host"]) == ("running", "box")
    assert len(overview()) == 1


def test_what_a_consumer_says_is_in_words(known):
    health = {"in_flight": 3, "attempts": 1, "last_round_at": "2026-01-02T03:04:06Z", "items": 9}
    beat("own-three", health=health)
    assert known()["own-three"]["says"] == [
        ("sending", 3),
        ("attempts since its start", 1),
        ("last round", datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC)),
        ("items", 9),
    ]


def test_names_are_told_without_underscores_and_only_instants_are_instants():
    health = {"rows_read": 5, "broken_at": "somewhere", "begun_at": "2026-01-02", "ended_at": None}
    assert said(health) == [("rows read", 5), ("broken", "somewhere"), ("begun", "2026-01-02")]

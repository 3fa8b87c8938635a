from typing import Any

import pytest
import redis

from config.consumers.health import INDEX_KEY, publish_health
from config.consumers.overview import said

pytestmark = pytest.mark.django_db
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
def page(client, user, settings):
    """Its text, with no consumers of tests before."""
    with redis.Redis.from_url(settings.REDIS_URL) as engine:
        engine.delete(INDEX_KEY)
    client.force_login(user)
    return lambda: client.get("/operations/").content.decode()


def test_it_names_each_engine(page):
    shown = page()
    assert "postgres" in shown and "redis" in shown


def test_it_shows_a_consumer_with_what_it_says(page):
    beat("look-test", state="crashed", error="ValueError: <b>", health={"lag": 12})
    shown = page()
    assert "look-test" in shown and '<span class="muted">lag</span> 12' in shown
    assert "crashed" in shown and "ValueError: &lt;b&gt;" in shown


def test_it_opens_while_redis_is_away(page, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    shown = page()
    assert "Redis is away" in shown and "postgres" in shown


def test_it_says_how_to_start_a_consumer_that_does_not_run(page, settings):
    settings.CONSUMER_CLASSES = {"deliveries": DEMO, "own-one": DEMO}
    shown = page()
    assert shown.count(">not running<") == 2
    assert "<code>make run</code> starts it" in shown
    procfile = (settings.BASE_DIR / "Procfile").read_text()
    command = "celery -A config.celery worker --pool solo --consumer deliveries -l INFO"
    assert f"deliveries: {command}\n" in procfile and f"<code>{command}</code>" in shown
    assert "Start it with <code>celery -A config.celery worker --pool solo --consumer own-" in shown


def test_one_that_is_heard_of_needs_no_start(page, settings):
    settings.CONSUMER_CLASSES = {"own-two": DEMO}
    assert ">not running<" in page()
    beat("own-two")
    shown = page()
    assert ">not running<" not in shown and "box · 7" in shown


def test_what_a_consumer_says_is_in_words(page):
    health = {"in_flight": 3, "attempts": 1, "last_round_at": "2026-01-02T03:04:06Z", "items": 9}
    beat("own-three", health=health)
    shown = page()
    for words in ("sending</span> 3", "attempts since its start</span> 1", "items</span> 9"):
        assert words in shown
    assert 'last round</span> <time datetime="2026-01-02T03:04:06+00:00" data-local="time"' in shown


def test_names_are_told_without_underscores_and_only_instants_are_instants():
    health = {"rows_read": 5, "broken_at": "somewhere", "begun_at": "2026-01-02", "ended_at": None}
    assert said(health) == [("rows read", 5), ("broken", "somewhere"), ("begun", "2026-01-02")]

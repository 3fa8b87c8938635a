import pytest
import redis
from django.conf import settings

from config.metrics import requests, sums
from tests.services.waiting import until


@pytest.fixture(autouse=True)
def _nothing_counted(monkeypatch):
    monkeypatch.setattr(requests, "_counts", {})
    monkeypatch.setattr(sums, "KEY", "stockroom:requests:test")
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.delete(sums.KEY)
    yield
    client.delete(sums.KEY)


def pages() -> int:
    found = sums.totals().get(("page", "2xx"))
    return found.count if found else 0


def test_processes_add_up(settings) -> None:
    settings.CONSUMER_HEALTH_SECONDS = 0.05
    for expected in (1, 2):  # the second finds what the first left
        counting = sums.Counting()
        requests._counts.clear()
        counting.start()
        requests.count("/", b"", 200, 0.01)
        until(lambda expected=expected: pages() == expected)
        counting.end()
    assert pages() == 2
    assert sums.totals()["page", "2xx"].seconds == 0.02


def test_nothing_is_lost_while_redis_is_away(settings) -> None:
    settings.CONSUMER_HEALTH_SECONDS = 0.05
    here = settings.REDIS_URL
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    counting = sums.Counting()
    requests.count("/", b"", 200, 0.01)
    counting.start()
    until(lambda: counting._away)
    requests.count("/", b"", 200, 0.01)
    settings.REDIS_URL = here
    until(lambda: pages() == 2)
    counting.end()
    assert pages() == 2


def test_the_last_ones_are_added_at_the_end(settings) -> None:
    settings.CONSUMER_HEALTH_SECONDS = 600.0
    counting = sums.Counting()
    counting.start()
    requests.count("/", b"", 200, 0.01)
    counting.end()
    assert pages() == 1

import pytest

from config.consumers.health import publish_health

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(client, user):
    client.force_login(user)
    return lambda: client.get("/operations/").content.decode()


def test_it_names_each_engine(page):
    shown = page()
    assert "postgres" in shown and "redis" in shown


def test_it_shows_a_consumer_with_what_it_says(page):
    publish_health(
        {
            "name": "look-test",
            "host": "box",
            "pid": 7,
            "state": "crashed",
            "started_at": "2026-01-02T03:04:05+00:00",
            "beaten_at": "2026-01-02T03:04:06+00:00",
            "error": "ValueError: <b>",
            "health": {"lag": 12},
        }
    )
    shown = page()
    assert "look-test" in shown and '<span class="muted">lag</span> 12' in shown
    assert "crashed" in shown and "ValueError: &lt;b&gt;" in shown


def test_it_opens_while_redis_is_away(page, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    shown = page()
    assert "Redis is away" in shown and "postgres" in shown

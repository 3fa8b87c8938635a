import json

import pytest
import redis
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from config.accounts.models import User
from config.operations import sample
from tests.operations.example import EXAMPLE
from tests.operations.keeping import apart

TOKEN = "metrics-token-of-a-test-0123456789"


@pytest.fixture
def _sampled(settings):
    settings.REDIS_URL = apart(settings.REDIS_URL)
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.set(sample.SAMPLE, json.dumps(EXAMPLE), ex=60)
    yield
    client.delete(sample.SAMPLE)


def scrape(authorization: str = "", **headers: str):
    given = {"Authorization": authorization} if authorization else {}
    return Client().get("/metrics", headers={**given, **headers})


@pytest.mark.usefixtures("_sampled")
def test_with_the_token_it_gives_metrics_without_the_database(settings) -> None:
    settings.METRICS_TOKEN = TOKEN
    answer = scrape(f"Bearer {TOKEN}")  # not marked django_db: a query would fail
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert "no-store" in answer.headers["Cache-Control"]
    names = {each.name for each in text_string_to_metric_families(answer.content.decode())}
    assert {"stockroom_orders_open", "stockroom_sample_age_seconds"} <= names


def test_it_speaks_openmetrics_to_those_who_ask(settings) -> None:
    settings.METRICS_TOKEN = TOKEN
    answer = scrape(f"Bearer {TOKEN}", Accept="application/openmetrics-text; version=1.0.0")
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.content.endswith(b"# EOF\n")


@pytest.mark.parametrize(
    ("wanted", "given", "says"),
    [
        (TOKEN, "", "Sign in"),
        (TOKEN, f"Bearer {TOKEN}x", "not the METRICS_TOKEN"),
        (TOKEN, "Bearer \xe9", "not the METRICS_TOKEN"),
        (TOKEN, f"Basic {TOKEN}", "Sign in"),
        ("", "", "Sign in"),
        ("", "Bearer ", "set METRICS_TOKEN"),
        ("", "Bearer x", "set METRICS_TOKEN"),
    ],
)
def test_it_is_closed(settings, wanted: str, given: str, says: str) -> None:
    settings.METRICS_TOKEN = wanted
    answer = scrape(given)
    assert answer.status_code == 401
    assert says in answer.content.decode()
    assert "stockroom_" not in answer.content.decode()
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


@pytest.mark.django_db
@pytest.mark.parametrize("wanted", ["", TOKEN])
def test_people_who_are_signed_in_may_read_it(settings, client, wanted: str) -> None:
    settings.METRICS_TOKEN = wanted
    client.force_login(User.objects.create_user("ana"))
    assert client.get("/metrics").status_code == 200


def test_without_redis_it_answers_and_says_so(settings) -> None:
    settings.METRICS_TOKEN = TOKEN
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    answer = scrape(f"Bearer {TOKEN}")
    assert answer.status_code == 200
    assert "stockroom_sample_up 0.0" in answer.content.decode()


def test_it_takes_no_other_method(settings) -> None:
    settings.METRICS_TOKEN = TOKEN
    assert (
        Client().post("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 405
    )

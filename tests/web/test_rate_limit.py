"""A token's requests per minute, counted in Redis."""

import json
import logging
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client

from config import counters
from config.accounts import rate_limit
from config.accounts.tokens import issue
from config.outage import Outage
from tests.services.waiting import until

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_counts_of_other_tests(monkeypatch, settings):
    monkeypatch.setattr(rate_limit, "KEY_PREFIX", f"api-requests-{uuid.uuid4()}")
    monkeypatch.setattr(rate_limit, "_outage", Outage("counts of API requests"))
    settings.API_REQUESTS_PER_MINUTE = 3


@pytest.fixture
def owner(django_user_model):
    return django_user_model.objects.create_user("ana")


def client_of(user, *scopes: str) -> Client:
    token = issue(user, "ERP", scopes or ["catalogue:write"])[1]
    return Client(headers={"Authorization": f"Bearer {token}"})


def left(response) -> int:
    return int(response.headers["RateLimit-Remaining"])


def test_each_answer_says_what_is_left(owner):
    api = client_of(owner)
    answers = [api.get("/api/products/") for _ in range(3)]
    assert [left(answer) for answer in answers] == [2, 1, 0]
    assert {answer.status_code for answer in answers} == {200}
    assert answers[0].headers["RateLimit-Limit"] == "3"
    assert 0 < int(answers[0].headers["RateLimit-Reset"]) <= 60


def test_above_the_limit_it_says_when_to_come_back(owner):
    api = client_of(owner)
    for _ in range(3):
        api.get("/api/products/")
    refused = api.post("/api/products/", json.dumps({}), content_type="application/json")
    assert refused.status_code == 429
    error: dict[str, Any] = refused.json()["error"]
    assert error["code"] == "throttled" and " s." in error["message"]
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["RateLimit-Reset"] == refused.headers["Retry-After"]
    assert left(refused) == 0


def test_errors_count_and_say_what_is_left_too(owner):
    api = client_of(owner)
    assert left(api.get("/api/products/0/")) == 2
    assert left(api.get("/api/products/?nonsense=1")) == 1
    assert left(api.get("/api/imports/")) == 0
    assert api.get("/api/schema/").status_code == 429


def test_the_minute_ends(owner, monkeypatch):
    monkeypatch.setattr(rate_limit, "WINDOW_SECONDS", 2)
    api = client_of(owner)
    until(lambda: api.get("/api/products/").status_code == 429)
    first = until(lambda: (found := api.get("/api/products/")).status_code == 200 and found)
    assert left(first) == 2


def test_tokens_do_not_share_their_limit(owner):
    first, second = client_of(owner), client_of(owner)
    for _ in range(4):
        first.get("/api/products/")
    assert left(second.get("/api/products/")) == 2


def test_sessions_are_not_limited(owner):
    client = Client()
    client.force_login(owner)
    answers = [client.get("/api/products/") for _ in range(5)]
    assert {answer.status_code for answer in answers} == {200}
    assert "RateLimit-Limit" not in answers[0].headers


def test_parts_of_an_upload_are_not_counted(owner):
    api = client_of(owner)
    tus = {"Tus-Resumable": "1.0.0"}
    created = api.post("/api/uploads/", headers={**tus, "Upload-Length": "10"})
    assert left(created) == 2
    for offset in range(10):
        part = api.patch(
            created.headers["Location"],
            b"x",
            content_type="application/offset+octet-stream",
            headers={**tus, "Upload-Offset": str(offset)},
        )
        assert part.status_code == 204 and "RateLimit-Limit" not in part.headers
    assert left(api.get("/api/products/")) == 1


@pytest.mark.django_db(transaction=True)
def test_requests_at_the_same_time_do_not_slip_through(owner, settings):
    settings.API_REQUESTS_PER_MINUTE = 10
    api = client_of(owner)

    def get(_: int) -> int:
        try:
            return api.get("/api/products/0/").status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(get, range(24)))
    assert sorted(statuses) == [404] * 10 + [429] * 14


def test_without_redis_nobody_is_limited_and_it_is_logged_once(owner, settings, caplog):
    settings.CACHES = {
        "default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}
    }
    settings.LIVE_OUTAGE_SECONDS = 0
    api = client_of(owner)
    with caplog.at_level(logging.INFO, "config.outage"):
        answers = [api.get("/api/products/") for _ in range(6)]
    assert {answer.status_code for answer in answers} == {200}
    assert "RateLimit-Limit" not in answers[0].headers
    said = [line for line in caplog.messages if "counts of API requests" in line]
    assert len(said) == 1


def test_a_counter_always_has_its_end():
    key = f"test-{uuid.uuid4()}"
    assert counters.count(key, 60).count == 1
    again = counters.count(key, 60)
    assert again.count == 2 and 0 < again.seconds_left <= 60
    assert cache._cache.get_client().ttl(cache.make_key(key)) > 0

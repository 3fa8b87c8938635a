"""`Idempotency-Key`: a repeated request acts once and gets the same answer."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from config.accounts.tokens import issue
from config.idempotency import answers, sweep
from config.idempotency.models import GivenAnswer
from products.models import Product
from tests.services.waiting import until
from webhooks.models import Event

BODY = {"sku": "AB-1", "name": "Lamp"}


@pytest.fixture
def owner(django_user_model):
    return django_user_model.objects.create_user("ana")


@pytest.fixture
def api(owner) -> Client:
    return client_of(owner)


def client_of(user) -> Client:
    return Client(headers={"Authorization": f"Bearer {issue(user, 'ERP', ['catalogue:write'])[1]}"})


def create(client: Client, key: str | None, body: Any = BODY, **more: Any):
    headers = {} if key is None else {"Idempotency-Key": key}
    data = body if isinstance(body, str) else json.dumps(body)
    more.setdefault("content_type", "application/json")
    return client.post("/api/products/", data, headers=headers, **more)


def error(response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.content
    return response.json()["error"]


@contextmanager
def other_request(owner, key: str, *, body: Any = BODY, commit: bool) -> Iterator[None]:
    """Another request with `key` acts, in a connection of its own, until the block ends."""
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            digest = answers._digest(body)
            cursor.execute(answers.INSERT, [owner.pk, "products.create", key, digest])
            cursor.execute(
                "UPDATE idempotency_givenanswer SET status = 201, body = %s WHERE id = %s",
                [json.dumps('{"id": 7}'), cursor.fetchone()[0]],
            )
            yield
            cursor.execute("COMMIT" if commit else "ROLLBACK")
    finally:
        other.close()


def waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock'"
        )
        return cursor.fetchone()[0] > 0


@pytest.mark.django_db
def test_a_repeated_request_gets_the_same_answer(api):
    first, second = create(api, "order 1"), create(api, "order 1")

    assert first.status_code == second.status_code == 201
    assert first.content == second.content
    for name in ("Location", "ETag", "Content-Type"):
        assert first.headers[name] == second.headers[name]
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert Product.objects.count() == Event.objects.count() == 1


@pytest.mark.django_db
def test_an_answer_stays_the_same_when_the_product_changes(api):
    first = create(api, "1")
    Product.objects.all().delete()
    assert create(api, "1").content == first.content
    assert not Product.objects.exists()


@pytest.mark.django_db
def test_blanks_and_order_make_no_other_request(api):
    create(api, "1")
    again = create(api, "1", '{ "name":"Lamp",\n"sku": "AB-1" }')
    assert again.headers["Idempotent-Replayed"] == "true"


@pytest.mark.django_db
@pytest.mark.parametrize("body", [{**BODY, "name": "x"}, {}, {**BODY, "active": True}, "[]"])
def test_a_key_stands_for_one_body(api, body):
    create(api, "1")
    assert error(create(api, "1", body), 409)["code"] == "idempotency_conflict"
    assert Product.objects.get().name == "Lamp"


@pytest.mark.django_db
def test_a_refused_request_leaves_its_key_free(api):
    assert create(api, "1", {"sku": "AB-1"}).status_code == 400
    other = Product.objects.create(sku="ab-1", name="x")
    assert error(create(api, "1"), 409)["code"] == "sku_taken"
    other.delete()
    assert not GivenAnswer.objects.exists()
    assert create(api, "1").status_code == 201


@pytest.mark.django_db(transaction=True)
def test_what_failed_on_our_side_leaves_nothing(api, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("products.catalogue.events.created", fail)
    api.raise_request_exception = False
    assert create(api, "1").status_code == 500
    assert not GivenAnswer.objects.exists() and not Product.objects.exists()
    monkeypatch.undo()
    assert create(api, "1").status_code == 201


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "é", "\x7f", "a\x00"])
def test_a_key_is_printable_and_bounded(api, key):
    assert list(error(create(api, key), 400)["fields"]) == ["Idempotency-Key"]
    assert not Product.objects.exists()


@pytest.mark.django_db
def test_a_longest_key_is_taken(api):
    assert create(api, "x" * 255).status_code == 201
    assert create(api, "x" * 255).headers["Idempotent-Replayed"] == "true"


@pytest.mark.django_db
def test_keys_of_others_are_others(api, django_user_model):
    create(api, "1")
    bob = client_of(django_user_model.objects.create_user("bob"))
    assert create(bob, "1", {**BODY, "sku": "B"}).status_code == 201
    assert Product.objects.count() == 2


@pytest.mark.django_db
def test_two_tokens_of_one_owner_share_their_keys(api, owner):
    create(api, "1")
    assert create(client_of(owner), "1").headers["Idempotent-Replayed"] == "true"


@pytest.mark.django_db
def test_without_a_key_each_request_acts(api):
    create(api, None)
    assert error(create(api, None), 409)["code"] == "sku_taken"
    assert not GivenAnswer.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("commit", [True, False])
def test_the_second_of_two_waits_for_the_first(api, owner, commit):
    def second():
        try:
            return create(api, "1")
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with other_request(owner, "1", commit=commit):
            answer = pool.submit(second)
            until(waits_for_a_lock)
        response = answer.result(timeout=60)

    assert response.status_code == 201
    assert ("Idempotent-Replayed" in response.headers) == commit
    assert (response.json()["id"] == 7) == commit
    assert Product.objects.count() == (0 if commit else 1)


@pytest.mark.django_db(transaction=True)
def test_many_at_once_make_one(api):
    def one(_: int):
        try:
            return create(api, "1")
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        responses = list(pool.map(one, range(12)))

    assert {response.status_code for response in responses} == {201}
    assert len({response.content for response in responses}) == 1
    assert sum("Idempotent-Replayed" in response.headers for response in responses) == 11
    assert Product.objects.count() == Event.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_first_request_that_never_ends_is_not_waited_for(api, owner, monkeypatch):
    monkeypatch.setattr(answers, "WAIT_SECONDS", 0.05)
    with other_request(owner, "1", commit=False):
        response = create(api, "1")
    assert error(response, 503)["code"] == "unavailable"
    assert response.headers["Retry-After"]


@pytest.mark.django_db
def test_a_wait_for_the_key_bounds_nothing_else(api, owner):
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '7s'")
            answers._insert(owner.pk, "x", "1", "digest")
            cursor.execute("SHOW lock_timeout")
            assert cursor.fetchone() == ("7s",)


@pytest.mark.django_db
def test_answers_are_forgotten_in_time(api, settings):
    create(api, "old"), create(api, "young", {**BODY, "sku": "B"})
    hours = timedelta(hours=settings.IDEMPOTENCY_KEEP_HOURS)
    GivenAnswer.objects.filter(key="old").update(created_at=timezone.now() - hours)
    sweep.purge()
    assert list(GivenAnswer.objects.values_list("key", flat=True)) == ["young"]
    assert error(create(api, "old"), 409)["code"] == "sku_taken"

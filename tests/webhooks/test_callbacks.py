"""Callbacks: signed deliveries to one URL each, hidden from the lists of endpoints."""

import json
from collections.abc import Iterable
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from standardwebhooks import Webhook

from config.accounts.actors import Actor
from config.accounts.models import User
from config.accounts.tokens import issue
from tests.api_client import client_of, error, send
from tests.services.waiting import until
from tests.webhooks import test_docs as docs
from tests.webhooks.conftest import delivering
from tests.webhooks.receiver import Receiver, status
from tests.webhooks.test_recording import answer
from webhooks import sweep
from webhooks.deliveries import replay
from webhooks.dispatch import Callback, call_back, emit
from webhooks.endpoints import callback_secrets, rotation
from webhooks.engine import claims, recording
from webhooks.engine.doorbell import _listen
from webhooks.engine.fan_out import fan_out
from webhooks.engine.recording import Ended
from webhooks.event_types import ORDER_DECIDED
from webhooks.models import Attempt, Delivery, Endpoint, Event, Health, Secret

pytestmark = pytest.mark.django_db

TYPE = ORDER_DECIDED.name
DATA = ORDER_DECIDED.sample
HOST = "http://127.0.0.1:9"


@pytest.fixture
def user(django_user_model: type[User]) -> User:
    return django_user_model.objects.create_user("ana")


@pytest.fixture
def other(django_user_model: type[User]) -> User:
    return django_user_model.objects.create_user("ben")


def call(owner: User, *urls: str, **data: Any) -> list[Delivery]:
    ids = call_back(TYPE, [Callback(owner.pk, url, {**DATA, **data}) for url in urls])
    found = Delivery.objects.in_bulk(ids)
    return [found[pk] for pk in ids]


def of_all_orders(
    owner: User,
    scopes: Iterable[str] = ("webhooks:read", "orders:read"),
    trading_users: Iterable[str] = ("*",),
) -> Client:
    """A client with a token that may see callbacks, or almost."""
    secret = issue(owner, "ERP", scopes, trading_users)[1]
    return Client(headers={"Authorization": f"Bearer {secret}"})


def end(status_code: int | None) -> None:
    """All that can be sent is claimed and ends like this."""
    taken = claims.take(100, 100)
    assert taken
    recording.record([Ended(one, {}, answer(status_code)) for one in taken])


class TestEngine:
    pytestmark = pytest.mark.django_db(transaction=True)

    def test_a_callback_comes_signed_to_its_own_url(self, user, deliverer):
        secret = callback_secrets.rotate(Actor(user), None)
        with Receiver() as receiver:
            (delivery,) = call(user, receiver.address("/told?order=7&x=%20"))
            (received,) = receiver.wait(1)
            until(lambda: Delivery.objects.get().state == "succeeded")
        told = Webhook(secret).verify(received.body, received.headers)
        assert (told["type"], told["data"]) == (TYPE, DATA)
        assert received.path == "/told?order=7&x=%20"
        event = Event.objects.get()
        assert received.headers["webhook-id"] == event.webhook_id
        assert event.fanned_out_at is not None
        attempt = Attempt.objects.get()
        assert (attempt.delivery, attempt.url) == (delivery, receiver.address(received.path))

    def test_it_is_sent_at_once_and_retried_by_the_schedule(self, user, settings):
        settings.WEBHOOK_POLL_SECONDS = 60
        settings.WEBHOOK_RETRY_SECONDS = [0]
        with Receiver([status(200), status(500), status(200)]) as receiver, delivering():
            call(user, receiver.url)
            receiver.wait(1)
            until(lambda: Delivery.objects.filter(state="succeeded").exists())
            call(user, receiver.url)
            _, first, second = receiver.wait(3)
            until(lambda: not Delivery.objects.exclude(state="succeeded").exists())
        assert first.body == second.body
        assert [each.status_code for each in Attempt.objects.order_by("pk")] == [200, 500, 200]

    def test_it_wakes_the_engine_at_the_commit(self, user):
        with closing(_listen()) as listening:
            with transaction.atomic():
                call(user, HOST)
                listening.poll()
                assert not listening.notifies
            until(lambda: listening.poll() or listening.notifies)

    def test_it_does_not_reach_who_wants_all_events(self, user, make_endpoint, deliverer):
        with Receiver() as receiver, Receiver() as everything:
            make_endpoint(everything.url)
            call(user, receiver.url)
            emit("product.created", {})
            receiver.wait(1)
            (only,) = everything.wait(1)
            until(lambda: not Delivery.objects.exclude(state="succeeded").exists())
            assert len(everything.requests) == len(receiver.requests) == 1
        assert json.loads(only.body)["type"] == "product.created"

    def test_what_is_no_public_address_is_refused(self, user, settings):
        settings.WEBHOOK_ALLOWED_NETWORKS = []
        settings.WEBHOOK_RETRY_SECONDS = [3600]
        with delivering():
            call(user, f"{HOST}/x")
            until(lambda: Attempt.objects.filter(state="failed").exists())
        assert "not a public address (loopback)" in Attempt.objects.get().error

    def test_calls_at_the_same_time_make_one_host(self, user, workers):
        urls = [f"http://host{number}.example/x" for number in range(20)]
        made = [workers(call, user, *(urls if n % 2 else urls[::-1])) for n in range(6)]
        assert sum(len(each.result(timeout=30)) for each in made) == 120
        assert Endpoint.objects.count() == Health.objects.count() == 20
        assert Secret.objects.count() == 1


def test_each_account_has_one_endpoint_for_a_host_and_one_secret_for_all(user, other):
    mine = call(user, f"{HOST}/a", f"{HOST}/b?c", "https://Example.com:443/", "https://example.com")
    (theirs,) = call(other, f"{HOST}/a")
    hosts = [Endpoint.objects.get(pk=each.endpoint_id) for each in mine]
    assert [each.url for each in hosts] == [HOST, HOST, *["https://example.com"] * 2]
    assert len({each.pk for each in hosts}) == 2
    assert all(each.for_callbacks and each.event_types == [] for each in hosts)
    assert theirs.endpoint.created_by == other and theirs.endpoint not in hosts
    taken = {one.delivery_id: one for one in claims.take(100, 100)}
    assert {taken[each.pk].secrets for each in mine} == {(callback_secrets.present(user.pk).value,)}
    assert taken[theirs.pk].secrets == (callback_secrets.present(other.pk).value,)
    assert [taken[each.pk].url for each in mine] == [each.url for each in mine]
    assert Secret.objects.count() == 2


def test_many_take_as_few_statements_as_few_do(user, other):
    def statements(count: int) -> int:
        callbacks = [
            Callback((user, other)[n % 2].pk, f"http://host{n % 3}.example/{n}", {"n": n})
            for n in range(count)
        ]
        with CaptureQueriesContext(connection) as captured:
            made = call_back(TYPE, callbacks)
        told = dict(Delivery.objects.filter(pk__in=made).values_list("pk", "event__data"))
        assert made == sorted(made)
        assert [told[pk] for pk in made] == [{"n": n} for n in range(count)]
        return len(captured)

    statements(6)
    assert statements(500) == statements(6) <= 4


def test_it_is_taken_back_with_the_change_it_tells_of(user):
    with pytest.raises(KeyError), transaction.atomic():
        call(user, HOST)
        raise KeyError
    assert not Event.objects.exists() and not Endpoint.objects.exists()


def test_what_nobody_can_be_told_of_is_passed_over(user):
    given = [(user.pk + 1, HOST), (user.pk, "nonsense"), (user.pk, HOST)]
    made = call_back(TYPE, [Callback(owner, url, {}) for owner, url in given])
    assert made == [None, None, Delivery.objects.get().pk]
    assert call_back(TYPE, []) == []


def test_410_fails_that_delivery_alone(user, settings):
    settings.WEBHOOK_CALLBACKS_IN_FLIGHT = 1
    settings.WEBHOOK_BREAK_AFTER = 1
    gone, waiting = call(user, f"{HOST}/gone", f"{HOST}/there")
    end(410)
    gone.refresh_from_db()
    assert (gone.state, gone.last_status_code) == ("failed", 410)
    endpoint = Endpoint.objects.get()
    assert endpoint.enabled and endpoint.health.failures_in_a_row == 0
    end(200)
    waiting.refresh_from_db()
    assert waiting.state == "succeeded"


def test_nothing_but_failures_pauses_the_host_and_never_disables_it(user, settings):
    settings.WEBHOOK_BREAK_AFTER = 1
    call(user, HOST)
    long_ago = timezone.now() - timedelta(days=400)
    Health.objects.update(failures_in_a_row=3, failing_since=long_ago)
    end(500)
    endpoint = Endpoint.objects.get()
    assert (endpoint.enabled, endpoint.disabled_reason, endpoint.version) == (True, "", 1)
    assert endpoint.health.held_until > timezone.now()


def test_a_host_gets_so_many_at_once(user, settings, make_endpoint):
    settings.WEBHOOK_CALLBACKS_IN_FLIGHT = 3
    settings.WEBHOOK_IN_FLIGHT_PER_ENDPOINT = 1
    call(user, *[f"{HOST}/{n}" for n in range(8)])
    ordinary = make_endpoint()
    for _ in range(2):
        emit("product.created", {})
    fan_out()
    taken = claims.take(100, 100)
    assert sorted(one.endpoint.for_callbacks for one in taken) == [False, True, True, True]
    Delivery.objects.filter(state="pending").update(by_hand=True)
    again = claims.take(100, 100)  # up to twice as many, for somebody waits
    assert sorted(one.endpoint == ordinary for one in again) == [False, False, False, True]


def test_callbacks_leave_places_for_others(user, make_endpoint):
    make_endpoint("https://shop.example/")
    call(user, *(f"http://127.0.0.1:{port}/" for port in range(1, 9)))
    emit("product.created", {})
    fan_out()
    taken = claims.take(8, 8, 5)
    assert sorted(one.endpoint.for_callbacks for one in taken) == [False, *5 * [True]]
    assert claims.take(2, 2, 0) == []
    assert len(claims.take(8, 8)) == 3


def test_others_leave_places_for_callbacks(user, make_endpoint, settings):
    settings.WEBHOOK_IN_FLIGHT = 8
    make_endpoint("https://shop.example/")
    for _ in range(20):
        emit("product.created", {})
    fan_out()
    call(user, *(f"http://127.0.0.1:{port}/" for port in range(1, 9)))
    taken = claims.take(8, 4, 6)
    assert sorted(one.endpoint.for_callbacks for one in taken) == 6 * [False] + 2 * [True]


def test_after_a_rotation_both_secrets_sign(user, settings):
    call(user, HOST)
    (old,) = Secret.objects.values_list("pk", "value")
    assert callback_secrets.rotate(Actor(user), None) == ""  # there is one, made by the call
    new = callback_secrets.rotate(Actor(user), old[0])
    assert claims.take(1, 1)[0].secrets == (new, old[1])
    assert callback_secrets.old_expires_at(user.pk, timezone.now()) is not None
    for _ in range(rotation.MAX_SECRETS + 2):
        callback_secrets.rotate(Actor(user), callback_secrets.present(user.pk).pk)
    assert Secret.objects.filter(owner=user).count() == rotation.MAX_SECRETS


def test_of_a_deleted_account_nothing_is_sent_any_more(user, settings):
    (waiting,) = call(user, f"{HOST}/x")
    user_id = user.pk
    user.delete()
    assert call_back(TYPE, [Callback(user_id, HOST, {})]) == [None]
    sweep.purge(timezone.now())
    waiting.refresh_from_db()
    assert (waiting.state, waiting.last_error) == ("failed", "The endpoint was deleted.")
    assert not Secret.objects.exists()
    assert claims.take(1, 1) == []


def test_hosts_that_nobody_speaks_of_are_forgotten(user, settings):
    settings.EVENT_KEEP_DAYS = 3
    old, _ = call(user, "http://old.example/", "http://young.example/")
    long_ago = timezone.now() - timedelta(days=4)
    Endpoint.objects.update(created_at=long_ago)
    Event.objects.filter(pk=old.event_id).update(occurred_at=long_ago)
    sweep.purge(timezone.now())
    assert list(Endpoint.objects.values_list("url", flat=True)) == ["http://young.example"]
    call(user, "http://old.example/")  # made anew


class TestShown:
    @pytest.fixture
    def api(self, user) -> Client:
        return client_of(user, "webhooks:write")

    @pytest.fixture
    def pages(self, user, client: Client) -> Client:
        client.force_login(user)
        return client

    def test_no_list_of_endpoints_has_the_hosts(self, user, api, pages, make_endpoint):
        (delivery,) = call(user, f"{HOST}/x")
        endpoint = make_endpoint("https://shop.example/")
        listed = send(api, "get", "/api/webhooks/endpoints/").json()["results"]
        assert [each["id"] for each in listed] == [endpoint.pk]
        error(send(api, "get", f"/api/webhooks/endpoints/{delivery.endpoint_id}/"), 404)
        error(send(api, "delete", f"/api/webhooks/endpoints/{delivery.endpoint_id}/"), 404)
        since = "2026-01-01T00:00:00Z"
        body = {"since": since, "endpoint": delivery.endpoint_id}
        assert "endpoint" in error(send(api, "post", "/api/webhooks/replay/", body), 400)["fields"]
        page = reverse("webhooks:endpoint", args=[delivery.endpoint_id])
        for address in ("webhooks:endpoints", "webhooks:replay"):
            assert HOST not in pages.get(reverse(address)).content.decode()
        assert pages.get(page).status_code == 404
        Endpoint.objects.filter(for_callbacks=True).update(deleted_at=timezone.now())
        assert pages.get(page).status_code == 404

    def test_no_endpoint_can_choose_them(self, api, make_endpoint):
        known = send(api, "get", "/api/webhooks/event-types/").json()["results"]
        names = [each["name"] for each in known]
        assert names and TYPE not in names
        body = {"url": "http://127.0.0.1:9/", "event_types": [TYPE]}
        fields = error(send(api, "post", "/api/webhooks/endpoints/", body), 400)["fields"]
        assert "event_types" in fields
        address = f"/api/webhooks/endpoints/{make_endpoint().pk}/test/"
        error(send(api, "post", address, {"event_type": TYPE}), 400)

    def test_the_log_has_their_own_urls(self, user, api, pages, make_endpoint):
        (delivery,) = call(user, f"{HOST}/told?order=7")
        emit("product.created", {})
        make_endpoint()
        full = of_all_orders(user)
        rows = send(full, "get", f"/api/webhooks/deliveries/?event_type={TYPE}").json()["results"]
        assert [(row["id"], row["callback_url"]) for row in rows] == [(delivery.pk, delivery.url)]
        one = send(full, "get", f"/api/webhooks/deliveries/{delivery.pk}/").json()
        assert one["callback_url"] == delivery.url
        listed = pages.get(reverse("webhooks:deliveries"), {"event_type": TYPE}).content.decode()
        assert "127.0.0.1:9/told?order=7" in listed
        assert DATA["order_id"] in listed
        assert f'<option value="{delivery.endpoint_id}"' not in listed
        shown = pages.get(reverse("webhooks:delivery", args=[delivery.pk])).content.decode()
        assert delivery.url in shown
        assert reverse("webhooks:endpoint", args=[delivery.endpoint_id]) not in shown

    @pytest.mark.parametrize(
        ("scopes", "trading_users"),
        [
            (["webhooks:write"], ["*"]),
            (["webhooks:write", "orders:write"], ["user1"]),
            (["webhooks:write", "orders:write"], []),
        ],
    )
    def test_tokens_that_may_not_read_all_orders_do_not_see_them(
        self, user, make_endpoint, scopes, trading_users
    ):
        (delivery,) = call(user, f"{HOST}/told?order=7")
        emit("product.created", {})
        make_endpoint()
        api = of_all_orders(user, scopes, trading_users)
        assert send(api, "get", "/api/webhooks/deliveries/").json()["results"] == []
        for method, path in (("get", ""), ("get", "attempts/"), ("post", "retry/")):
            error(send(api, method, f"/api/webhooks/deliveries/{delivery.pk}/{path}"), 404)

    @pytest.mark.parametrize(
        ("scopes", "trading_users", "may"),
        [
            (["webhooks:write", "orders:read"], ["*"], True),
            (["webhooks:write", "orders:read"], ["user1"], False),
            (["webhooks:write"], ["*"], False),
        ],
    )
    def test_a_replay_leaves_them_out_for_tokens_that_may_not_see_them(
        self, user, make_endpoint, monkeypatch, scopes, trading_users, may
    ):
        (delivery,) = call(user, f"{HOST}/told")
        make_endpoint()
        emit("product.created", {})
        fan_out()
        assert Delivery.objects.update(state="failed", finished_at=timezone.now()) == 2
        monkeypatch.setattr(replay, "AT_MOST", 1 + may)
        since = (timezone.now() - timedelta(minutes=1)).isoformat()
        api = of_all_orders(user, scopes, trading_users)
        answer = send(api, "post", "/api/webhooks/replay/", {"since": since})
        assert answer.json() == {"replayed": 1 + may, "more": False}
        delivery.refresh_from_db()
        assert delivery.state == ("pending" if may else "failed")

    def test_a_failed_one_is_sent_again_to_its_own_url(self, user, pages, settings):
        (delivery,) = call(user, f"{HOST}/told")
        end(410)
        response = pages.post(reverse("webhooks:retry", args=[delivery.pk]), follow=True)
        assert "sent again to 127.0.0.1:9/told" in response.content.decode()
        assert claims.take(1, 0)[0].url == f"{HOST}/told"
        Delivery.objects.update(state="failed", finished_at=timezone.now())
        assert replay.replay_failed(Actor(user), timezone.now() - timedelta(minutes=1)) == 1
        assert claims.take(1, 1)[0].url == f"{HOST}/told"


def test_the_guide_has_the_sample_and_the_defaults():
    section = docs.sections(2)["Callbacks"]
    (example,) = (json.loads(block) for block in docs.blocks(section, "json"))
    assert example["type"] == TYPE
    assert example["data"] == DATA
    words = " ".join(section.split())
    assert f"Up to {settings.WEBHOOK_CALLBACKS_IN_FLIGHT} callbacks come to one host" in words
    assert f"for {settings.WEBHOOK_ROTATION_HOURS:g} hours" in words
    assert f"{settings.WEBHOOK_BREAK_AFTER} failures in a row" in words

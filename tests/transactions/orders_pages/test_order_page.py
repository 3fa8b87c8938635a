"""The page of one order: its time line in each of its states."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.transactions.orders_pages.making import ADDRESS, ago, made
from transactions.models import Order, OrderStatus, Reason
from transactions.orders import words
from webhooks.models import Attempt, AttemptState, Delivery, DeliveryState, Endpoint, Event

pytestmark = pytest.mark.django_db


@pytest.fixture
def order_page(read):
    """`order_page(order)`: what somebody reads on its page."""
    return lambda order: read(f"{ADDRESS}{order.order_id}/")


@pytest.fixture
def called_back(user):
    """`called_back(state, *attempts)`: an accepted order whose callback is in that state."""

    def called_back(state, *attempts):
        endpoint = Endpoint.objects.create(
            url="https://shop.example", event_types=[], created_by=user
        )
        event = Event.objects.create(type="order.decided", data={})
        delivery = Delivery.objects.create(
            event=event,
            endpoint=endpoint,
            event_type=event.type,
            state=state,
            attempts_made=len(attempts),
            next_attempt_at=ago(-300) if state == DeliveryState.PENDING else None,
        )
        for number, fields in enumerate(attempts, start=1):
            given = {"number": number, "url": "https://shop.example/done", **fields}
            Attempt.objects.create(delivery=delivery, endpoint=endpoint, **given)
        url = "https://shop.example/done?order=1&x=<b>"
        return made(OrderStatus.ACCEPT, callback_url=url, delivery=delivery)

    return called_back


def test_a_received_order_waits(order_page, user):
    order = made(created_by=user, quantity=1234)
    page = order_page(order)
    assert "1,234 stock1 for user1" in page and f"Received {order.order_id}" in page
    assert "Waits for a consumer" in page and "Verification began" not in page
    assert "Known once it is decided: the newest price at that moment counts." in page
    assert "Placed by ana" in page and "Callback none asked for" in page


def test_a_verification_says_which_try_it_is(order_page):
    order = made(OrderStatus.VERIFYING)
    page = order_page(order)
    assert "Verification began" in page and "Being verified" in page and "try" not in page
    order.verifications = 3
    order.save()
    assert "3rd try" in order_page(order)


def test_a_verified_order_is_being_decided(order_page):
    page = order_page(made(OrderStatus.VERIFIED))
    assert "after 5.00 s" in page and "Being decided" in page


def test_an_accepted_order_has_its_price_and_credit(order_page):
    page = order_page(made(OrderStatus.ACCEPT))
    assert "40 ms after the verification's end" in page
    assert "Price × quantity 1,740 × 100 Amount 174,000" in page
    assert "Credit before 500,000 Credit after 326,000" in page
    assert "Being decided" not in page and "Waits for" not in page


@pytest.mark.parametrize("reason", list(Reason))
def test_each_reason_is_said_in_words_with_its_detail(order_page, reason):
    page = order_page(made(OrderStatus.DENY, reason=reason, detail="It said <b>no</b>."))
    assert "Denied" in page and str(reason.label) in page and "It said <b>no</b>." in page
    ended = "Verification ended" in page
    assert ended == reason.value.startswith("verification") and ended != ("Verified" in page)


def test_an_order_denied_at_once_was_never_verified(order_page):
    at = ago(5)
    page = order_page(
        made(
            OrderStatus.DENY,
            verification_began_at=None,
            verified_at=None,
            decided_at=at,
            received_at=at,
            reason=Reason.INSUFFICIENT_CREDIT,
        )
    )
    assert "The credit is not enough, at once, before any verification" in page
    assert "Verif" not in page.partition("Time line")[2].partition("The credit")[0]


def test_an_order_whose_verification_never_ended_has_no_time_for_it(order_page):
    order = made(OrderStatus.DENY, verified_at=None, reason=Reason.VERIFICATION_FAILED)
    page = order_page(order)
    assert "Verification began" in page and "The verification failed" in page
    assert "at once" not in page


def test_attempts_of_the_callback_are_in_the_time_line(order_page, called_back, client):
    order = called_back(
        DeliveryState.PENDING,
        {"state": AttemptState.FAILED, "status_code": 503, "duration_ms": 1234},
        {"state": AttemptState.FAILED, "error": "connection <refused>"},
    )
    page = order_page(order)
    assert page.index("Callback, attempt 1") < page.index("Callback, attempt 2")
    assert "Failed: 503, 1,234 ms" in page and "Failed: connection <refused>" in page
    assert "Next callback" in page and "https://shop.example/done?order=1&x=<b>" in page
    assert "Waiting, 2 attempts · Delivery" in page
    body = client.get(f"{ADDRESS}{order.order_id}/").content.decode()
    assert f'href="/webhooks/deliveries/{order.delivery_id}/"' in body and "x=<b>" not in body


def test_a_callback_that_arrived_has_no_next_one(order_page, called_back):
    answer = {"state": AttemptState.SUCCEEDED, "status_code": 204, "duration_ms": 9}
    page = order_page(called_back(DeliveryState.SUCCEEDED, answer))
    assert "Succeeded: 204, 9 ms" in page and "Next callback" not in page
    assert "Succeeded, 1 attempt ·" in page


def test_a_delivery_that_is_not_there_is_explained(order_page, called_back, user):
    order = called_back(DeliveryState.SUCCEEDED)
    order.delivery.delete()
    Order.objects.update(created_by=user)
    assert "its delivery is no longer kept" in order_page(order)
    assert "no account is left to sign it" in order_page(
        made(OrderStatus.DENY, callback_url="https://shop.example/")
    )
    assert "sent once it is decided" in order_page(made(callback_url="https://shop.example/"))


def test_what_is_not_there_is_404(read):
    read(f"{ADDRESS}{uuid.uuid4()}/", 404)
    read(f"{ADDRESS}7/", 404)


def test_the_part_alone_follows_the_orders_own_channel(client, user):
    client.force_login(user)
    order = made()
    address = f"{ADDRESS}{order.order_id}/"
    body = client.get(address, headers={"HX-Request": "true"}).content.decode()
    assert f'<div id="order" data-live="order-{order.order_id}">' in body and "<main" not in body
    assert 'http-equiv="refresh"' in client.get(address).content.decode()
    Order.objects.update(status=OrderStatus.ACCEPT, decided_at=ago(0))
    assert 'http-equiv="refresh"' not in client.get(address).content.decode()


def test_queries_are_few_however_many_attempts(read, called_back):
    def counted(order):
        address = f"{ADDRESS}{order.order_id}/"
        read(address)
        with CaptureQueriesContext(connection) as captured:
            read(address)
        return len(captured)

    few = counted(called_back(DeliveryState.FAILED, {"state": AttemptState.FAILED}))
    many = counted(called_back(DeliveryState.FAILED, *[{"state": AttemptState.FAILED}] * 40))
    assert few == many <= 5


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, ""), (0.0094, "9 ms"), (1.25, "1.25 s"), (200, "3 min 20 s"), (7260, "2 h 1 min")],
)
def test_durations(seconds, said):
    assert words.duration(seconds) == said


@pytest.mark.parametrize(
    ("number", "said"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (22, "22nd")]
)
def test_ordinals(number, said):
    assert words.ordinal(number) == said


def test_clocks_that_differ_give_no_time_below_nothing():
    assert words.between(ago(0), ago(0) - timedelta(seconds=5)) == 0

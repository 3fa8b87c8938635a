"""One delivery, its attempts, and sending it again."""

import html
import re
from datetime import timedelta

import pytest
from django.contrib.messages import get_messages
from django.utils import timezone

from webhooks.engine import message
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db
LOG = "/webhooks/deliveries/"


@pytest.fixture
def client(client, user):
    client.force_login(user)
    return client


def page_of(client, delivery, **options) -> str:
    response = client.get(f"{LOG}{delivery.pk}/", **options)
    assert response.status_code == 200
    return response.content.decode()


def said(response) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


def test_it_tells_what_was_sent_and_what_came_back(
    client, make_endpoint, make_delivery, make_attempt
):
    erp = make_endpoint("https://erp.example.com/hook?tenant=7", description="ERP")
    delivery = make_delivery(erp, "failed", attempts_made=3)
    make_attempt(delivery, 1, error="No answer within 15 s.", duration_ms=15003)
    make_attempt(delivery, 2, state="lost", address="", duration_ms=None)
    make_attempt(
        delivery,
        3,
        status_code=503,
        response_headers={"content-type": "text/plain", "retry-after": "120"},
        response_body="down for maintenance",
        response_truncated=True,
    )
    page = page_of(client, delivery)
    for words in (
        "after 3 attempts",
        delivery.event.webhook_id,
        "&quot;sku&quot;: &quot;song-7&quot;",
        "No answer within 15 s.",
        "15.0 s",
        ">lost<",
        "nobody knows whether it arrived",
        "503 Service Unavailable",
        "POST https://erp.example.com/hook?tenant=7",
        "93.184.215.14:443",
        "X-Api-Key",
        "•••",
        "retry-after",
        "down for maintenance",
        "Cut after 4 KB.",
    ):
        assert words in page, words
    numbers = [page.index(f'<span class="number muted">{n}<') for n in (3, 2, 1)]
    assert numbers == sorted(numbers)


def test_the_answer_of_a_receiver_is_text(client, make_endpoint, make_delivery, make_attempt):
    evil = "</pre></details><script>alert(1)</script><img src=x onerror=alert(2)>"
    delivery = make_delivery(make_endpoint(), "failed", data={"product": {"sku": evil}})
    make_attempt(
        delivery,
        status_code=500,
        error=evil,
        response_headers={evil: evil},
        response_body=evil + "\x01\u202e\ufffd",
        request_headers={"x": evil},
    )
    page = page_of(client, delivery)
    assert "<script>alert" not in page and "<img" not in page
    assert page.count("&lt;script&gt;alert(1)") >= 5


def test_a_header_may_have_any_name(client, make_endpoint, make_delivery, make_attempt):
    delivery = make_delivery(make_endpoint(), "failed")
    headers = {"items": "7", "keys": "a", "0": "b"}
    make_attempt(delivery, status_code=500, request_headers=headers, response_headers=headers)
    page = page_of(client, delivery)
    for name, value in headers.items():
        assert page.count(f"<dt>{name}</dt><dd>{value}</dd>") == 2


def test_what_is_copied_is_what_is_sent(client, make_endpoint, make_delivery):
    data = {"product": {"sku": 'a\n"<b>&amp;é', "none": None}, "list": [1, 2.5]}
    delivery = make_delivery(make_endpoint(), data=data)
    page = page_of(client, delivery)
    copied = re.search(r'<pre [^>]*id="payload-sent" hidden>(.*?)</pre>', page, re.S)[1]
    event = delivery.event
    event.refresh_from_db()
    body = message.body(event.type, event.occurred_at, event.data)
    assert html.unescape(copied).encode() == body and b"\n" not in body
    assert 'data-copy="#payload-sent"' in page and "as sent, on one line" in page


@pytest.mark.parametrize(
    ("state", "button"),
    [
        ("pending", "Retry now"),
        ("failed", "Retry now"),
        ("succeeded", "Send again"),
        ("sending", None),
    ],
)
def test_the_button_fits_the_state(client, viewer, make_endpoint, make_delivery, state, button):
    delivery = make_delivery(make_endpoint(), state)
    page = page_of(client, delivery)
    shown = [name for name in ("Retry now", "Send again") if f">{name}</button>" in page]
    assert shown == ([button] if button else [])
    assert ("data-live" in page) is (state in ("pending", "sending"))
    client.force_login(viewer)
    assert f'action="{LOG}{delivery.pk}/retry/"' not in page_of(client, delivery)


def test_it_says_why_a_waiting_one_waits(client, make_endpoint, make_delivery):
    now = timezone.now()
    due = now + timedelta(minutes=4.5)
    reason = "All attempts failed for more than 120 hours."
    off = make_endpoint(enabled=False, disabled_reason=reason)
    page = page_of(client, make_delivery(off, "pending", next_attempt_at=due))
    assert "until its endpoint is enabled" in page and reason in page
    page = page_of(client, make_delivery(make_endpoint(), "pending", next_attempt_at=due))
    assert "in 4 min" in page and "data-far" in page and "1 of 10" in page


def test_times_have_their_seconds(client, make_endpoint, make_delivery, make_attempt):
    at = timezone.now().replace(year=2030, month=3, day=1, hour=9, minute=30, second=7)
    waiting = make_delivery(make_endpoint(), "pending", next_attempt_at=at)
    make_attempt(waiting, started_at=at.replace(year=2026, second=2))
    page = page_of(client, waiting)
    assert page.count("1 Mar 2030, 09:30:07 UTC") == 1
    assert page.count("1 Mar 2026, 09:30:02 UTC") == 1
    assert page.count('data-local="seconds"') == 3  # with when it occurred


def test_it_says_what_ended_it_where_no_attempt_does(
    client, make_endpoint, make_delivery, make_attempt
):
    words = "The endpoint was deleted."
    gone = make_endpoint(deleted_at=timezone.now())
    delivery = make_delivery(gone, "failed", last_error=words, last_status_code=503)
    make_attempt(delivery, status_code=503)
    assert page_of(client, delivery).count(words) == 1
    failed = make_delivery(make_endpoint(), "failed", last_error="Connection refused.")
    make_attempt(failed, error="Connection refused.")
    assert "Given up" not in page_of(client, failed)


def test_htmx_gets_what_changes(client, make_endpoint, make_delivery):
    page = page_of(client, make_delivery(make_endpoint()), headers={"HX-Request": "true"})
    assert page.lstrip().startswith('<div id="delivery"') and "<nav" not in page


def test_many_attempts_are_cut_with_a_word(client, make_endpoint, make_delivery, make_attempt):
    delivery = make_delivery(make_endpoint(), "failed", attempts_made=60)
    for number in range(1, 61):
        make_attempt(delivery, number, status_code=500)
    page = page_of(client, delivery)
    assert page.count("<details") == 50 and "the last 50 of 60" in page


def test_what_is_not_there_is_404(client):
    assert client.get(f"{LOG}987654/").status_code == 404
    assert client.post(f"{LOG}987654/retry/").status_code == 404


@pytest.mark.parametrize("state", ["pending", "failed", "succeeded"])
def test_retry_sends_it_at_once_whatever_its_state(client, make_endpoint, make_delivery, state):
    delivery = make_delivery(make_endpoint(description="ERP"), state, tries=5)
    response = client.post(f"{LOG}{delivery.pk}/retry/")
    assert response.status_code == 302 and response.url == f"{LOG}{delivery.pk}/"
    assert said(response) == ["It is sent again to ERP."]
    delivery.refresh_from_db()
    assert (delivery.state, delivery.by_hand, delivery.tries) == ("pending", True, 0)


def test_retry_leaves_alone_what_is_being_sent_or_has_nowhere_to_go(
    client, make_endpoint, make_delivery
):
    sending = make_delivery(make_endpoint(), "sending")
    assert "at this moment" in said(client.post(f"{LOG}{sending.pk}/retry/"))[-1]
    gone = make_delivery(make_endpoint(deleted_at=timezone.now()), "failed")
    assert "deleted" in said(client.post(f"{LOG}{gone.pk}/retry/"))[-1]
    assert not Delivery.objects.filter(by_hand=True).exists()
    assert "/retry/" not in page_of(client, gone)


def test_only_writers_retry_and_only_by_post(client, viewer, make_endpoint, make_delivery):
    delivery = make_delivery(make_endpoint(), "failed")
    assert client.get(f"{LOG}{delivery.pk}/retry/").status_code == 405
    client.force_login(viewer)
    assert client.post(f"{LOG}{delivery.pk}/retry/").status_code == 403
    delivery.refresh_from_db()
    assert delivery.state == "failed"

"""Sending again all that failed since a time."""

from datetime import timedelta

import pytest
from django.contrib.messages import get_messages
from django.utils import timezone

from webhooks.deliveries import replay
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db
REPLAY = "/webhooks/deliveries/replay/"


@pytest.fixture
def client(client, user):
    client.force_login(user)
    return client


@pytest.fixture
def failed(make_endpoint, make_delivery) -> dict[str, Delivery]:
    erp, shop = make_endpoint(description="ERP"), make_endpoint(description="Shop")
    make_delivery(erp, "succeeded")
    return {
        "erp": make_delivery(erp, "failed"),
        "shop": make_delivery(shop, "failed"),
        "old": make_delivery(erp, "failed", ago=timedelta(days=3)),
        "test": make_delivery(erp, "failed", test=True),
    }


def pending() -> set[int]:
    return set(Delivery.objects.filter(state="pending").values_list("pk", flat=True))


def said(response) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


def test_it_says_before_how_many_and_that_receivers_know_them_again(client, failed):
    page = client.get(REPLAY).content.decode()
    assert "<b>2 deliveries</b>" in page and "Send 2 again" in page and "webhook-id" in page
    assert '<option value="24h" selected>' in page
    assert "<b>3 deliveries</b>" in client.get(f"{REPLAY}?since=7d").content.decode()
    assert "<b>3 deliveries</b>" in client.get(f"{REPLAY}?since=").content.decode()
    shop = failed["shop"].endpoint_id
    page = client.get(f"{REPLAY}?endpoint={shop}").content.decode()
    assert "<b>1 delivery</b> would be sent again to Shop" in page and "Send it again" in page
    assert pending() == set()


def test_nothing_failed_has_no_button(client, make_endpoint):
    page = client.get(REPLAY).content.decode()
    assert "Nothing failed" in page and 'method="post" action="/webhooks' not in page


def test_it_does_what_it_said(client, failed):
    since = (timezone.now() - timedelta(hours=24)).isoformat()
    response = client.post(REPLAY, {"since": since, "endpoint": ""})
    assert response.status_code == 302 and response.url == "/webhooks/deliveries/"
    assert said(response) == ["2 deliveries are sent again."]
    assert pending() == {failed["erp"].pk, failed["shop"].pk}


def test_it_does_so_for_one_endpoint(client, failed):
    shop = failed["shop"].endpoint_id
    response = client.post(REPLAY, {"since": "", "endpoint": str(shop)})
    assert response.url == f"/webhooks/deliveries/?endpoint={shop}"
    assert said(response) == ["1 delivery is sent again."]
    assert pending() == {failed["shop"].pk}
    again = client.post(REPLAY, {"since": "", "endpoint": str(shop)})
    assert said(again)[-1] == "Nothing is sent again: nothing failed in that time."


@pytest.mark.parametrize(
    "form", [{}, {"since": "", "endpoint": "99999"}, {"endpoint": ""}, {"since": "soon"}]
)
def test_a_form_that_does_not_say_what_is_asked_again(client, failed, form):
    response = client.post(REPLAY, form)
    assert response.status_code == 422 and "Nothing was sent" in response.content.decode()
    assert pending() == set()


def test_very_many_go_in_turns(client, failed, monkeypatch):
    monkeypatch.setattr(replay, "AT_MOST", 1)
    page = client.get(REPLAY).content.decode()
    assert "More than 1 deliveries" in page and "Send the oldest 1 again" in page
    assert said(client.post(REPLAY, {"since": "", "endpoint": ""})) == [
        "1 delivery is sent again. There are more: replay again."
    ]


def test_a_disabled_endpoint_is_pointed_out(client, make_endpoint, make_delivery):
    off = make_endpoint(enabled=False)
    make_delivery(off, "failed")
    assert (
        "they wait until it is enabled"
        in client.get(f"{REPLAY}?endpoint={off.pk}").content.decode()
    )


def test_what_waits_for_a_disabled_endpoint_is_said_so(client, make_endpoint, make_delivery):
    endpoint = make_endpoint(enabled=False)
    make_delivery(endpoint=endpoint, state="failed")
    response = client.post(REPLAY, {"since": "24h", "endpoint": endpoint.pk}, follow=True)
    assert said(response) == ["1 delivery is sent again once the endpoint is enabled."]


def test_it_is_for_writers(client, viewer, failed):
    client.force_login(viewer)
    assert client.get(REPLAY).status_code == 403
    assert client.post(REPLAY, {"since": "", "endpoint": ""}).status_code == 403
    assert pending() == set()

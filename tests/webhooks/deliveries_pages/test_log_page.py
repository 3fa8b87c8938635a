"""The log of deliveries: what its page shows, by filter and page."""

import re
from datetime import timedelta
from urllib.parse import unquote

import pytest
from django.utils import timezone

from config.listing import Page
from webhooks.models import Delivery, Health

pytestmark = pytest.mark.django_db
LOG = "/webhooks/deliveries/"


@pytest.fixture
def client(client, user):
    client.force_login(user)
    return client


def shown(response) -> list[int]:
    assert response.status_code == 200
    return [int(pk) for pk in re.findall(r'<tr id="row-(\d+)"', response.content.decode())]


def test_it_shows_the_newest_first_with_what_they_are_about(client, make_endpoint, make_delivery):
    erp = make_endpoint(description="ERP")
    first = make_delivery(erp, last_status_code=200, ago=timedelta(days=2))
    second = make_delivery(
        erp,
        "failed",
        event_type="products.deleted_all",
        data={"count": 466693},
        test=True,
        attempts_made=10,
        last_error="Connection refused.",
    )
    response = client.get(LOG)
    assert shown(response) == [second.pk, first.pk]
    page = response.content.decode()
    for words in ("song-7", "466,693 products", "Connection refused.", "200 OK", ">test<", "ERP"):
        assert words in page
    assert f'href="{LOG}{first.pk}/"' in page


def test_each_filter_narrows_and_the_form_keeps_it(client, make_endpoint, make_delivery):
    erp, shop = make_endpoint(description="ERP"), make_endpoint(description="Shop")
    old = make_delivery(erp, "failed", ago=timedelta(hours=30))
    created = make_delivery(shop, event_type="product.created", ago=timedelta(hours=2))
    failed = make_delivery(shop, "failed")
    for query, found in (
        ("", [failed, created, old]),
        (f"endpoint={shop.pk}", [failed, created]),
        ("state=failed", [failed, old]),
        ("event_type=product.created", [created]),
        ("since=1h", [failed]),
        ("since=24h", [failed, created]),
        ("since=7d", [failed, created, old]),
        (f"endpoint={shop.pk}&state=failed&since=24h&event_type=product.updated", [failed]),
        ("state=pending", []),
    ):
        assert shown(client.get(f"{LOG}?{query}")) == [each.pk for each in found], query
    page = client.get(f"{LOG}?endpoint={shop.pk}&state=failed&since=24h").content.decode()
    assert f'<option value="{shop.pk}" selected>' in page
    assert 'value="failed" checked' in page and '<option value="24h" selected>' in page
    instant = (timezone.now() - timedelta(hours=3)).isoformat()
    assert shown(client.get(LOG, {"since": instant})) == [failed.pk, created.pk]
    assert shown(client.get(LOG, {"since": "at", "at": instant})) == [failed.pk, created.pk]


def test_one_field_finds_a_sku_or_a_webhook_id(client, make_endpoint, make_delivery):
    erp = make_endpoint()
    deleted = make_delivery(erp, "failed", event_type="product.deleted")
    other = make_delivery(erp, data={"product": {"sku": "song-77"}})
    made = [make_delivery(erp) for _ in range(60)]
    ours = [each.pk for each in reversed(made)] + [deleted.pk]
    response = client.get(f"{LOG}?q=+SONG-7+")
    assert shown(response) == ours[:50]
    page = response.content.decode()
    assert 'name="q" value="SONG-7"' in page and 'data-q="SONG-7"' in page
    assert "of the last 1,000 events of this SKU" in page
    older = re.search(r'href="([^"]+)" rel="next"', page)[1].replace("&amp;", "&")
    assert "q=SONG-7" in older and shown(client.get(older)) == ours[50:]
    assert shown(client.get(f"{LOG}?q=song-7&state=failed")) == [deleted.pk]
    for text in (other.event.webhook_id, other.event_id.hex, other.event_id):
        assert shown(client.get(LOG, {"q": text})) == [other.pk]
    page = client.get(LOG, {"q": f"evt_{'0' * 32}"}).content.decode()
    assert "No deliveries match" in page and "found by the whole of it" in page


@pytest.mark.parametrize(
    "query",
    [
        "endpoint=no",
        "endpoint=999999",
        "endpoint=99999999999999999999999",
        "endpoint=-1",
        "state=broken",
        "event_type=<script>",
        "since=<script>",
        "since=0001-01-01T00:00:00%2B14:00",
        "since=at&at=x",
        "before=x",
        "after=99999999999999999999",
        "before=0",
        "after=999999999",
        "state=%00",
        "q=%00",
    ],
)
def test_what_cannot_be_meant_is_ignored(client, make_endpoint, make_delivery, query):
    delivery = make_delivery(make_endpoint(), "failed")
    response = client.get(f"{LOG}?{query}")
    assert shown(response) == [delivery.pk]
    assert b"<script>" not in response.content


def test_pages_lead_to_each_other_and_keep_the_filter(client, make_endpoint, make_delivery):
    erp = make_endpoint()
    for n in range(120):
        make_delivery(erp, "failed" if n % 60 else "succeeded")
    pages, address = [], f"{LOG}?state=failed&since=7d"
    while address:
        response = client.get(address)
        pages.append(shown(response))
        link = re.search(r'href="([^"]+)" rel="next"', response.content.decode())
        address = unquote(link[1]).replace("&amp;", "&") if link else ""
        assert not address or "state=failed&since=7d" in address
    everything = Delivery.objects.filter(state="failed").order_by("-pk")
    assert [pk for page in pages for pk in page] == list(everything.values_list("pk", flat=True))
    assert [len(page) for page in pages] == [50, 50, 18]
    last = response.content.decode()
    back = re.search(r'href="([^"]+)" rel="prev"', last)[1].replace("&amp;", "&")
    assert shown(client.get(back)) == pages[1]
    assert "data-first" not in last and "data-first" in client.get(LOG).content.decode()


def test_a_page_without_rows_says_whether_to_look_further(
    client, make_endpoint, make_delivery, monkeypatch
):
    newest = make_delivery(make_endpoint(), "failed")
    query = f"state=failed&event_type=product.updated&before={newest.pk}"
    page = client.get(f"{LOG}?{query}").content.decode()
    assert "No older ones fit." in page and "No deliveries match" not in page
    found = Page([], None, newest.pk)
    monkeypatch.setattr("webhooks.deliveries.log.find", lambda *_, **__: found)
    page = client.get(LOG).content.decode()
    assert "There may be more in the next one." in page
    assert f'href="{LOG}?before={newest.pk}" rel="next"' in page


def test_a_page_costs_the_same_however_many_rows_it_has(
    client, make_endpoint, make_delivery, django_assert_num_queries
):
    for n in range(3):
        make_delivery(make_endpoint(description=f"{n}"))
    client.get(LOG)
    # session, user, endpoints, log, health, subjects, the engine
    with django_assert_num_queries(7) as few:
        client.get(LOG)
    for n in range(30):
        make_delivery(make_endpoint(description=f"more {n}"))
    with django_assert_num_queries(len(few)):
        client.get(LOG)


def test_htmx_gets_the_rows_alone(client, make_endpoint, make_delivery):
    make_delivery(make_endpoint())
    response = client.get(LOG, headers={"HX-Request": "true"})
    page = response.content.decode()
    assert page.lstrip().startswith('<div id="found"') and "<form" not in page
    assert "HX-Request" in response.headers["Vary"]


def test_nothing_yet_is_explained_and_nothing_found_can_be_cleared(
    client, viewer, make_endpoint, make_delivery
):
    page = client.get(f"{LOG}?state=failed").content.decode()
    assert "No deliveries yet" in page and "Add endpoint" in page
    erp = make_endpoint()
    page = client.get(LOG).content.decode()
    assert "No deliveries yet" in page and "Add endpoint" not in page
    make_delivery(erp)
    page = client.get(f"{LOG}?state=failed").content.decode()
    assert "No deliveries match" in page and "Clear the filter" in page


def test_it_says_what_waiting_ones_wait_for(client, make_endpoint, make_delivery):
    now = timezone.now()
    off = make_endpoint(description="Off", enabled=False)
    paused = make_endpoint(description="Paused")
    Health.objects.filter(endpoint=paused).update(held_until=now + timedelta(minutes=9.5))
    for endpoint in (off, paused):
        make_delivery(endpoint, "pending", next_attempt_at=now + timedelta(minutes=4.5))
    page = client.get(LOG).content.decode()
    assert "when enabled" in page and "in 9 min" in page and "in 4 min" not in page


def test_deleted_endpoints_stay_in_the_log_and_its_filter(client, make_endpoint, make_delivery):
    gone = make_endpoint(description="Old shop", deleted_at=timezone.now())
    delivery = make_delivery(gone)
    response = client.get(f"{LOG}?endpoint={gone.pk}")
    assert shown(response) == [delivery.pk]
    assert '<optgroup label="Deleted">' in response.content.decode()


def test_what_others_wrote_is_text(client, make_endpoint, make_delivery):
    evil = "<img src=x onerror=alert(1)>"
    endpoint = make_endpoint(description=evil, url="https://x.example/?<script>")
    make_delivery(endpoint, "failed", data={"product": {"sku": evil}}, last_error=evil)
    page = client.get(LOG, {"q": evil}).content.decode()
    assert "No deliveries" not in page
    assert "<img" not in page and "?<script>" not in page and "&lt;img" in page


def test_viewers_see_all_but_the_button(client, viewer, make_endpoint, make_delivery):
    delivery = make_delivery(make_endpoint(), "failed")
    assert "Replay failed" in client.get(LOG).content.decode()
    client.force_login(viewer)
    response = client.get(LOG)
    assert shown(response) == [delivery.pk]
    assert "Replay failed" not in response.content.decode()

"""The log by webhook-id and SKU, against a slow oracle."""

import itertools
import random
import uuid

import pytest

from tests.webhooks.deliveries.conftest import NOON, deliver, minutes
from webhooks.deliveries import log, search
from webhooks.deliveries.log import Filter
from webhooks.models import Delivery, Event

pytestmark = pytest.mark.django_db

SKUS = ("AB-7", "ab-7", "Äpfel 1", "äpfel 1", "AB-77", None)
STATES = ("pending", "succeeded", "failed")
SIZE = 5


@pytest.fixture
def deliveries(make_endpoint) -> list[Delivery]:
    """60 events to three endpoints, some made long after they occurred; some without a SKU."""
    chance = random.Random(7)
    endpoints = [make_endpoint(f"http://127.0.0.1:9/{n}") for n in range(3)]
    rows = []
    for n in range(60):
        sku, at = chance.choice(SKUS), NOON + minutes(chance.randrange(60))
        data = {"count": 480} if sku is None else {"product": {"sku": sku}, "actor": {}}
        first, *others = chance.sample(endpoints, chance.randint(1, 3))
        rows.append(deliver(first, chance.choice(STATES), at, data=data))
        rows += [
            Delivery.objects.create(
                event=rows[-1].event,
                endpoint=endpoint,
                event_type=rows[-1].event_type,
                state=chance.choice(STATES),
                created_at=NOON + minutes(n),
            )
            for endpoint in others
        ]
    return rows


def expected(rows: list[Delivery], filter: Filter) -> list[int]:
    """The obvious way."""
    return [
        row.pk
        for row in sorted(rows, key=lambda row: -row.pk)
        if filter.webhook_id in (None, row.event_id)
        and filter.sku.lower()
        in ("", row.event.data.get("product", {"sku": "none"})["sku"].lower())
        and filter.endpoint in (None, row.endpoint_id)
        and filter.state in ("", row.state)
        and (filter.since is None or row.created_at >= filter.since)
    ]


def filters(rows: list[Delivery]) -> list[Filter]:
    some = (
        *({"sku": sku} for sku in ("ab-7", "ÄPFEL 1", "AB-77", "AB", "480", "%")),
        *({"webhook_id": row.event_id} for row in rows[:5]),
        {"webhook_id": rows[0].event_id, "sku": "AB-7"},
        {"webhook_id": uuid.UUID(int=7)},
    )
    columns = itertools.product(
        (None, rows[0].endpoint_id), ("", "failed"), (None, NOON + minutes(30))
    )
    return [
        Filter(endpoint=endpoint, state=state, since=since, **what)
        for what, (endpoint, state, since) in itertools.product(some, columns)
    ]


def test_each_filter_gives_what_the_oracle_gives(deliveries):
    for filter in filters(deliveries):
        page = log.find(filter, size=SIZE)
        pages = [page]
        while page.older is not None:
            page = log.find(filter, before=page.older, size=SIZE)
            pages.append(page)
        found = [row.pk for page in pages for row in page.rows]
        assert found == expected(deliveries, filter), filter
        assert all(len(page.rows) == SIZE for page in pages[:-1]), filter
        while page.newer is not None:
            page = log.find(filter, after=page.newer, size=SIZE)
        assert page == pages[0], filter


def test_of_a_sku_the_newest_events_are_looked_at(endpoint, monkeypatch):
    monkeypatch.setattr(search, "EVENTS_AT_MOST", 3)
    data = {"product": {"sku": "AB-7"}}
    rows = [deliver(endpoint, at=NOON - minutes(n), data=data) for n in range(6)]
    assert log.find(Filter(sku="ab-7")).rows == rows[2::-1]


def test_it_takes_three_queries(deliveries, django_assert_num_queries):
    with django_assert_num_queries(3):  # events, ids, rows
        for row in log.find(Filter(sku="AB-7", state="failed")).rows:
            assert row.endpoint.url and row.event.webhook_id


@pytest.mark.parametrize("form", ["evt_{0.hex}", "{0.hex}", "{0}", "EVT_{0}"])
def test_one_field_means_either(form):
    known = Event.objects.create(type="product.created", data={"product": {"sku": "x"}})
    assert log.looked_for(form.format(known.pk)) == {"webhook_id": known.pk}
    # A SKU may look like that.
    other = form.format(uuid.UUID(int=7))
    assert log.looked_for(other) == {"sku": other}


@pytest.mark.parametrize("text", ["", "AB-7", "evt_", "evt_7", "e" * 31, "evt_evt_" + "0" * 32])
def test_what_is_no_id_is_a_sku(text):
    assert log.looked_for(text) == {"sku": text}

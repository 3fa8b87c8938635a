"""The pages of the log, against a slow oracle."""

import itertools
import random
from collections.abc import Iterator

import pytest

from config.listing import Page
from tests.webhooks.deliveries.conftest import NOON, deliver, minutes
from webhooks.deliveries import log, walk
from webhooks.deliveries.log import Filter
from webhooks.models import Attempt, Delivery

pytestmark = pytest.mark.django_db

TYPES = ("product.created", "product.updated", "product.deleted")
STATES = ("pending", "sending", "succeeded", "failed")
SIZE = 5


@pytest.fixture
def endpoints(make_endpoint, db):
    return [make_endpoint(f"http://127.0.0.1:9/{n}") for n in range(3)]


@pytest.fixture
def deliveries(endpoints) -> list[Delivery]:
    """120, one a minute; the rare kinds are rare, and some are old alone."""
    chance = random.Random(5)

    def one(n: int) -> Delivery:
        return deliver(
            chance.choices(endpoints, (8, 3, 1))[0],
            "failed" if n < 10 else chance.choices(STATES, (3, 1, 12, 3))[0],
            NOON + minutes(n),
            event_type=chance.choices(TYPES, (3, 8, 1))[0],
        )

    return [one(n) for n in range(120)]


def expected(rows: list[Delivery], filter: Filter) -> list[int]:
    """The obvious way."""
    return [
        row.pk
        for row in sorted(rows, key=lambda row: -row.pk)
        if filter.endpoint in (None, row.endpoint_id)
        and filter.event_type in ("", row.event_type)
        and filter.state in ("", row.state)
        and (filter.since is None or row.created_at >= filter.since)
    ]


def pages(filter: Filter, size: int = SIZE) -> Iterator[Page]:
    """All of them, from the newest to the oldest."""
    page = log.find(filter, size=size)
    yield page
    while page.older is not None:
        page = log.find(filter, before=page.older, size=size)
        yield page


def ids(found: list[Page]) -> list[int]:
    return [row.pk for page in found for row in page.rows]


def filters(endpoints) -> list[Filter]:
    """Each combination, with endpoints and types that nothing was sent to or of."""
    return [
        Filter(*values)
        for values in itertools.product(
            (None, *(endpoint.pk for endpoint in endpoints[1:]), 10**18),
            ("", *TYPES[1:], "products.deleted_all"),
            ("", *STATES[1:]),
            (None, NOON + minutes(70.5), NOON + minutes(500)),
        )
    ]


@pytest.mark.parametrize("looked_at", [7, 20_000])
def test_each_filter_gives_what_the_oracle_gives(deliveries, endpoints, monkeypatch, looked_at):
    monkeypatch.setattr(walk, "LOOKED_AT", looked_at)
    for filter in filters(endpoints):
        found = list(pages(filter, size=30))
        assert ids(found) == expected(deliveries, filter), filter
        if looked_at == 20_000:  # all but the last are full
            assert all(len(page.rows) == 30 for page in found[:-1]), filter


@pytest.mark.parametrize("looked_at", [7, 20_000])
@pytest.mark.parametrize("since", [None, NOON + minutes(10.5)])
def test_the_way_back_leads_past_the_same_rows(deliveries, monkeypatch, looked_at, since):
    monkeypatch.setattr(walk, "LOOKED_AT", looked_at)
    for event_type, state in itertools.product(("", *TYPES), ("", "succeeded", "failed")):
        filter = Filter(event_type=event_type, state=state, since=since)
        page = list(pages(filter))[-1]
        seen = [row.pk for row in page.rows]
        while page.newer is not None:
            page = log.find(filter, after=page.newer, size=SIZE)
            new = [row.pk for row in page.rows]
            # The first page is filled up with rows that were seen.
            seen = new + [pk for pk in seen if pk not in new]
            assert page.newer is None or len(set(seen)) == len(seen)
        assert seen == expected(deliveries, filter), filter
        assert page.rows == log.find(filter, size=SIZE).rows


@pytest.mark.parametrize(
    "filter", [Filter(), Filter(state="failed"), Filter(event_type=TYPES[1], state="failed")]
)
def test_pages_have_no_doubles_and_no_gaps_while_rows_are_added(
    deliveries, endpoints, monkeypatch, filter
):
    monkeypatch.setattr(walk, "LOOKED_AT", 9)
    wanted = expected(deliveries, filter)
    seen = []
    for page in pages(filter):
        seen += [row.pk for row in page.rows]
        for endpoint in endpoints:
            deliver(endpoint, "failed")
    assert seen == wanted


def test_rows_that_leave_the_filter_meanwhile_hide_no_others(deliveries, monkeypatch):
    monkeypatch.setattr(walk, "LOOKED_AT", 9)
    filter = Filter(state="succeeded", event_type=TYPES[1])
    wanted = expected(deliveries, filter)
    seen = []
    for page in pages(filter, size=3):
        seen += [row.pk for row in page.rows]
        Delivery.objects.filter(pk__in=seen[-2:]).update(state="pending")
    assert seen == wanted


def test_the_first_page_after_newer_ones_is_filled_up(deliveries):
    first = log.find(Filter(state="failed"), size=SIZE)
    again = log.find(Filter(state="failed"), after=first.rows[2].pk, size=SIZE)
    assert again == first


def test_since_finds_all_whose_ids_are_out_of_order(endpoint):
    # Two workers at once: the one that began later got the lower ids.
    late = deliver(endpoint, at=NOON + minutes(0.9))
    early = deliver(endpoint, at=NOON)
    for columns in ({}, {"state": "succeeded"}, {"state": "succeeded", "event_type": TYPES[1]}):
        found = log.find(Filter(since=NOON + minutes(0.5), **columns))
        assert found.rows == [late]
        assert log.find(Filter(since=NOON, **columns)).rows == [early, late]
        assert log.find(Filter(since=NOON + minutes(1), **columns)).rows == []


@pytest.mark.parametrize(
    ("filter", "queries"),
    [
        (Filter(), 1),
        (Filter(since=NOON), 2),
        (Filter(state="failed"), 2),
        (Filter(state="failed", event_type=TYPES[1], since=NOON), 4),
    ],
)
def test_a_page_takes_few_queries(deliveries, django_assert_num_queries, filter, queries):
    with django_assert_num_queries(queries):
        for row in log.find(filter, size=20).rows:
            assert row.endpoint.url and row.event.webhook_id and row.event.occurred_at


def test_attempts_come_the_newest_first(endpoint):
    delivery, other = deliver(endpoint), deliver(endpoint)
    for number in (1, 2, 3):
        Attempt.objects.create(delivery=delivery, endpoint=endpoint, number=number, url="x")
    Attempt.objects.create(delivery=other, endpoint=endpoint, number=9, url="x")
    assert [attempt.number for attempt in log.attempts(delivery.pk)] == [3, 2, 1]


def test_one_comes_with_its_endpoint_and_event(endpoint, django_assert_num_queries):
    pk = deliver(endpoint).pk
    with django_assert_num_queries(1):
        delivery = log.get(pk)
        assert (delivery.endpoint, delivery.event.data) == (endpoint, {"n": 1})
    with pytest.raises(Delivery.DoesNotExist):
        log.get(pk + 1)

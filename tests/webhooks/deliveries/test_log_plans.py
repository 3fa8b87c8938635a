"""The log stays quick when it is long: no page reads all of it."""

import pytest
from django.db import connection
from django.db.models import Min
from django.test.utils import CaptureQueriesContext

from webhooks.deliveries import log, search, walk
from webhooks.deliveries.log import Filter
from webhooks.models import Delivery, Event

pytestmark = pytest.mark.django_db

# 30,000: endpoint 1 and failed ones have every fifth row, but of the older half alone.
ROWS = """
INSERT INTO webhooks_endpoint (id, url, description, event_types, headers, enabled,
    disabled_reason, version)
SELECT n, 'https://shop.example/' || n, '', '{*}', '{}', true, '', 1 FROM generate_series(1, 3) n;
INSERT INTO webhooks_event (id, type, data, occurred_at)
SELECT gen_random_uuid(), 'product.updated',
    CASE WHEN n % 3 > 0 THEN jsonb_build_object('product', jsonb_build_object('sku',
        CASE WHEN n % 10 = 0 AND n < 15000 THEN 'OLD-1' ELSE 'AB-' || n % 900 END)) ELSE '{}' END,
    now() - (30000 - n) * interval '1 minute'
FROM generate_series(1, 30000) n;
INSERT INTO webhooks_delivery (event_id, endpoint_id, event_type, state, claim, tries,
    attempts_made, by_hand, test, last_error, created_at)
SELECT id, CASE WHEN rare THEN 1 ELSE 2 + n % 2 END, type,
    CASE WHEN rare THEN 'failed' ELSE 'succeeded' END, 0, 0, 1, false, false, '', occurred_at
FROM (SELECT *, n % 5 = 0 AND n < 15000 AS rare FROM (
    SELECT *, row_number() OVER (ORDER BY occurred_at) AS n FROM webhooks_event) numbered) e
ORDER BY n;
ANALYZE webhooks_endpoint, webhooks_event, webhooks_delivery
"""
OWN_INDEX = {
    "endpoint": "webhooks_delivery_log",
    "state": "webhooks_delivery_by_state",
    "event_type": "webhooks_delivery_by_type",
}


@pytest.fixture
def edges(db, monkeypatch) -> list[dict[str, int]]:
    """Pages of a long log: the first, and those on either side of its middle."""
    # As short beside it as beside a million.
    monkeypatch.setattr(walk, "LOOKED_AT", 300)
    monkeypatch.setattr(search, "EVENTS_AT_MOST", 30)
    with connection.cursor() as cursor:
        cursor.execute(ROWS)
    middle = Delivery.objects.aggregate(id=Min("id"))["id"] + 15_000
    return [{}, {"before": middle}, {"after": middle}]


def plans(filter: Filter, **edge: int) -> str:
    """How PostgreSQL runs the statements of a page."""
    with CaptureQueriesContext(connection) as captured:
        log.find(filter, **edge)
    with connection.cursor() as cursor:
        lines = []
        for query in captured:
            cursor.execute(f"EXPLAIN {query['sql']}")
            lines += [line for (line,) in cursor.fetchall()]
    return "\n".join(lines)


def test_no_page_reads_all_deliveries(edges):
    for edge in edges:
        for filter in (
            Filter(),
            Filter(state="pending"),
            Filter(event_type="product.updated"),
            Filter(event_type="product.deleted"),
            Filter(endpoint=2, state="failed"),
            Filter(endpoint=1, state="succeeded", event_type="product.updated"),
        ):
            found = plans(filter, **edge)
            assert "Seq Scan on webhooks_delivery" not in found, (filter, edge, found)


def test_hits_that_are_old_are_found_by_their_own_index(edges):
    for edge in edges:
        for filter, index in (
            (Filter(endpoint=1), "webhooks_delivery_log"),
            (Filter(state="failed"), "webhooks_delivery_by_state"),
        ):
            found = plans(filter, **edge).replace("Backward ", "")
            assert f"Scan using {index} on webhooks_delivery " in found, (filter, edge, found)


def test_a_search_goes_from_its_events_to_their_deliveries(edges):
    webhook_id = Event.objects.earliest("occurred_at").pk
    for edge in edges:
        for sought, index in (
            ({"sku": "old-1"}, "webhooks_event_sku"),
            ({"sku": "AB-77"}, "webhooks_event_sku"),
            ({"webhook_id": webhook_id}, "webhooks_event_pkey"),
        ):
            for columns in ({}, {"state": "failed"}, {"endpoint": 2}):
                found = plans(Filter(**sought, **columns), **edge)
                assert index in found and "webhooks_delivery_once" in found, (sought, edge, found)
                assert "Seq Scan on webhooks_event" not in found, (sought, edge, found)
                assert "Seq Scan on webhooks_delivery" not in found, (sought, edge, found)

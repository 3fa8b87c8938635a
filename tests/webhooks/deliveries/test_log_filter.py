"""What the parameters of the log mean."""

from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from webhooks.deliveries.log import EARLIEST, INSTANT, LATEST, LOCAL_INSTANT, Filter, instant, read

NINE = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
ID = UUID("0b9c5bb2-c9c8-4b7e-8a3f-3f0c2f1d4e5a")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({}, Filter()),
        ({"endpoint": "", "state": " ", "event_type": "", "since": ""}, Filter()),
        ({"endpoint": "7", "before": "3"}, Filter(endpoint=7)),
        ({"endpoint": str(2**63 - 1)}, Filter(endpoint=2**63 - 1)),
        ({"state": "failed"}, Filter(state="failed")),
        ({"event_type": "products.deleted_all"}, Filter(event_type="products.deleted_all")),
        ({"since": "2026-03-01T09:30:00Z"}, Filter(since=NINE)),
        ({"since": "2026-03-01t09:30:00z"}, Filter(since=NINE)),
        ({"since": "2026-03-01T10:30:00+01:00"}, Filter(since=NINE)),
        ({"since": "2026-03-01T04:00-05:30"}, Filter(since=NINE)),
        ({"sku": " Äpfel 1 "}, Filter(sku="Äpfel 1")),
        ({"webhook_id": f"evt_{ID.hex}"}, Filter(webhook_id=ID)),
        ({"webhook_id": ID.hex.upper()}, Filter(webhook_id=ID)),
        ({"webhook_id": str(ID)}, Filter(webhook_id=ID)),
    ],
)
def test_parameters_make_a_filter(given, meant):
    assert read(given) == (meant, {})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("endpoint", text) for text in ("0", "-1", "x", "7.0", "٣", "1e3", str(2**63), "9" * 50)),
        *(("endpoint", text) for text in ("0" * 19 + "7", "0" * 20 + "9" * 5_000)),
        *(("state", text) for text in ("done", "FAILED", "failed,pending", "a\0")),
        *(("event_type", text) for text in ("product", "*", "product.created\0")),
        *(("since", text) for text in ("yesterday", "2026-02-30T09:30:00Z", "1772357400", "\0")),
        *(("since", text) for text in ("2026-03-01T09:30:00 01:00", "2026-03-01T09:30:00")),
        *(("webhook_id", text) for text in ("7", "evt_", f"msg_{ID.hex}", f"{{{ID}}}", "a\0")),
        *(("webhook_id", text) for text in (f"evt_{ID.hex}0", f"{ID.hex}\n0", "٣" * 32)),
        ("sku", "AB\0-7"),
    ],
)
def test_what_is_wrong_is_named_and_does_not_filter(name, text):
    found, wrong = read({name: text, "endpoint": "7"} if name != "endpoint" else {name: text})
    assert list(wrong) == [name]
    assert found == (Filter() if name == "endpoint" else Filter(endpoint=7))


def test_words_are_offered_where_there_are_some():
    _, wrong = read({"state": "done", "event_type": "x"})
    assert "pending, sending, succeeded, failed" in wrong["state"][0]
    assert "product.created" in wrong["event_type"][0]


def test_a_time_without_an_offset_is_one_of_the_zone_if_there_is_one():
    vienna = ZoneInfo("Europe/Vienna")
    assert instant("2026-03-01T10:30", zone=vienna) == NINE
    assert instant("2026-07-01T10:30", zone=vienna).hour == 8
    assert read({"since": "2026-03-01T10:30"}, zone=vienna)[0] == Filter(since=NINE)
    assert read({"since": "2026-03-01T10:30"})[1] == {"since": [INSTANT]}
    assert read({"since": "x"}, zone=vienna)[1] == {"since": [LOCAL_INSTANT]}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("0001-01-01T00:00:00+14:00", EARLIEST),
        ("1969-12-31T23:59:59Z", EARLIEST),
        ("9999-12-31T23:59:59-14:00", LATEST),
    ],
)
def test_instants_at_the_calendar_s_ends_are_no_faults(text, meant):
    assert instant(text) == meant


@pytest.mark.parametrize(
    "filter",
    [
        Filter(),
        Filter(endpoint=7, state="failed"),
        Filter(event_type="product.deleted", since=NINE.replace(microsecond=5)),
        Filter(webhook_id=ID, sku="AB 7"),
        Filter(since=NINE.astimezone(ZoneInfo("Asia/Kolkata"))),
    ],
)
def test_a_filter_is_read_again_from_its_own_query(filter):
    assert read(filter.as_query()) == (filter, {})

"""How a delivery stands, in words."""

from datetime import UTC, datetime, timedelta

import pytest
from django.http import QueryDict

from webhooks.deliveries import words
from webhooks.deliveries.periods import Since
from webhooks.models import Attempt, Delivery, Endpoint, Health

NOW = datetime(2026, 11, 21, 15, 0, tzinfo=UTC)
SOON, LATER = NOW + timedelta(minutes=4), NOW + timedelta(minutes=20)


def delivery(state: str = "pending", *, held_until=None, endpoint=None, **values) -> Delivery:
    there = Endpoint(url="https://erp.example.com/", **(endpoint or {}))
    there.health = Health(held_until=held_until)
    return Delivery(endpoint=there, state=state, **values)


@pytest.mark.parametrize(
    ("given", "said", "at"),
    [
        (delivery("succeeded", attempts_made=1), "succeeded at the first attempt", None),
        (delivery("succeeded", attempts_made=3), "succeeded after 3 attempts", None),
        (delivery("failed", attempts_made=1), "failed after 1 attempt", None),
        (delivery("failed", attempts_made=1234), "failed after 1,234 attempts", None),
        (delivery("failed", attempts_made=0), "failed before the first attempt", None),
        (delivery("sending", attempts_made=2), "sending attempt 2", None),
        (delivery(next_attempt_at=SOON), "waiting next attempt", SOON),
        (delivery(next_attempt_at=NOW), "waiting to be sent, it is due", None),
        (delivery(next_attempt_at=NOW, by_hand=True), "waiting to be sent at once", None),
        (
            delivery(next_attempt_at=SOON, held_until=LATER),
            "waiting while its endpoint is paused, next attempt",
            LATER,
        ),
        (delivery(next_attempt_at=LATER, held_until=SOON), "waiting next attempt", LATER),
        (delivery(next_attempt_at=SOON, held_until=NOW), "waiting next attempt", SOON),
        (
            delivery(next_attempt_at=SOON, held_until=LATER, endpoint={"enabled": False}),
            "waiting until its endpoint is enabled",
            None,
        ),
        (
            delivery(next_attempt_at=NOW, by_hand=True, endpoint={"enabled": False}),
            "waiting to be sent at once",
            None,
        ),
        (
            delivery(next_attempt_at=SOON, endpoint={"deleted_at": NOW}),
            "waiting but its endpoint was deleted, so it is not sent",
            None,
        ),
    ],
)
def test_it_says_what_a_delivery_waits_for(given, said, at):
    standing = words.standing(given, NOW)
    assert (f"{standing.state} {standing.rest}", standing.at) == (said, at)


def test_a_delivery_that_failed_before_waits_in_another_colour():
    assert words.standing(delivery(next_attempt_at=SOON), NOW).kind == "off"
    again = delivery(next_attempt_at=SOON, last_status_code=503)
    assert words.standing(again, NOW).kind == "warn"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "now"),
        (0.9, "now"),
        (20, "in 20 s"),
        (59.9, "in 59 s"),
        (60, "in 1 min"),
        (3599, "in 59 min"),
        (3600, "in 1 h"),
        (47 * 3600, "in 47 h"),
        (49 * 3600, "in 2 days"),
    ],
)
def test_it_says_how_far_ahead_an_instant_is(seconds, said):
    assert words.until(NOW + timedelta(seconds=seconds), NOW) == said


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"product": {"sku": "AB-1"}}, "AB-1"),
        ({"count": 466693}, "466,693 products"),
        ({"count": 1}, "1 product"),
        ({"product": {"sku": None}, "count": None}, ""),
        ({"product": "AB-1"}, ""),
        ([], ""),
        (None, ""),
    ],
)
def test_it_says_what_an_event_is_about(data, said):
    assert words.subject(data) == said


def test_it_says_what_was_answered():
    assert words.answer(503, "") == "503 Service Unavailable"
    assert words.answer(299, "") == "299"
    assert words.answer(None, "Connection refused.") == "Connection refused."
    assert words.outcome(Attempt(state="failed", status_code=410)) == "Gone"
    assert words.outcome(Attempt(state="failed", error="No answer within 15 s.")).startswith("No")
    assert words.outcome(Attempt(state="sending")) == ""
    assert [words.duration(each) for each in (None, 0, 133, 15003)] == [
        "",
        "0 ms",
        "133 ms",
        "15.0 s",
    ]
    assert [words.size(each) for each in (512, 4096, 1536)] == ["512 bytes", "4 KB", "1.5 KB"]


@pytest.mark.parametrize(
    ("query", "key", "at"),
    [
        ("", "", None),
        ("since=", "", None),
        ("since=1h", "1h", NOW - timedelta(hours=1)),
        ("since=24h", "24h", NOW - timedelta(hours=24)),
        ("since=2026-11-20T10:00:00Z", "at", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("since=2026-11-20T10:00:00%2B02:00", "at", datetime(2026, 11, 20, 8, tzinfo=UTC)),
        ("since=at&at=2026-11-20T10:00", "at", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("since=at&at=", "", None),
        ("since=1h&at=2026-11-20T10:00", "1h", NOW - timedelta(hours=1)),
        ("since=yesterday", "", None),
        ("since=2026-02-30", "", None),
        ("since=%00", "", None),
    ],
)
def test_since_is_a_period_or_an_instant(query, key, at):
    assert Since.from_query(QueryDict(query), NOW) == Since(key, at)


def test_since_has_a_default_where_nothing_readable_is_given():
    day = Since("24h", NOW - timedelta(hours=24))
    assert Since.from_query(QueryDict(""), NOW, default="24h") == day
    assert Since.from_query(QueryDict("since=soon"), NOW, default="24h") == day
    assert Since.from_query(QueryDict("since="), NOW, default="24h") == Since()


def test_since_goes_into_an_address_and_back():
    for given in ("since=7d", "since=2026-11-20T10:00:00.5Z", ""):
        since = Since.from_query(QueryDict(given), NOW)
        again = QueryDict(mutable=True)
        again["since"] = since.parameter
        assert Since.from_query(again, NOW) == since

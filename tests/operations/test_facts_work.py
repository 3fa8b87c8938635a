"""Deliveries, orders, the last balances and the last performance run."""

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg2
import pytest
import redis
from django.utils import timezone
from pytest_django import Settings

from config.operations.facts import deliveries, orders, performance, rejects, rollup
from config.services.engine import Engine
from streaming import operations as streaming
from streaming.prices import keys, minute
from tests.streaming.prices import calculating
from tests.transactions.ledger.stage import drop_database, fresh_database
from transactions.ledger.engine import tables
from transactions.models import Order
from webhooks.models import Delivery, Endpoint, Event, Health


def endpoint(failures: int = 0, **columns: Any) -> Endpoint:
    made = Endpoint.objects.create(
        **{"url": "http://127.0.0.1:9/", "event_types": ["*"], **columns}
    )
    Health.objects.create(endpoint=made, failures_in_a_row=failures)
    return made


def delivery(to: Endpoint, **columns: Any) -> None:
    event = Event.objects.create(type="a.b", data={}, fanned_out_at=timezone.now())
    Delivery.objects.create(event=event, endpoint=to, event_type="a.b", **columns)


def ago(seconds: float) -> Any:
    return timezone.now() - timedelta(seconds=seconds)


class TestDeliveries:
    def test_nothing_is_due_at_first(self, db: None) -> None:
        assert deliveries.facts({}) == {
            "due": 0,
            "oldest_due_seconds": None,
            "failing_endpoints": [],
            "disabled_endpoints": [],
            "failed_last_hour": 0,
        }

    def test_what_should_have_been_sent_is_due(self, db: None) -> None:
        to = endpoint(updated_at=ago(3600))
        delivery(to, next_attempt_at=ago(100))
        delivery(to, next_attempt_at=ago(50))
        delivery(to, next_attempt_at=ago(-50))
        delivery(endpoint(enabled=False), next_attempt_at=ago(500))

        found = deliveries.facts({})

        assert found["due"] == 2
        assert 100 <= found["oldest_due_seconds"] < 400

    def test_what_is_held_back_is_not_due(self, db: None) -> None:
        to = endpoint()
        delivery(to, next_attempt_at=ago(100))
        Health.objects.update(held_until=ago(-60))

        assert deliveries.facts({})["due"] == 0

    def test_events_without_deliveries_are_due(self, db: None) -> None:
        Event.objects.create(type="a.b", data={}, occurred_at=ago(100))

        found = deliveries.facts({})

        assert found["due"] == 1
        assert found["oldest_due_seconds"] >= 100

    def test_endpoints_that_fail_are_named(self, db: None, settings: Settings) -> None:
        settings.WEBHOOK_BREAK_AFTER = 3
        failing, _ = endpoint(failures=3), endpoint(failures=2)
        endpoint(failures=9, for_callbacks=True)
        disabled = endpoint(enabled=False, disabled_reason="gone", failures=9)
        endpoint(enabled=False)
        endpoint(enabled=False, disabled_reason="gone", deleted_at=timezone.now())

        found = deliveries.facts({})

        assert found["failing_endpoints"] == [{"id": failing.pk, "url": failing.url, "failures": 3}]
        assert found["disabled_endpoints"] == [
            {"id": disabled.pk, "url": disabled.url, "reason": "gone"}
        ]

    def test_what_was_given_up_in_the_last_hour_is_counted(self, db: None) -> None:
        to = endpoint()
        for seconds in (10, 3000, 4000):
            delivery(to, state="failed", finished_at=ago(seconds))

        assert deliveries.facts({})["failed_last_hour"] == 2
        assert rejects.of_database({})[-1]["last_hour"] == 2


def test_open_orders_are_counted_from_the_oldest(db: None, settings: Settings) -> None:
    settings.ORDERS_MOST_OPEN = 3
    assert orders.facts({}) == {"open": 0, "limit": 3, "oldest_seconds": None}
    for seconds, status in ((500, "Accept"), (100, "verifying"), (50, "received")):
        Order.objects.create(
            user="u", stockname="s", quantity=1, status=status, received_at=ago(seconds)
        )

    found = orders.facts({})

    assert found["open"] == 2
    assert 100 <= found["oldest_seconds"] < 400


class TestLedger:
    @pytest.fixture
    def ledger(self, postgres_engine: Engine, settings: Settings) -> Iterator[Any]:
        server = postgres_engine.variables()["DATABASE_URL"]
        settings.LEDGER_DATABASE_URL = url = fresh_database(server)
        connection = psycopg2.connect(url)
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor
        connection.close()
        drop_database(url, server)

    def test_one_that_has_never_run_misses_nothing(self, ledger: Any) -> None:
        nothing = {"minute": None, "lateness_seconds": None, "failure": "", "missed": False}
        assert rollup.facts({}) == nothing
        assert rejects.of_ledger({})[0]["last_hour"] == 0

        ledger.execute(tables.SCHEMA)
        assert rollup.facts({}) == nothing

    @pytest.mark.parametrize(
        ("minutes_ago", "failure", "missed"),
        [(0, "", False), (3, "", True), (0, "KeyDB: refused", True)],
        ids=["written", "nobody wrote", "failed"],
    )
    def test_the_newest_minute_counts(
        self, ledger: Any, minutes_ago: int, failure: str, missed: bool
    ) -> None:
        ledger.execute(tables.SCHEMA)
        at = time.time() // 60 * 60 - 60 * minutes_ago
        for minute_at, why in ((at - 60, "long ago"), (at, failure)):
            ledger.execute(
                "INSERT INTO stockroom_ledger.runs (minute, lateness_seconds, failure)"
                " VALUES (to_timestamp(%s), 0.25, %s)",
                [minute_at, why],
            )

        assert rollup.facts({}) == {
            "minute": at,
            "lateness_seconds": 0.25,
            "failure": failure,
            "missed": missed,
        }

    def test_rejects_of_the_last_hour_are_counted(self, ledger: Any) -> None:
        ledger.execute(tables.SCHEMA)
        ledger.execute(
            "INSERT INTO stockroom_ledger.rejects (rejected_at, reason, detail, body, body_bytes)"
            " SELECT now() - g * interval '20 minutes', 'r', '', '', 0"
            " FROM generate_series(9, 0, -1) g"
        )

        assert rejects.of_ledger({})[0] == {
            "kind": "ledger",
            "last_hour": 3,
            "total": None,
            "url": "/transactions/ledger/rejects/",
        }


class TestPerformance:
    @pytest.fixture
    def prices(self, settings: Settings) -> Iterator[redis.Redis]:
        client = redis.Redis.from_url(settings.PRICES_REDIS_URL)
        names = [keys.STOCKS, keys.MINUTE, *(keys.beside(f"stock{n}") for n in (1, 2, 3))]
        client.delete(*names)
        yield client
        client.delete(*names)

    def add(self, client: redis.Redis, number: int, **fields: Any) -> None:
        client.zadd(keys.STOCKS, {f"stock{number}": number})
        client.hset(keys.beside(f"stock{number}"), mapping={"latest": "10", **fields})

    def test_without_stocks_nothing_is_missed(self, prices: redis.Redis) -> None:
        nothing = {"minute": None, "calculated": None, "failed": None, "seconds": None}
        assert performance.facts({}) == {**nothing, "missed": False}

    def test_results_of_the_minute_are_counted(self, prices: redis.Redis) -> None:
        asked = minute.current(time.time())
        prices.set(keys.MINUTE, asked)
        begin = asked * 60.0
        self.add(prices, 1, calculated_price="10", calculated_at=begin + 3)
        self.add(prices, 2, calculated_price="9", calculated_at=begin - 50)
        self.add(prices, 3, failure="no", failed_at=begin + 1)

        assert performance.facts({}) == {
            "minute": begin,
            "calculated": 1,
            "failed": 1,
            "seconds": 3.0,
            "missed": False,
        }

    def test_a_run_is_missed_where_stocks_wait_for_one(self, prices: redis.Redis) -> None:
        prices.set(keys.MINUTE, minute.current(time.time()) - 5)
        self.add(prices, 1, calculated_price="10")
        assert not performance.facts({})["missed"]

        self.add(prices, 2, calculated_price="9")
        assert performance.facts({})["missed"]

    # Minute 1000 is the last that was asked for; calculations may take 10 s, so that 15 s after it
    # the next one has been asked for.
    END, LATE = 1001 * 60, 15

    @pytest.mark.parametrize(
        ("fields", "missed"),
        [
            ({"asked": 1000}, True),  # nothing came of it
            ({"asked": 999}, True),  # minute 1000 has left it out
            ({"updated_at": 60_000 - 2}, True),  # and here
            ({"asked": 1000, "calculated_price": "9", "calculated_at": 59_990}, True),
            ({"updated_at": 60_000 + 1}, False),  # a price that came just after the ask
            ({"updated_at": 60_000 - 0.5}, False),  # or did by another clock
            ({}, False),  # nobody knows since when it waits
            ({"asked": 1001}, False),  # read while minute 1001 was asked for
            ({"updated_at": 59_000, "failure": "no", "failed_at": 60_030}, False),
            ({"updated_at": 59_000, "calculated_price": "10.0"}, False),  # the same number
            ({"updated_at": 59_000, "latest": ""}, False),
            ({"asked": 1000, "calculated_price": "9", "calculated_at": 60_030}, False),
        ],
    )
    def test_a_minute_that_came_to_nothing_is_missed(
        self, prices: redis.Redis, settings: Settings, fields: dict[str, Any], missed: bool
    ) -> None:
        settings.PRICES_PERFORMANCE_SECONDS = 10.0
        prices.set(keys.MINUTE, 1000)
        self.add(prices, 1, **fields)

        assert streaming.performance(self.END + self.LATE)["missed"] is missed

    def test_a_minute_is_not_missed_before_the_next_could_be_asked_for(
        self, prices: redis.Redis, settings: Settings
    ) -> None:
        settings.PRICES_PERFORMANCE_SECONDS = 10.0
        prices.set(keys.MINUTE, 1000)
        self.add(prices, 1, asked=1000)

        assert not streaming.performance(self.END + self.LATE - 1)["missed"]
        assert streaming.performance(self.END + self.LATE)["missed"]

    def test_a_minute_in_which_others_were_calculated_is_not_missed(
        self, prices: redis.Redis, settings: Settings
    ) -> None:
        settings.PRICES_PERFORMANCE_SECONDS = 10.0
        prices.set(keys.MINUTE, 1000)
        self.add(prices, 1, asked=1000)
        self.add(prices, 2, calculated_price="10", calculated_at=60_020)

        assert not streaming.performance(self.END + self.LATE)["missed"]

    @pytest.mark.parametrize("asked_minutes_later", [1, 2])
    def test_a_stock_that_each_minute_leaves_out_is_missed(
        self, prices: redis.Redis, settings: Settings, asked_minutes_later: int
    ) -> None:
        """Who asks fails: the minute is there, and no stock is asked for."""
        settings.PRICES_PERFORMANCE_SECONDS = 10.0
        prices.set(keys.MINUTE, 1000 + asked_minutes_later)
        self.add(prices, 1, updated_at=60_000 - 2)

        assert streaming.performance(self.END + self.LATE)["missed"]

    def test_a_minute_whose_calculations_were_lost_is_missed_until_the_next_is_asked_for(
        self, settings: Settings
    ) -> None:
        settings.PRICES_PERFORMANCE_SECONDS = 10.0
        settings.PRICES_REDIS_URL = calculating.url(settings.PRICES_REDIS_URL)
        made = calculating.Prices(settings.PRICES_REDIS_URL)
        number = minute.current(time.time())
        late = (number + 1) * 60 + self.LATE

        made.add("stock1", 100)
        (first,) = made.store.ask(number)
        assert made.store.begin(first)
        assert streaming.performance(late)["missed"]

        (second,) = made.store.ask(number + 1)
        assert not streaming.performance(late)["missed"]
        assert made.store.begin(second) and made.store.finish(second, "1", 0.1)
        made.add("stock1", 200)
        assert not streaming.performance(late)["missed"]
        made.close()

"""What is told of orders, live, and to whom."""

import json
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import redis
from django.test import Client

from config.accounts import tokens
from config.accounts.models import User
from config.live import publishing
from config.outage import Outage
from tests.services.waiting import until
from transactions.models import Order, OrderStatus, Reason
from transactions.orders import live
from transactions.orders.snapshot import snapshot

DECIDED_AT = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)


class Ear:
    """Hears what web processes would hear."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url)
        self._pubsub = self._client.pubsub()
        self._pubsub.subscribe("events_channel")
        subscribed = self._pubsub.get_message(timeout=60)
        assert subscribed is not None and subscribed["type"] == "subscribe"
        self.heard: list[tuple[str, dict[str, Any]]] = []

    def listen(self) -> list[tuple[str, dict[str, Any]]]:
        """All that ever came."""
        while (message := self._pubsub.get_message(timeout=0.02)) is not None:
            fields = json.loads(message["data"])
            assert (fields["event_type"], fields["pub_id"]) == ("snapshot", None)
            self.heard.append((fields["channel"], json.loads(fields["data"])))
        return self.heard

    def of(self, channel: str) -> list[dict[str, Any]]:
        return [data for name, data in self.listen() if name == channel]

    def close(self) -> None:
        self._pubsub.close()
        self._client.close()


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_teller", live.Teller())
    monkeypatch.setattr(publishing, "_outage", Outage("live events"))


@pytest.fixture
def ear(settings) -> Iterator[Ear]:
    ear = Ear(settings.REDIS_URL)
    yield ear
    ear.close()


def order(**fields: Any) -> Order:
    made = {"order_id": uuid.uuid4(), "user": "user1", "stockname": "stock1", "quantity": 100}
    return Order(**{**made, **fields})


class TestSnapshot:
    def test_numbers_keep_their_digits(self) -> None:
        decided = order(
            status=OrderStatus.ACCEPT,
            price=Decimal("9007199254740993.10"),
            amount=Decimal("900719925474099310.00"),
            decided_at=DECIDED_AT,
        )
        assert snapshot(decided) == {
            "order_id": str(decided.order_id),
            "status": "Accept",
            "reason": None,
            "price": "9007199254740993.1",
            "amount": "900719925474099310",
            "decided_at": "2026-01-02T03:04:05.678901Z",
        }

    def test_what_is_not_known_yet_is_null(self) -> None:
        found = snapshot(order())
        assert found.pop("order_id") and found.pop("status") == "received"
        assert set(found.values()) == {None}

    def test_a_denial_has_its_reason(self) -> None:
        assert snapshot(order(reason=Reason.NO_PRICE))["reason"] == "no_price"


class TestTell:
    def test_each_order_is_told_on_its_channel_and_the_list_once(self, ear: Ear) -> None:
        orders = [order() for _ in range(live.BATCH + 1)]
        live.tell(orders)
        until(lambda: len(ear.listen()) >= len(orders) + 1)
        assert sorted(each for each in ear.heard if each[0] != "orders") == sorted(
            (f"order-{each.order_id}", snapshot(each)) for each in orders
        )
        (news,) = ear.of("orders")
        assert list(news) == ["at"] and abs(news["at"] - time.time()) < 60

    def test_nothing_to_tell_is_not_told(self, ear: Ear) -> None:
        live.tell([])
        live.tell([order()])
        until(lambda: ear.of("orders"))
        assert len(ear.heard) == 2

    def test_the_list_hears_of_the_last_change_and_not_of_each(self, ear: Ear, settings) -> None:
        settings.LIVE_EVENTS_PER_SECOND = 5
        for _ in range(20):
            live.tell([order()])
        last = time.time()
        live.tell([order()])
        until(lambda: (news := ear.of("orders")) and news[-1]["at"] >= last)
        until(lambda: len(ear.listen()) - len(ear.of("orders")) == 21)
        assert len(ear.of("orders")) < 21
        # All is said: nothing goes on.
        until(lambda: not of_live())

    def test_new_orders_are_news_for_the_list_alone(self, ear: Ear, settings) -> None:
        settings.LIVE_EVENTS_PER_SECOND = 5
        for _ in range(20):
            live.tell_of_news()
        last = time.time()
        live.tell_of_news()
        until(lambda: (ear.listen(), news := ear.of("orders")) and news and news[-1]["at"] >= last)
        assert len(ear.heard) == len(ear.of("orders")) < 21
        until(lambda: not of_live())

    def test_the_end_of_the_process_says_what_is_kept(self, ear: Ear, settings) -> None:
        settings.LIVE_EVENTS_PER_SECOND = 0.01
        live.tell([order()])
        live.tell([order()])
        until(lambda: len(ear.listen()) == 3)
        assert len(ear.of("orders")) == 1
        live._teller.close()
        until(lambda: len(ear.of("orders")) == 2)

    def test_what_can_not_be_sent_is_sent_later(
        self, ear: Ear, monkeypatch: pytest.MonkeyPatch, settings
    ) -> None:
        settings.LIVE_OUTAGE_SECONDS = 0.2
        admin = redis.Redis.from_url(settings.REDIS_URL)
        admin.acl_setuser(
            "teller", enabled=False, passwords=["+secret"], commands=["+@all"], channels=["*"]
        )
        options = {**admin.get_connection_kwargs(), "username": "teller", "password": "secret"}
        client = redis.Redis(connection_pool=redis.ConnectionPool(**options))
        monkeypatch.setattr("django_eventstream.eventstream.redis_client", client)
        first, second = order(), order()
        try:
            live.tell([first, second])
            first.status = OrderStatus.ACCEPT
            live.tell([first])
            assert ear.listen() == []
            admin.acl_setuser("teller", enabled=True)
            until(lambda: len(ear.listen()) == 3)
        finally:
            admin.acl_deluser("teller")
            admin.close()
            client.close()
        assert ear.of(f"order-{first.order_id}") == [snapshot(first)]
        assert ear.of(f"order-{second.order_id}") == [snapshot(second)]
        assert len(ear.of("orders")) == 1

    def test_not_more_is_kept_than_fits(
        self, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
    ) -> None:
        monkeypatch.setattr(live, "KEPT", 3)
        client = redis.Redis(port=unused_tcp_port, retry=None)
        monkeypatch.setattr("django_eventstream.eventstream.redis_client", client)
        orders = [order() for _ in range(5)]
        for each in orders:
            live.tell([each])
        assert list(live._teller._snapshots) == [f"order-{each.order_id}" for each in orders[2:]]


def of_live() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "orders.live"]


@pytest.mark.django_db
class TestChannels:
    @pytest.fixture
    def owner(self, django_user_model: type[User]) -> User:
        return django_user_model.objects.create_user("ana", role="viewer")

    def status(self, channel: str, user: User | None = None, secret: str = "") -> int:
        """501 is a yes: there is no event loop behind this client."""
        client = Client(headers={"Authorization": f"Bearer {secret}"} if secret else {})
        if user is not None:
            client.force_login(user)
        return client.get(f"/events/{channel}/").status_code

    def test_who_is_signed_in_follows_all_that_exist(self, owner: User) -> None:
        made = Order.objects.create(user="user7", stockname="stock1", quantity=1)
        assert self.status("orders", owner) == 501
        assert self.status(f"order-{made.order_id}", owner) == 501
        assert self.status(f"order-{uuid.uuid4()}", owner) == 404
        assert self.status(f"order-{str(made.order_id).upper()}X", owner) == 404
        assert self.status("order-", owner) == 404
        assert self.status(f"order-{made.order_id}") == 401

    def test_a_token_follows_orders_of_its_trading_users(self, owner: User) -> None:
        own, other = (
            Order.objects.create(user=user, stockname="stock1", quantity=1)
            for user in ("user1", "user2")
        )
        secret = token(owner, ["orders:read"], ["user1"])
        assert self.status("orders", secret=secret) == 501
        assert self.status(f"order-{own.order_id}", secret=secret) == 501
        assert self.status(f"order-{other.order_id}", secret=secret) == 404
        everyone = token(owner, ["orders:write"], ["*"])
        assert self.status(f"order-{other.order_id}", secret=everyone) == 501

    def test_a_token_needs_the_scope_first(self, owner: User) -> None:
        secret = token(owner, ["catalogue:write"], ["*"])
        assert self.status("orders", secret=secret) == 403
        assert self.status(f"order-{uuid.uuid4()}", secret=secret) == 403


def token(owner: User, scopes: list[str], trading_users: list[str]) -> str:
    return tokens.issue(owner, "integration", scopes, trading_users)[1]

"""Results of orders on their way to callback URLs: what is told, where to, and the page of it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from ipaddress import ip_network
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings
from standardwebhooks import Webhook

from config.accounts.models import Role, User
from config.field_rules import Wrong
from tests.services.waiting import until
from tests.webhooks.conftest import delivering
from tests.webhooks.receiver import Receiver
from tests.webhooks.test_event_types import shape
from transactions.models import CallbackUrl, Order, OrderStatus, Reason
from transactions.orders import callback_views, callbacks, storing
from webhooks import sweep
from webhooks.event_types import ORDER_DECIDED
from webhooks.models import Delivery, Event, Secret

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC)
URL = "https://client.example/told"


@pytest.fixture(autouse=True)
def _receivers_on_this_machine(settings: Settings) -> None:
    settings.WEBHOOK_ALLOW_HTTP = True
    settings.WEBHOOK_PORTS = []
    settings.WEBHOOK_ALLOWED_NETWORKS = [ip_network("127.0.0.0/8")]


def decided(owner: User | None, url: str = URL, **columns: object) -> Order:
    """An accepted order as the engine has it in memory."""
    values = {
        "user": "user2",
        "stockname": "stock1",
        "quantity": 3,
        "status": OrderStatus.ACCEPT,
        "price": Decimal("0.1"),
        "amount": Decimal("0.30"),
        "credit_before": Decimal(2**63 + 1),
        "credit_after": Decimal(2**63) + Decimal("0.7"),
        "received_at": NOON,
        "verification_began_at": NOON,
        "verified_at": NOON,
        "decided_at": NOON,
    }
    return Order.objects.create(created_by=owner, callback_url=url, **{**values, **columns})


class TestTelling:
    @pytest.mark.django_db(transaction=True)
    def test_a_result_comes_signed_with_all_digits(self, user: User) -> None:
        with Receiver() as receiver, delivering():
            order = decided(user, receiver.address("/told?mine=7"))
            with transaction.atomic():
                callbacks.call_back([order])
            (received,) = receiver.wait(1)
            until(lambda: Delivery.objects.get().state == "succeeded")
        secret = Secret.objects.get(owner=user).value
        told = Webhook(secret).verify(received.body, received.headers)
        assert told["type"] == "order.decided"
        assert received.path == "/told?mine=7"
        assert told["data"] == {
            "order_id": str(order.order_id),
            "user": "user2",
            "stockname": "stock1",
            "quantity": "3",
            "status": "Accept",
            "reason": None,
            "detail": "",
            "price": "0.1",
            "amount": "0.3",
            "credit_before": "9223372036854775809",
            "credit_after": "9223372036854775808.7",
            **dict.fromkeys(
                ("received_at", "verification_began_at", "verified_at", "decided_at"),
                "2026-03-01T12:00:00.000005Z",
            ),
        }
        assert Order.objects.get().delivery == Delivery.objects.get()

    def test_the_sample_has_the_shape_of_what_is_told(self, user: User) -> None:
        assert shape(callbacks.result(decided(user))) == shape(ORDER_DECIDED.sample)

    def test_a_denial_says_why(self, user: User) -> None:
        order = decided(
            user,
            status=OrderStatus.DENY,
            reason=Reason.VERIFICATION_STALLED,
            detail="No answer.",
            **dict.fromkeys(("price", "amount", "credit_before", "credit_after")),
        )
        told = callbacks.result(Order.objects.get(pk=order.pk))
        assert (told["status"], told["reason"], told["detail"]) == (
            *("Deny", "verification_stalled", "No answer."),
        )
        assert told["price"] is told["credit_after"] is None

    def test_hundreds_take_a_handful_of_statements(self, user: User) -> None:
        orders = [decided(user, f"https://h{n % 3}.example/{n}", quantity=n + 1) for n in range(60)]
        callbacks.call_back(orders[:3])
        with CaptureQueriesContext(connection) as captured:
            callbacks.call_back(orders[3:])
        assert len(captured) <= 4
        told = Order.objects.values_list("quantity", "delivery__url", "delivery__event__data")
        assert sorted(told) == [
            (n + 1, f"https://h{n % 3}.example/{n}", callbacks.result(order))
            for n, order in enumerate(orders)
        ]
        assert all(order.delivery_id for order in orders)

    def test_who_has_no_url_or_no_account_is_passed_over(self, user: User) -> None:
        without, orphan = decided(user, ""), decided(None)
        callbacks.call_back([without, orphan])
        callbacks.call_back([])
        assert not Delivery.objects.exists()
        last = decided(user)
        callbacks.call_back([orphan, last])
        assert (orphan.delivery_id, last.delivery_id) == (None, Delivery.objects.get().pk)

    def test_an_account_that_is_gone_meanwhile_stops_nobody_elses(
        self, user: User, django_user_model: type[User]
    ) -> None:
        leaver = django_user_model.objects.create_user("ben")
        theirs, mine = decided(leaver), decided(user)
        leaver.delete()
        callbacks.call_back([theirs, mine])  # as read before the account was deleted
        connection.check_constraints()
        assert (theirs.delivery_id, mine.delivery_id) == (None, Delivery.objects.get().pk)

    def test_an_order_outlives_the_log_of_its_callback(self, user: User) -> None:
        order = decided(user)
        callbacks.call_back([order])
        Event.objects.update(occurred_at=timezone.now() - timedelta(days=4_000))
        sweep.purge(timezone.now())
        connection.check_constraints()
        assert not Delivery.objects.exists()
        assert Order.objects.get().delivery is None


def where(owner: User | None, user: str, url: str = "", **fields: Any) -> str:
    """Where the result of a new order goes."""
    order = Order(
        user=user, stockname="stock1", quantity=1, created_by=owner, callback_url=url, **fields
    )
    storing.store(order)
    stored = Order.objects.get(pk=order.pk)
    assert stored.callback_url == order.callback_url
    return stored.callback_url


class TestWhere:
    def test_a_users_own_default_goes_before_the_one_of_all(
        self, user: User, django_user_model: type[User]
    ) -> None:
        other = django_user_model.objects.create_user("ben")
        CallbackUrl.objects.create(owner=other, url="https://ben.example/")
        assert where(user, "user2") == ""
        CallbackUrl.objects.create(owner=user, url="https://all.example/")
        CallbackUrl.objects.create(owner=user, user="user2", url="https://two.example/")
        assert where(user, "user2") == "https://two.example/"
        assert where(user, "user1") == "https://all.example/"
        assert where(user, "user2", "https://own.example/") == "https://own.example/"
        assert where(None, "user1") == ""
        assert where(user, "user1", status=OrderStatus.DENY) == ""

    @pytest.mark.parametrize(
        ("url", "said"),
        [
            (7, "Must be text."),
            ("", "This is not a URL"),
            ("https://x.example/" + "x" * 2_000, "at most 2,000"),
            ("https://x.example/\ud800", "half character"),
            ("https://x.example/\0", "NUL"),
            ("ftp://x.example/", "must begin with"),
            ("https://ana@x.example/", "user name"),
            ("https://10.0.0.1/", "not a public address"),
            ("https://[::1]/", "not a public address"),
        ],
    )
    def test_what_is_no_address_for_callbacks_is_refused(self, url: object, said: str) -> None:
        with pytest.raises(Wrong, match=said):
            callbacks.check(url)

    def test_http_is_refused_unless_allowed(self, settings: Settings) -> None:
        callbacks.check("http://x.example/")
        settings.WEBHOOK_ALLOW_HTTP = False
        with pytest.raises(Wrong, match="https"):
            callbacks.check("http://x.example/")


class TestPage:
    ADDRESS = "/transactions/orders/callbacks/"

    @pytest.fixture
    def signed_in(self, user: User, client: Client) -> Client:
        client.force_login(user)
        return client

    def post(self, client: Client, **fields: str) -> str:
        """What the page says after it."""
        response = client.post(self.ADDRESS, fields, follow=True)
        assert response.status_code == (200 if response.redirect_chain else 422)
        return response.content.decode()

    def test_it_has_its_name(self) -> None:
        assert reverse("transactions:orders-callbacks") == self.ADDRESS

    def test_a_default_is_saved_replaced_and_deleted(self, user: User, signed_in: Client) -> None:
        assert "None yet" in signed_in.get(self.ADDRESS).content.decode()
        assert "go to this URL now" in self.post(signed_in, user="", url="http://127.0.0.1:9/a")
        self.post(signed_in, user="user2", url="http://127.0.0.1:9/b")
        page = self.post(signed_in, user="user2", url=" http://127.0.0.1:9/c ")
        assert "http://127.0.0.1:9/a" in page and "http://127.0.0.1:9/c" in page
        assert sorted(CallbackUrl.objects.values_list("user", "url")) == [
            ("", "http://127.0.0.1:9/a"),
            ("user2", "http://127.0.0.1:9/c"),
        ]
        pk = str(CallbackUrl.objects.get(user="").pk)
        assert "is deleted" in self.post(signed_in, action="delete", url_id=pk)
        assert "already" in self.post(signed_in, action="delete", url_id=pk)
        assert CallbackUrl.objects.get().user == "user2"

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"url": ""}, "Enter a URL."),
            ({"url": "https://10.0.0.1/"}, "not a public address"),
            ({"url": "https://127.0.0.1/" + "x" * 2_000}, "at most 2000 characters"),
            ({"url": "https://127.0.0.1/", "user": "Stock1"}, "Trading users are called"),
            ({"url": "https://127.0.0.1/", "user": "user1\0"}, "Null characters"),
        ],
    )
    def test_what_is_wrong_is_said_at_its_field(
        self, signed_in: Client, fields: dict[str, str], said: str
    ) -> None:
        assert said in self.post(signed_in, **fields)
        assert not CallbackUrl.objects.exists()

    def test_there_is_an_end_to_them(
        self, signed_in: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(callback_views, "MAX_URLS", 1)
        self.post(signed_in, user="user1", url="http://127.0.0.1:9/a")
        self.post(signed_in, user="user1", url="http://127.0.0.1:9/b")
        assert "the most" in self.post(signed_in, user="user2", url="http://127.0.0.1:9/c")
        assert CallbackUrl.objects.get().url == "http://127.0.0.1:9/b"

    def test_the_secret_is_shown_once(self, user: User, signed_in: Client) -> None:
        assert "Create secret" in signed_in.get(self.ADDRESS).content.decode()
        page = self.post(signed_in, action="rotate")
        secret = Secret.objects.get(owner=user)
        assert secret.value in page
        assert secret.value not in signed_in.get(self.ADDRESS).content.decode()
        page = self.post(signed_in, action="rotate")  # the form without a secret, sent twice
        assert "newer secret already" in page
        page = self.post(signed_in, action="rotate", present=str(secret.pk))
        newer = Secret.objects.get(owner=user, expires_at=None)
        assert newer.value in page and secret.value not in page
        assert newer.pk != secret.pk

    def test_everybody_sees_their_own_only(
        self, signed_in: Client, django_user_model: type[User]
    ) -> None:
        other = django_user_model.objects.create_user("ben")
        theirs = CallbackUrl.objects.create(owner=other, url="https://ben.example/")
        assert "ben.example" not in signed_in.get(self.ADDRESS).content.decode()
        self.post(signed_in, action="delete", url_id=str(theirs.pk))
        assert CallbackUrl.objects.filter(owner=other).exists()

    def test_viewers_look_and_change_nothing(
        self, client: Client, django_user_model: type[User]
    ) -> None:
        client.force_login(django_user_model.objects.create_user("vera", role=Role.VIEWER))
        page = client.get(self.ADDRESS)
        assert page.status_code == 200
        assert 'value="rotate"' not in page.content.decode()
        assert client.post(self.ADDRESS, {"action": "rotate"}).status_code == 403
        assert not Secret.objects.exists()

    def test_who_is_not_signed_in_is_sent_to_the_login(self, client: Client) -> None:
        assert client.get(self.ADDRESS).status_code == 302

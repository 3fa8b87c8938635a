import logging
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from celery import current_task, shared_task
from celery.app.trace import trace_task

from config.accounts.models import User
from config.celery import JobFilter, app
from config.logs import task_ids
from config.request_log import RequestIdFilter, current, request_id
from products.models import BulkChange
from transactions.models import Order
from transactions.orders.callbacks import call_back
from webhooks.dispatch import emit
from webhooks.engine import message
from webhooks.models import Delivery, Event

AT = datetime(2026, 3, 1, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def asked() -> Iterator[str]:
    """The id of the request that the test is."""
    before = request_id.set("abc")
    yield "abc"
    request_id.reset(before)


def headers(custom: dict[str, str] | None = None, request: str = "abc") -> dict[str, str]:
    return message.headers("evt_1", AT, b"{}", [SECRET], custom or {}, False, request)


class TestTasks:
    def test_the_message_of_a_task_has_it(self, asked: str) -> None:
        given: dict[str, object] = {}
        task_ids.give(headers=given)
        assert given == {"request_id": "abc"}

    def test_without_a_request_it_has_none(self) -> None:
        given: dict[str, object] = {}
        task_ids.give(headers=given)
        assert given == {}

    def test_a_task_has_it_while_it_runs(self, asked: str) -> None:
        found = []

        @shared_task
        def look() -> None:
            record = logging.makeLogRecord({})
            assert RequestIdFilter().filter(record) and JobFilter().filter(record)
            found.append((record.request_id, record.task_id == current_task.request.id))
            request_id.set("of the job's row")

        # As a worker does it: the request is the message's headers.
        for given in ({"request_id": "of the message"}, {}):
            trace_task(look, "1", (), {}, {"id": "1", **given}, app=app)
        assert found == [("of the message", True), ("", True)]
        assert current() == asked


@pytest.mark.django_db
class TestRows:
    def test_what_is_worked_on_later_keeps_it(self, asked: str) -> None:
        event = emit("product.created", {})
        change = BulkChange.objects.create(action="delete", expected=1, last_id=1)
        assert Event.objects.get(pk=event.pk).request_id == asked
        assert BulkChange.objects.get(pk=change.pk).request_id == asked

    def test_without_a_request_it_is_empty(self) -> None:
        assert Event.objects.get(pk=emit("product.created", {}).pk).request_id == ""

    def test_a_callback_has_that_of_its_order(self) -> None:
        order = Order.objects.create(
            user="user1",
            stockname="stock1",
            quantity=1,
            status="Accept",
            created_by=User.objects.create_user("ana"),
            callback_url="http://127.0.0.1:9/",
            request_id="of the order",
        )
        call_back([order])
        assert Delivery.objects.get(pk=order.delivery_id).event.request_id == "of the order"


class TestDeliveries:
    def test_a_delivery_tells_it(self) -> None:
        assert headers()["x-request-id"] == "abc"

    def test_it_is_not_signed(self) -> None:
        assert headers()["webhook-signature"] == headers(request="")["webhook-signature"]

    def test_without_one_there_is_no_header(self) -> None:
        assert "x-request-id" not in headers(request="")

    def test_an_endpoints_own_header_wins(self) -> None:
        made = headers({"X-Request-Id": "mine"})
        assert made["X-Request-Id"] == "mine" and "x-request-id" not in made

"""REST API of orders: BuyStock, the list, and one order with its decision."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiExample, extend_schema
from redis.exceptions import RedisError
from rest_framework.exceptions import APIException, NotFound, PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.throttling import BaseThrottle
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from config.accounts.actors import actor_of
from config.api_errors import Busy, Conflict, Unavailable
from config.api_input import StrictQuery
from config.api_schema import LOCATION, refused
from config.exact_json import ExactRenderer, Written
from config.idempotency import answers
from streaming.prices.trouble import in_words
from transactions.ledger.engine import amounts
from transactions.models import Order

from . import access, api_examples, live, overview, reception, waiting
from .api_shapes import (
    BuyStockSerializer,
    OrderQuery,
    OrderSerializer,
    OrdersQuery,
    OrdersSerializer,
)
from .snapshot import instant

logger = logging.getLogger(__name__)

NO_ORDER = "There is no such order, or this token does not trade for its user."
AWAY = (
    "Nothing was placed: credit and prices can't be read just now. Send it again in a few seconds."
)
FILTERS = ("user", "stockname", "status")
TOO_MANY = "There are too many orders to find these in time. Filter by less, or by a user alone."
SLOW = "The orders could not be read in time. Ask again in a few seconds."
WAITING = "waiting"  # states of a callback that has no delivery: before, and long after it
GONE = "gone"


class OrdersView(StrictQuery, APIView):
    """What all views of orders share."""

    scope_area = "orders"
    schema_tag = "Orders"
    renderer_classes = [ExactRenderer]


class BuyStock(OrdersView):
    """`/api/BuyStock`, and the same with a slash behind it."""

    @extend_schema(
        operation_id="orders_buy",
        summary="Buy stock for a user",
        description=(
            "Where the newest price × `quantity` is more than the user's credit, the answer is 200"
            " and final: `Deny`. Else it is 202: the user is verified now, which may take a minute,"
            " and then the order is decided with the price and the credit of that moment. Learn the"
            " decision at `status_url` (with `?wait=25` as soon as it is there), at `events_url` or"
            " by `callback_url`. `/api/BuyStock/` is the same."
        ),
        parameters=[answers.PARAMETER, LOCATION],
        request=BuyStockSerializer,
        responses={
            200: OrderSerializer,
            202: OrderSerializer,
            **refused(
                _403="The token lacks the scope, or may not trade for this user.",
                _404="There is no such user or stock; `fields` says which.",
                _409="The stock has no price, or the user's credit can't be read; `fields` says"
                " which. `idempotency_conflict`: the key was used with another body.",
                _503="`busy`: too many orders wait for their decision. `unavailable`: a part of the"
                " server is away. Nothing was placed.",
            ),
        },
        examples=[
            OpenApiExample("The specification's", api_examples.BUY, request_only=True),
            OpenApiExample("With a callback", api_examples.BUY_WITH_CALLBACK, request_only=True),
            OpenApiExample(
                "The credit can't pay",
                api_examples.DENIED_AT_ONCE,
                response_only=True,
                status_codes=["200"],
            ),
            OpenApiExample(
                "It is verified now",
                api_examples.RECEIVED,
                response_only=True,
                status_codes=["202"],
            ),
        ],
    )
    def post(self, request: Request) -> Response | HttpResponse:
        form = BuyStockSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        wanted = form.validated_data
        actor = actor_of(request)
        if not access.may_trade(actor.user, actor.token, wanted["user"]):
            raise PermissionDenied(
                f"This API token may not trade for {wanted['user']}. Create one that may under"
                " /account/."
            )

        def act() -> Response:
            with refusals():
                order = reception.place(owner=actor.user, **wanted)
            shown = _order(order, request)
            if not order.is_open:
                return Response(shown)
            headers = {"Location": shown["status_url"]}
            return Response(shown, status=HTTPStatus.ACCEPTED, headers=headers)

        return answers.once(request, "orders.create", act)


class Orders(OrdersView):
    """`/api/orders/`."""

    query_classes = {"GET": OrdersQuery}

    @extend_schema(
        operation_id="orders_list",
        summary="Orders, the newest first",
        description="With a token those of its trading users. Follow `next` until it is null.",
        parameters=[OrdersQuery],
        responses={
            200: OrdersSerializer,
            **refused(
                _400="A parameter is wrong, or these orders can't be found in time: filter by less,"
                " or by a user alone. `fields` names the parameters.",
                _503="`busy`: orders without a filter could not be read in time.",
            ),
        },
        examples=[OpenApiExample("One order", api_examples.ORDERS, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        query, actor = self.query, actor_of(request)
        size = query["page_size"]
        found = access.visible(actor.user, actor.token).filter(
            **{name: query[name] for name in FILTERS if name in query}
        )
        if "before" in query:
            found = found.filter(pk__lt=query["before"])
        try:
            with overview.bounded():
                rows = list(found.select_related("delivery").order_by("-pk")[: size + 1])
        except overview.TooMany:
            at_fault = {name: [TOO_MANY] for name in FILTERS if name in query}
            raise ValidationError(at_fault) if at_fault else Busy(SLOW) from None
        older = None
        if len(rows) > size:
            older = replace_query_param(request.build_absolute_uri(), "before", rows[size - 1].pk)
        return Response({"next": older, "results": [_order(row, request) for row in rows[:size]]})


class OneOrder(OrdersView):
    """`/api/orders/{order_id}/`."""

    query_classes = {"GET": OrderQuery}

    def get_throttles(self) -> list[BaseThrottle]:
        """The first look of a request that waits counts, those after it do not."""
        return [] if waiting.asked_before(self.request) else super().get_throttles()

    @extend_schema(
        operation_id="orders_retrieve",
        summary="One order, now or as soon as it is decided",
        description=(
            "With `wait` the answer comes when the order is decided, at the latest after so many"
            " seconds with the state it has then."
        ),
        parameters=[OrderQuery],
        responses={200: OrderSerializer, **refused(_404=NO_ORDER)},
        examples=[OpenApiExample("Accepted", api_examples.ACCEPTED, response_only=True)],
    )
    def get(self, request: Request, order_id: UUID) -> Response:
        actor = actor_of(request)
        orders = access.visible(actor.user, actor.token).select_related("delivery")
        order = orders.filter(order_id=order_id).first()
        if order is None:
            raise NotFound(NO_ORDER)
        if self.query["wait"] and order.is_open:
            waiting.hold(request)
        return Response(_order(order, request))


@contextmanager
def refusals() -> Iterator[None]:
    """What reception raises, as answers."""
    try:
        yield
    except (reception.UnknownUser, reception.UnknownStock) as error:
        raise _at_fault(NotFound(str(error)), error) from None
    except (reception.NoPrice, reception.UnreadableCredit) as error:
        raise _at_fault(Conflict(str(error)), error) from None
    except reception.TooManyOpen as error:
        raise Busy(str(error)) from None
    except RedisError as error:
        logger.warning("orders can't be placed: %s", in_words(error))
        raise Unavailable(AWAY) from None


def _at_fault(answer: APIException, error: reception.Refused) -> APIException:
    answer.fields = {error.field: [str(error)]}
    return answer


def _order(order: Order, request: Request) -> dict[str, Any]:
    # As OrderSerializer says, by hand: it takes longer than all else that makes an answer.
    return {
        "order_id": str(order.order_id),
        "user": order.user,
        "stockname": order.stockname,
        "quantity": order.quantity,
        "status": order.status,
        "reason": order.reason or None,
        "detail": order.detail or None,
        "price": _number(order.price),
        "amount": _number(order.amount),
        "credit_before": _number(order.credit_before),
        "credit_after": _number(order.credit_after),
        "received_at": instant(order.received_at),
        "verification_began_at": instant(order.verification_began_at),
        "verified_at": instant(order.verified_at),
        "decided_at": instant(order.decided_at),
        "callback": _callback(order),
        "status_url": reverse("order", [order.order_id], request=request),
        "events_url": reverse("events", [live.channel_of(order.order_id)], request=request),
    }


def _callback(order: Order) -> dict[str, Any] | None:
    if not order.callback_url:
        return None
    sent = order.delivery
    return {
        "url": order.callback_url,
        "state": sent.state if sent else WAITING if order.is_open else GONE,
        "attempts": sent and sent.attempts_made,
        "last_status_code": sent and sent.last_status_code,
        "last_error": (sent and sent.last_error) or None,
        "next_attempt_at": sent and instant(sent.next_attempt_at),
        "finished_at": sent and instant(sent.finished_at),
    }


def _number(value: Decimal | None) -> Written | None:
    return None if value is None else Written(amounts.text(value))

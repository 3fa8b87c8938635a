"""REST shapes of orders. Amounts are JSON numbers with all their digits; instants ISO 8601."""

import re
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from config.api_input import MAX_ID, Choice, Query, Strict, Text
from config.field_rules import Wrong
from config.trading_users import USER
from streaming.converters import STOCK_NAME
from streaming.prices.latest import stock_name
from transactions.models import OrderStatus, Reason

from . import callbacks
from .reception import MOST_QUANTITY
from .waiting import MOST_SECONDS

ORDERS, ORDERS_MOST = 50, 500
FOLLOW = "Where the page begins: follow `next` as it is."
BAD_USER = (
    "Write a user's name as in user1: `user`, a digit, then small letters, digits, dots, - or _."
)
BAD_STOCK = "Write a stock's name as in stock1: letters, digits, `.`, `_`, `-`; `^` may come first."
BAD_WAIT = f"Write seconds, a number from 0 to {MOST_SECONDS:g}."
SECONDS = re.compile(r"[0-9]{1,20}(\.[0-9]{1,400})?([eE][-+]?[0-9]{1,4})?")


@extend_schema_field({"type": "string", "pattern": f"^{USER.pattern}$", "example": "user2"})
class UserField(Text):
    """A trading user's name, exactly as it is."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        name = super().to_internal_value(data)
        if USER.fullmatch(name) is None:
            raise ValidationError(BAD_USER)
        return name


@extend_schema_field({"type": "string", "pattern": f"^{STOCK_NAME}$", "example": "stock1"})
class StockField(Text):
    """A stock's name; gives it in small letters."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        given = super().to_internal_value(data)
        name = stock_name(given) if re.fullmatch(STOCK_NAME, given) else None
        if name is None:
            raise ValidationError(BAD_STOCK)
        return name


class QuantityField(serializers.IntegerField):
    """A JSON number without decimals or exponent."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=1, max_value=MOST_QUANTITY, **kwargs)

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self.fail("invalid")
        return data


class CallbackUrlField(Text):
    """An address that callbacks may go to."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, max_length=callbacks.URL_CHARACTERS, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        url = super().to_internal_value(data)
        try:
            callbacks.check(url)
        except Wrong as error:
            raise ValidationError(error.messages) from None
        return url


class BuyStockSerializer(Strict):
    """What to buy, and for whom."""

    user = UserField(help_text="Whose credit pays.")
    stockname = StockField(help_text="In any case: Stock1 is stock1.")
    quantity = QuantityField()
    callback_url = CallbackUrlField(
        required=False,
        help_text="Gets the decision by a signed POST. The default of the token's owner unless"
        " given.",
    )


@extend_schema_field({"type": "number", "minimum": 0, "maximum": MOST_SECONDS})
class SecondsField(serializers.Field):
    """A time to wait."""

    def to_internal_value(self, data: Any) -> float:
        # As JSON writes numbers: float() takes nan, 1_0 and digits of other scripts.
        if not isinstance(data, str) or SECONDS.fullmatch(data) is None:
            raise ValidationError(BAD_WAIT)
        seconds = float(data)
        if not 0 <= seconds <= MOST_SECONDS:
            raise ValidationError(BAD_WAIT)
        return seconds


class OrderQuery(Query):
    """Parameters of one order."""

    wait = SecondsField(
        required=False,
        default=0.0,
        help_text="Seconds for which the answer is held back while the order is not decided.",
    )


class OrdersQuery(Query):
    """Parameters of the list."""

    user = UserField(required=False)
    stockname = StockField(required=False)
    status = Choice(OrderStatus.values, required=False)
    before = serializers.IntegerField(
        required=False, min_value=0, max_value=MAX_ID, help_text=FOLLOW
    )
    page_size = serializers.IntegerField(
        required=False, min_value=1, max_value=ORDERS_MOST, default=ORDERS
    )


@extend_schema_field({"type": "number"})
class Number(serializers.Field):
    """A number with all its digits."""

    def to_representation(self, value: Any) -> Any:
        return value


class OrderCallbackSerializer(serializers.Serializer):
    """How the decision gets to the callback URL."""

    url = serializers.CharField()
    state = serializers.CharField(
        help_text="`waiting` (for the decision), `pending`, `sending`, `succeeded`, `failed`;"
        " `gone`: the log of deliveries does not have it any more."
    )
    attempts = serializers.IntegerField(allow_null=True, help_text="Made so far.")
    last_status_code = serializers.IntegerField(allow_null=True)
    last_error = serializers.CharField(allow_null=True)
    next_attempt_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class OrderSerializer(serializers.Serializer):
    """An order, and what became of it."""

    order_id = serializers.UUIDField()
    user = serializers.CharField()
    stockname = serializers.CharField()
    quantity = serializers.IntegerField()
    status = serializers.CharField(
        help_text="`received`, `verifying`, `verified`; at the end `Accept` or `Deny`."
    )
    reason = serializers.CharField(
        allow_null=True, help_text=f"Of `Deny`: {', '.join(f'`{each}`' for each in Reason.values)}."
    )
    detail = serializers.CharField(allow_null=True, help_text="The reason in words.")
    price = Number(allow_null=True, help_text="That it was decided with.")
    amount = Number(allow_null=True, help_text="Price × quantity.")
    credit_before = Number(allow_null=True, help_text="The user's, at the decision.")
    credit_after = Number(allow_null=True)
    received_at = serializers.DateTimeField()
    verification_began_at = serializers.DateTimeField(allow_null=True)
    verified_at = serializers.DateTimeField(
        allow_null=True, help_text="When the verification ended."
    )
    decided_at = serializers.DateTimeField(allow_null=True)
    callback = OrderCallbackSerializer(
        allow_null=True, help_text="Null: nobody wants one, or the order was denied at once."
    )
    status_url = serializers.URLField()
    events_url = serializers.URLField(help_text="Server-sent events of this order.")


class OrdersSerializer(serializers.Serializer):
    """Some orders, the newest first."""

    next = serializers.URLField(allow_null=True, help_text="Those before them.")
    results = OrderSerializer(many=True)

"""REST shapes of prices. Prices are numbers as they were sent; instants are seconds since 1970."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from config.api_input import Choice, Query

from .clock import clock
from .dead_letters import CURSOR
from .words import REASONS

STOCKS, STOCKS_MOST = 500, 1_000
ROWS, ROWS_MOST = 10_000, 100_000
LETTERS, LETTERS_MOST = 25, 100
AFTER_MOST = 2**53
EPOCH = "Seconds since 1970."
STATES = "`none` (no instance runs), `starting`, `waiting`, `running` or `halted` (a partition is)."
TIME_PATTERN = (
    "^(([01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]|([01]?[0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?)$"
)


@extend_schema_field({"type": "number"})
class WrittenNumber(serializers.Field):
    """A number as it was written, with all its digits."""

    def to_representation(self, value: Any) -> Any:
        return value


@extend_schema_field(
    {
        "type": "array",
        "items": {"oneOf": [{"type": "number"}, {"type": "string", "maxLength": 0}]},
    }
)
class WrittenNumbers(WrittenNumber):
    """Numbers, and "" where there is none."""


@extend_schema_field({"type": "string", "pattern": TIME_PATTERN})
class ClockField(serializers.CharField):
    """A time of day; gives hhmmss."""

    def to_internal_value(self, data: Any) -> str:
        found = clock(super().to_internal_value(data))
        if found is None:
            raise ValidationError("Write a time of day: 090006, 09:00:06 or 09:00.")
        return found


class StockSerializer(serializers.Serializer):
    """A stock without its history."""

    name = serializers.CharField()
    id = serializers.IntegerField()
    price = WrittenNumber(allow_null=True, help_text="The newest one; null: none yet.")
    time = serializers.CharField(allow_null=True, help_text="Its time of day, as it was sent.")
    count = serializers.IntegerField(help_text="Rows of the history.")
    updated_at = serializers.FloatField(
        allow_null=True, help_text=f"When the last row came. {EPOCH}"
    )
    performance = WrittenNumber(help_text="0 until it was calculated.")
    calculated_at = serializers.FloatField(allow_null=True, help_text=f"Null: not yet. {EPOCH}")
    calculated_price = WrittenNumber(
        allow_null=True, help_text="The price that the performance was calculated with."
    )
    calculation_seconds = serializers.FloatField(allow_null=True)
    asked_at = serializers.FloatField(
        allow_null=True, help_text=f"Of a calculation under way. {EPOCH}"
    )
    failure = serializers.CharField(
        allow_null=True, help_text="Why the last calculation failed; it is tried again."
    )
    failed_at = serializers.FloatField(allow_null=True, help_text=EPOCH)


class StocksSerializer(serializers.Serializer):
    """Some stocks, by id."""

    next = serializers.URLField(allow_null=True, help_text="Those behind them.")
    results = StockSerializer(many=True)


class StockHistorySerializer(serializers.Serializer):
    """A part of a stock's history, the oldest row first; `time` and `price` have one length."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    time = serializers.ListField(
        child=serializers.CharField(), help_text="As it was sent: hhmmss, of old values HH:MM too."
    )
    price = WrittenNumbers(help_text='"" where there was no data at that time.')
    performance = WrittenNumber()
    calculated_at = serializers.FloatField(allow_null=True, help_text=EPOCH)
    calculated_price = WrittenNumber(allow_null=True)
    count = serializers.IntegerField(help_text="Rows of the whole history.")
    next = serializers.URLField(allow_null=True, help_text="The rows behind them.")


class StocksQuery(Query):
    """Parameters of the list of stocks."""

    after = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=AFTER_MOST,
        default=0,
        help_text="Where the page begins: follow `next` as it is.",
    )
    page_size = serializers.IntegerField(
        required=False, min_value=1, max_value=STOCKS_MOST, default=STOCKS
    )


class HistoryQuery(Query):
    """Parameters of a history."""

    to = ClockField(required=False, help_text="Only rows up to this time of day.")
    limit = serializers.IntegerField(
        required=False, min_value=1, max_value=ROWS_MOST, default=ROWS, help_text="Rows at most."
    )
    after = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=AFTER_MOST,
        default=0,
        help_text="Where the page begins: follow `next` as it is.",
    )

    def get_fields(self) -> dict[str, serializers.Field]:
        """`from` is no name that a class can give."""
        begin = ClockField(required=False, help_text="Only rows from this time of day on.")
        return {"from": begin, **super().get_fields()}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs.get("from", "") > attrs.get("to", "999999"):
            raise ValidationError({"to": ["This is before `from`."]})
        return attrs


class PricesHaltSerializer(serializers.Serializer):
    """Why a partition stands still, and what to do."""

    reason = serializers.CharField()
    detail = serializers.CharField()
    advice = serializers.CharField()


class PricesPartitionSerializer(serializers.Serializer):
    """A partition of the topic."""

    partition = serializers.IntegerField()
    instance = serializers.CharField(allow_null=True, help_text="Null: nobody has it.")
    state = serializers.CharField(help_text="`nobody`, `halted` or `running`.")
    position = serializers.IntegerField(allow_null=True, help_text="The next offset.")
    end = serializers.IntegerField(allow_null=True)
    lag = serializers.IntegerField(allow_null=True, help_text="Messages that wait.")
    halted = PricesHaltSerializer(allow_null=True)
    notice = serializers.CharField(
        allow_null=True, help_text="What was lost: deleted in Kafka before it was read."
    )


class PricesInstanceSerializer(serializers.Serializer):
    """A process of the group."""

    instance = serializers.CharField()
    state = serializers.CharField()
    waiting_for = serializers.CharField(allow_null=True)
    partitions = serializers.ListField(child=serializers.IntegerField())
    at = serializers.FloatField(help_text=EPOCH)
    age_seconds = serializers.FloatField(help_text="Since it was last heard.")
    stale = serializers.BooleanField()
    rate = serializers.FloatField(help_text="Messages a second.")
    added = serializers.IntegerField(help_text="Rows since its start.")
    repeated = serializers.IntegerField(help_text="Rows that were there already.")
    refused = serializers.IntegerField(help_text="Dead letters since its start.")


class PricesUpdaterSerializer(serializers.Serializer):
    """All instances of the updater as one, as their last snapshots tell it."""

    group = serializers.CharField()
    state = serializers.CharField(help_text=STATES)
    at = serializers.FloatField(allow_null=True, help_text=EPOCH)
    age_seconds = serializers.FloatField(allow_null=True)
    stale = serializers.BooleanField(help_text="Snapshots have stopped: the figures are old.")
    topic = serializers.CharField(allow_null=True)
    rate = serializers.FloatField(help_text="Messages a second.")
    lag = serializers.IntegerField(allow_null=True, help_text="Messages that wait.")
    partitions = PricesPartitionSerializer(many=True)
    instances = PricesInstanceSerializer(many=True)


class PricesDeadLetterSerializer(serializers.Serializer):
    """A refused row; one of `value` and `value_base64` is null."""

    id = serializers.CharField()
    at = serializers.FloatField(help_text=f"When it was refused. {EPOCH}")
    place = serializers.CharField(help_text="`csv`, or `kafka:<topic>:<partition>`.")
    number = serializers.IntegerField(help_text="Of its row in the file, or its offset.")
    reason = serializers.CharField()
    detail = serializers.CharField(allow_blank=True)
    value_bytes = serializers.IntegerField(help_text="Of the row or message as it came.")
    value_is_cut = serializers.BooleanField(help_text="Whether it is more than 4,096 bytes.")
    value = serializers.CharField(allow_null=True, allow_blank=True)
    value_base64 = serializers.CharField(allow_null=True)


class PricesDeadLettersSerializer(serializers.Serializer):
    """Some dead letters, newest first."""

    next = serializers.URLField(allow_null=True, help_text="Those before them.")
    whole = serializers.BooleanField(
        help_text="False: too many of other reasons stood between; follow `next`."
    )
    results = PricesDeadLetterSerializer(many=True)


class PricesDeadLettersQuery(Query):
    """Parameters of the dead letters."""

    reason = Choice(list(REASONS), required=False)
    before = serializers.RegexField(
        f"^{CURSOR.pattern}$",
        required=False,
        error_messages={"invalid": "Take `next` of another page."},
        help_text="Where the page begins: follow `next` as it is.",
    )
    page_size = serializers.IntegerField(
        required=False, min_value=1, max_value=LETTERS_MOST, default=LETTERS
    )

"""REST shapes of the ledger. Amounts are JSON numbers with all their digits; instants ISO 8601."""

from datetime import UTC
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from config.api_input import MAX_ID, Choice, Query

from .words import REASONS

PROVIDERS, PROVIDERS_MOST = 100, 1_000
RUNS, RUNS_MOST = 60, 1_440
MINUTES, MINUTES_MOST = 1_440, 10_080
REJECTS, REJECTS_MOST = 25, 100
FOLLOW = "Where the page begins: follow `next` as it is."


@extend_schema_field({"type": "number"})
class Amount(serializers.Field):
    """A number with all its digits."""

    def to_representation(self, value: Any) -> Any:
        return value


class LedgerProviderSerializer(serializers.Serializer):
    """A provider of initial_data."""

    provider = serializers.IntegerField(help_text="Its id.")
    name = serializers.CharField(allow_null=True)
    key = serializers.CharField(allow_null=True, help_text="In KeyDB; null: not written yet.")
    balance = Amount(allow_null=True, help_text="Of `minute`, as KeyDB has it.")
    current = Amount(help_text="With what has come since; KeyDB has it after the next minute.")
    initial = Amount()
    transactions = serializers.IntegerField(help_text="That are added up.")


class LedgerBalancesSerializer(serializers.Serializer):
    """Providers by id, of one moment."""

    minute = serializers.DateTimeField(
        allow_null=True, help_text="The last one whose balances KeyDB got; null: none yet."
    )
    written_at = serializers.DateTimeField(allow_null=True)
    next = serializers.URLField(allow_null=True, help_text="The providers behind them.")
    results = LedgerProviderSerializer(many=True)


class LedgerBalanceSerializer(serializers.Serializer):
    """A provider's balance at one minute."""

    provider = serializers.IntegerField(help_text="Its id.")
    key = serializers.CharField(help_text="In KeyDB at that minute.")
    at = serializers.DateTimeField(help_text="What was asked for.")
    minute = serializers.DateTimeField(help_text="The last minute that was written until then.")
    balance = Amount()
    current = LedgerProviderSerializer(
        allow_null=True, help_text="As it is now; null: no longer in initial_data."
    )


class LedgerMinuteSerializer(serializers.Serializer):
    """A balance."""

    minute = serializers.DateTimeField()
    balance = Amount()


class LedgerHistorySerializer(serializers.Serializer):
    """Balances of one provider by minute, the oldest first."""

    next = serializers.URLField(allow_null=True, help_text="The minutes behind them.")
    results = LedgerMinuteSerializer(many=True)


class LedgerRunSerializer(serializers.Serializer):
    """A full minute that was to be written."""

    minute = serializers.DateTimeField()
    written_at = serializers.DateTimeField(allow_null=True, help_text="Null: it failed.")
    lateness_seconds = serializers.FloatField(
        allow_null=True, help_text="After the minute; 1 is allowed."
    )
    duration_seconds = serializers.FloatField(allow_null=True)
    new_rows = serializers.IntegerField(help_text="Added up within the minute's run.")
    providers = serializers.IntegerField()
    failure = serializers.CharField(allow_null=True, help_text="Why KeyDB did not get them.")


class LedgerRunsSerializer(serializers.Serializer):
    """Some minutes, the newest first. Those when nobody led are not there."""

    next = serializers.URLField(allow_null=True, help_text="Those before them.")
    results = LedgerRunSerializer(many=True)


class LedgerQueueSerializer(serializers.Serializer):
    """RabbitMQ's queue."""

    name = serializers.CharField()
    messages = serializers.IntegerField(allow_null=True, help_text="That wait.")
    problem = serializers.CharField(allow_null=True, help_text="Why nobody knows.")


class LedgerInstanceSerializer(serializers.Serializer):
    """A process of the consumer; counts are those since its start."""

    instance = serializers.CharField()
    state = serializers.CharField(help_text="`leading`, `waiting` or `silent`.")
    waiting_for = serializers.CharField(allow_null=True)
    age_seconds = serializers.FloatField(help_text="Since it was last heard.")
    rate = serializers.FloatField(help_text="Messages a second.")
    rows = serializers.IntegerField()
    repeated = serializers.IntegerField(help_text="That had come before.")
    rejected = serializers.IntegerField()
    last_batch = serializers.IntegerField(allow_null=True, help_text="Messages in it.")
    last_batch_at = serializers.CharField(allow_null=True)


class LedgerReconciliationSerializer(serializers.Serializer):
    """The last time that all was recomputed from scratch."""

    at = serializers.DateTimeField()
    seconds = serializers.FloatField()
    transactions = serializers.IntegerField()
    drifts = serializers.IntegerField()
    found = serializers.ListField(child=serializers.CharField(), help_text="In words.")
    repaired = serializers.BooleanField()
    failure = serializers.CharField(allow_null=True)


class LedgerStatusSerializer(serializers.Serializer):
    """How the ledger is doing."""

    unready = serializers.CharField(
        allow_null=True, help_text="Why its tables can't be used yet, and what to do."
    )
    leading_since = serializers.DateTimeField(allow_null=True, help_text="Null: nobody leads.")
    providers = serializers.IntegerField()
    transactions = serializers.IntegerField(help_text="That are added up.")
    rejects = serializers.IntegerField(help_text="10,001: more than 10,000.")
    last_run = LedgerRunSerializer(allow_null=True, help_text="Of the last hour.")
    missing_minutes = serializers.IntegerField(
        help_text="Of the last 60: failed, or nobody wrote them."
    )
    queue = LedgerQueueSerializer()
    instances = LedgerInstanceSerializer(
        many=True, allow_null=True, help_text="Null: Redis is away, nobody knows."
    )
    reconciliation = LedgerReconciliationSerializer(allow_null=True)


class LedgerRejectSerializer(serializers.Serializer):
    """A refused message; one of `body` and `body_base64` is null."""

    id = serializers.IntegerField()
    rejected_at = serializers.DateTimeField()
    reason = serializers.CharField()
    detail = serializers.CharField(allow_blank=True)
    message_id = serializers.CharField(allow_null=True)
    body_bytes = serializers.IntegerField(help_text="Of the message as it came.")
    body_is_cut = serializers.BooleanField(help_text="Whether it is more than 64 KiB.")
    body = serializers.CharField(allow_null=True, allow_blank=True)
    body_base64 = serializers.CharField(allow_null=True)


class LedgerRejectsSerializer(serializers.Serializer):
    """Some rejects, newest first."""

    next = serializers.URLField(allow_null=True, help_text="Those before them.")
    whole = serializers.BooleanField(
        help_text="False: too many of other reasons stood between; follow `next`."
    )
    results = LedgerRejectSerializer(many=True)


class BalancesQuery(Query):
    """Parameters of the balances."""

    after = serializers.IntegerField(
        required=False, min_value=-MAX_ID - 1, max_value=MAX_ID, default=None, help_text=FOLLOW
    )
    page_size = serializers.IntegerField(
        required=False, min_value=1, max_value=PROVIDERS_MOST, default=PROVIDERS
    )


class AtQuery(Query):
    """Parameters of one balance."""

    at = serializers.DateTimeField(
        required=False,
        default_timezone=UTC,
        help_text="The instant; UTC where it names no zone. Now unless given.",
    )


class HistoryQuery(Query):
    """Parameters of a history."""

    to = serializers.DateTimeField(
        required=False, default_timezone=UTC, help_text="The last minute. Now unless given."
    )
    page_size = serializers.IntegerField(
        required=False, min_value=1, max_value=MINUTES_MOST, default=MINUTES
    )

    def get_fields(self) -> dict[str, serializers.Field]:
        """`from` is no name that a class can give."""
        begin = serializers.DateTimeField(
            required=False,
            default_timezone=UTC,
            help_text="The first minute. An hour before `to` unless given.",
        )
        return {"from": begin, **super().get_fields()}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "from" in attrs and "to" in attrs and attrs["from"] > attrs["to"]:
            raise ValidationError({"to": ["This is before `from`."]})
        return attrs


class RunsQuery(Query):
    """Parameters of the minutes."""

    before = serializers.DateTimeField(required=False, default_timezone=UTC, help_text=FOLLOW)
    page_size = serializers.IntegerField(
        required=False, min_value=1, max_value=RUNS_MOST, default=RUNS
    )


class RejectsQuery(Query):
    """Parameters of the rejects."""

    reason = Choice(list(REASONS), required=False)
    before = serializers.IntegerField(
        required=False, min_value=0, max_value=MAX_ID, help_text=FOLLOW
    )
    page_size = serializers.IntegerField(
        required=False, min_value=1, max_value=REJECTS_MOST, default=REJECTS
    )

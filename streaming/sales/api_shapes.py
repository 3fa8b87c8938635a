"""REST shapes of sales. Sums are texts with all their decimals; instants are seconds since 1970."""

from typing import Any

from rest_framework import serializers

from config.api_input import Choice, Query

from .dead_letter import REASONS

LETTERS, LETTERS_MOST = 25, 100
CURSOR_CHARACTERS = 4_000
STATES = (
    "`none` (no instance runs), `starting`, `waiting`, `replaying`, `running` or `halted` (a"
    " partition is)."
)
EPOCH = "Seconds since 1970."


class SalesTopicsSerializer(serializers.Serializer):
    """Names of the topics."""

    input = serializers.CharField()
    output = serializers.CharField()
    dead_letters = serializers.CharField()


class SalesReplaySerializer(serializers.Serializer):
    """A window that is read again."""

    begin = serializers.IntegerField(help_text="First offset.")
    at = serializers.IntegerField()
    to = serializers.IntegerField(help_text="New sums from this offset on.")
    percent = serializers.FloatField()


class SalesHaltSerializer(serializers.Serializer):
    """Why a partition stands still, and what to do."""

    offset = serializers.IntegerField()
    reason = serializers.CharField()
    detail = serializers.CharField()
    advice = serializers.CharField()


class SalesPartitionSerializer(serializers.Serializer):
    """A partition of the input topic."""

    partition = serializers.IntegerField()
    instance = serializers.CharField(allow_null=True, help_text="Null: nobody has it.")
    state = serializers.CharField(help_text="`nobody`, `halted`, `replaying` or `running`.")
    position = serializers.IntegerField(allow_null=True, help_text="The next offset.")
    end = serializers.IntegerField(allow_null=True)
    lag = serializers.IntegerField(allow_null=True, help_text="Messages that wait.")
    watermark = serializers.FloatField(
        allow_null=True, help_text=f"Newest InvoiceDate that was taken. {EPOCH}"
    )
    keys = serializers.IntegerField(help_text="StockCodes in memory.")
    events = serializers.IntegerField(help_text="Sales in memory.")
    bytes = serializers.IntegerField(help_text="Of memory for them, estimated.")
    replay = SalesReplaySerializer(allow_null=True)
    halted = SalesHaltSerializer(allow_null=True)


class SalesInstanceSerializer(serializers.Serializer):
    """A process of the group."""

    instance = serializers.CharField()
    state = serializers.CharField()
    waiting_for = serializers.CharField(allow_null=True)
    partitions = serializers.ListField(child=serializers.IntegerField())
    at = serializers.FloatField(help_text=EPOCH)
    age_seconds = serializers.FloatField(help_text="Since it was last heard.")
    stale = serializers.BooleanField()
    rate_in = serializers.FloatField()
    taken = serializers.IntegerField(help_text="Messages since its start.")
    put_out = serializers.IntegerField(help_text="Sums since its start.")
    refused = serializers.IntegerField(help_text="Dead letters since its start.")


class SalesSellingSerializer(serializers.Serializer):
    """A StockCode's rolling sum in one partition."""

    stock_code = serializers.CharField()
    sum = serializers.SerializerMethodField()
    sales = serializers.IntegerField(help_text="Messages in the window.")
    last_at = serializers.FloatField(allow_null=True, help_text=f"The newest of them. {EPOCH}")
    partition = serializers.IntegerField(allow_null=True)

    def get_sum(self, row: Any) -> str:
        return f"{row.sum:f}"


class SalesWarningSerializer(serializers.Serializer):
    """What an operator should know."""

    code = serializers.CharField()
    words = serializers.CharField()


class SalesOverviewSerializer(serializers.Serializer):
    """All instances as one, as their last snapshots tell it."""

    group = serializers.CharField()
    state = serializers.CharField(help_text=STATES)
    at = serializers.FloatField(allow_null=True, help_text=EPOCH)
    age_seconds = serializers.FloatField(allow_null=True)
    stale = serializers.BooleanField(help_text="Snapshots have stopped: the figures are old.")
    topics = SalesTopicsSerializer(allow_null=True)
    window_seconds = serializers.FloatField(allow_null=True)
    lateness_seconds = serializers.FloatField(allow_null=True)
    max_skew_seconds = serializers.FloatField(allow_null=True)
    rate_in = serializers.FloatField(help_text="Messages a second.")
    rate_out = serializers.FloatField(help_text="Sums a second.")
    rate_dead = serializers.FloatField(help_text="Dead letters a second.")
    lag = serializers.IntegerField(allow_null=True, help_text="Messages that wait.")
    keys = serializers.IntegerField()
    events = serializers.IntegerField()
    bytes = serializers.IntegerField()
    replay = SalesReplaySerializer(allow_null=True)
    partitions = SalesPartitionSerializer(many=True)
    instances = SalesInstanceSerializer(many=True)
    warnings = SalesWarningSerializer(many=True)
    top = SalesSellingSerializer(many=True, help_text="The 50 largest sums.")


class SalesPointSerializer(serializers.Serializer):
    """The sum at one instant."""

    at = serializers.FloatField(help_text=EPOCH)
    sum = serializers.CharField()


class SalesStockCodeSerializer(serializers.Serializer):
    """One StockCode."""

    stock_code = serializers.CharField()
    state = serializers.CharField(help_text=STATES)
    stale = serializers.BooleanField()
    window_seconds = serializers.FloatField(allow_null=True)
    sums = SalesSellingSerializer(
        many=True, help_text="One for each partition that it is known in."
    )
    curve = SalesPointSerializer(
        many=True,
        allow_null=True,
        help_text="Null until an instance has sent it: ask again after 2 seconds.",
    )


class SalesDeadLetterSerializer(serializers.Serializer):
    """A refused message; one of `value` and `value_base64` is null."""

    partition = serializers.IntegerField(help_text="Of the dead letters' topic.")
    offset = serializers.IntegerField()
    at_ms = serializers.IntegerField(help_text="Milliseconds since 1970; negative: none.")
    reason = serializers.CharField(allow_blank=True)
    detail = serializers.CharField(allow_blank=True)
    source_topic = serializers.CharField(allow_blank=True)
    source_partition = serializers.IntegerField(allow_null=True)
    source_offset = serializers.IntegerField(allow_null=True)
    source_at_ms = serializers.IntegerField(allow_null=True)
    key = serializers.CharField(allow_null=True, allow_blank=True)
    value_bytes = serializers.IntegerField(help_text="Of the message as it came.")
    value_is_cut = serializers.BooleanField(help_text="Whether it is more than 4,096 bytes here.")
    value = serializers.CharField(allow_null=True, allow_blank=True)
    value_base64 = serializers.CharField(allow_null=True)


class SalesDeadLettersSerializer(serializers.Serializer):
    """Some dead letters, newest first."""

    next = serializers.URLField(allow_null=True, help_text="Those before them.")
    whole = serializers.BooleanField(
        help_text="False: it took too long to fill the page; follow `next`."
    )
    results = SalesDeadLetterSerializer(many=True)


class SalesDeadLettersQuery(Query):
    """Parameters of the dead letters."""

    reason = Choice(list(REASONS), required=False)
    before = serializers.CharField(
        required=False,
        max_length=CURSOR_CHARACTERS,
        help_text="Where the page begins: follow `next` as it is.",
    )
    page_size = serializers.IntegerField(
        required=False, min_value=1, max_value=LETTERS_MOST, default=LETTERS
    )

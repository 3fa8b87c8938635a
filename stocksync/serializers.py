"""REST shapes of stock sync: jobs, and what each job found."""

from typing import Any

from drf_spectacular.utils import OpenApiTypes, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.reverse import reverse

from config.api_input import MAX_ID, Choice, Query, Strict
from stocksync.jobs.progress import channel, snapshot
from stocksync.models import Clock, SyncDecision, SyncJob, SyncProduct, SyncState, SyncTree, Verdict

KINDS = "`ProductCreated`, `ProductUpdated` or `ProductEnded`; empty where the line did not say."


class SyncCommandCountsSerializer(serializers.Serializer):
    """Lines of the output by their type."""

    UpdateProduct = serializers.IntegerField()
    EndProduct = serializers.IntegerField()


class SyncCountsSerializer(serializers.Serializer):
    """What was read so far, and what became of it.

    `events` = `applied` + `stale` + the sum of `refused` + `never_created` + `waiting`.
    """

    lines = serializers.IntegerField()
    blank = serializers.IntegerField()
    comments = serializers.IntegerField()
    events = serializers.IntegerField(help_text="Lines that are neither blank nor comments.")
    applied = serializers.IntegerField()
    stale = serializers.IntegerField(help_text="Updates that were not newer; no reject.")
    refused = serializers.DictField(
        child=serializers.IntegerField(), help_text="Rejects by their code."
    )
    never_created = serializers.IntegerField(
        help_text="Rejects at the end: the product they waited for never came."
    )
    waited = serializers.IntegerField(help_text="Came before their product, decided since.")
    waiting = serializers.IntegerField(help_text="Came before their product, which is not there.")
    commands = SyncCommandCountsSerializer()
    products = serializers.IntegerField()
    trees = serializers.IntegerField()


class SyncJobSerializer(serializers.Serializer):
    """A job as `progress.snapshot` tells it."""

    id = serializers.IntegerField()
    url = serializers.URLField()
    events_url = serializers.URLField(help_text="Its live stream (server-sent events).")
    output_url = serializers.URLField(help_text="The commands; once `state` is done.")
    rejects_url = serializers.URLField(help_text="The refused lines; once `ended` is true.")
    summary_url = serializers.URLField(help_text="The counts as a file; once `ended` is true.")
    state = serializers.ChoiceField(SyncState.choices)
    state_label = serializers.CharField()
    ended = serializers.BooleanField()
    error = serializers.CharField(allow_blank=True)
    cancel_requested = serializers.BooleanField()
    clock = serializers.ChoiceField(Clock.choices)
    clock_label = serializers.CharField()
    file_name = serializers.CharField()
    size_bytes = serializers.IntegerField()
    read_bytes = serializers.IntegerField()
    percent = serializers.FloatField(help_text="Of the bytes.")
    seconds_left = serializers.FloatField(allow_null=True)
    silent_seconds = serializers.FloatField(help_text="Since its worker's last sign of life.")
    counts = SyncCountsSerializer()
    traced = serializers.BooleanField(
        help_text="Whether it keeps what became of each event: not of very many."
    )
    repeats = serializers.IntegerField(
        allow_null=True, help_text="Id of the job whose events it reads again."
    )
    files_kept = serializers.BooleanField(
        help_text="False once the files and results were let go of; the counts stay."
    )
    output_bytes = serializers.IntegerField()
    rejects_bytes = serializers.IntegerField()
    created_by = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)

    def to_representation(self, instance: SyncJob) -> dict[str, Any]:
        request = self.context["request"]
        urls = {
            name: reverse(f"stocksync-{view}", [instance.pk], request=request)
            for name, view in (
                ("url", "job"),
                ("output_url", "output"),
                ("rejects_url", "rejects"),
                ("summary_url", "summary"),
            )
        }
        urls["events_url"] = reverse("events", [channel(instance.pk)], request=request)
        return super().to_representation({**snapshot(instance), **urls})


CLOCK_HELP = (
    "With what a timestamp is compared to tell whether an update is stale: the newest one of its"
    " tree, or of all trees."
)


class NewSyncJobSerializer(Strict):
    """A file of events. Fields may stand before or after the file."""

    file = serializers.FileField(help_text="One event a line.")
    clock = Choice(Clock.choices, default=Clock.TREE, help_text=CLOCK_HELP)


class SyncRepeatSerializer(Strict):
    """What differs from the job that is repeated."""

    clock = Choice(Clock.choices, required=False, help_text="As in the job unless given.")


class SyncSummarySerializer(serializers.Serializer):
    """What came of a job, in short."""

    id = serializers.IntegerField()
    file_name = serializers.CharField()
    size_bytes = serializers.IntegerField()
    clock = serializers.ChoiceField(Clock.choices)
    state = serializers.ChoiceField(SyncState.choices)
    error = serializers.CharField(allow_blank=True)
    counts = SyncCountsSerializer()


class SyncTreeSerializer(serializers.ModelSerializer):
    """A parent product and its children, as the job left them."""

    root_id = serializers.IntegerField(min_value=0, help_text="Id of the parent.")
    products = serializers.IntegerField(help_text="How many, the parent included.")
    active = serializers.IntegerField(help_text="How many of them are not ended.")
    stock = serializers.IntegerField(
        min_value=0,
        help_text="Of each of its products. At 0 these are ended and keep what they had.",
    )

    class Meta:
        model = SyncTree
        fields = ["root_id", "products", "active", "stock"]
        read_only_fields = fields


class SyncProductSerializer(serializers.ModelSerializer):
    """A product as the job left it, with its tree."""

    product_id = serializers.IntegerField(min_value=0)
    stock = serializers.IntegerField(min_value=0)
    active = serializers.BooleanField(help_text="Whether it is not ended.")
    tree = SyncTreeSerializer()

    class Meta:
        model = SyncProduct
        fields = ["product_id", "stock", "active", "tree"]
        read_only_fields = fields


class SyncDecisionSerializer(serializers.ModelSerializer):
    """What became of one event."""

    seq = serializers.IntegerField(help_text="The order in which events took effect, from 1.")
    at_line = serializers.IntegerField(
        help_text="The line at which it was decided: a later one where it waited for a product."
    )
    kind = serializers.CharField(help_text=KINDS)
    root_id = serializers.IntegerField(
        allow_null=True, help_text="The tree of its product, where that was known then."
    )
    verdict = serializers.ChoiceField(Verdict.choices)
    verdict_label = serializers.CharField(source="get_verdict_display")
    code = serializers.CharField(help_text="Why it was refused, for programs; else empty.")
    reason = serializers.CharField(help_text="Why it was not applied, in words; else empty.")
    raw = serializers.CharField(help_text="The line, where it was refused; else empty.")
    commands = serializers.IntegerField(help_text="How many it caused.")
    output_offset = serializers.IntegerField(
        help_text="Of the first of these in the output, in bytes."
    )

    class Meta:
        model = SyncDecision
        fields = [
            "seq",
            "line",
            "at_line",
            "kind",
            "product_id",
            "root_id",
            "timestamp",
            "stock",
            "parent_id",
            "verdict",
            "verdict_label",
            "code",
            "reason",
            "raw",
            "commands",
            "output_offset",
        ]
        read_only_fields = fields


@extend_schema_field(OpenApiTypes.INT64)
class WholeNumber(serializers.CharField):
    """A number from 0 in a query: digits and nothing else."""

    def to_internal_value(self, data: Any) -> int:  # type: ignore[override]
        text = str(data)
        digits = text.isascii() and text.isdigit() and len(text) <= len(str(MAX_ID))
        if not digits or int(text) > MAX_ID:
            raise ValidationError(f"Must be a whole number from 0 to {MAX_ID}.")
        return int(text)


class TreeListQuery(Query):
    """Which trees, beside the parameters of pages."""

    state = Choice(
        {"sold_out": "Without stock", "some_ended": "With products that are ended"}, required=False
    )


class DecisionListQuery(Query):
    """Which decisions, beside the parameters of pages."""

    verdict = Choice(Verdict.choices, required=False)
    root_id = WholeNumber(required=False, help_text="Of the events of one tree.")
    product_id = WholeNumber(required=False, help_text="Of the events of one product.")

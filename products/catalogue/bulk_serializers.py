"""REST shapes of changes of many products and of deletions."""

from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.reverse import reverse

from config.api_input import Choice, RowId, Strict, Text, TrueFalse
from products.models import BulkAction, BulkChange, BulkState, DeletionKind

from . import bulk
from .deletions import Recent
from .filters import MAX_SEARCH_CHARACTERS
from .serializers import filter_of

ACTIONS = (BulkAction.ACTIVATE, BulkAction.DEACTIVATE, BulkAction.DELETE)
CONFIRMATION = "DELETE ALL"
MISSING_SHOWN = 100  # ids of no product that an answer names


class FilterInput(Strict):
    """Which products, as in the list."""

    search = Text(
        required=False, allow_blank=True, trim_whitespace=False, max_length=MAX_SEARCH_CHARACTERS
    )
    active = TrueFalse(required=False)


class BulkInput(Strict):
    """What to do with which products: give `ids` or `filter`."""

    action = Choice([action.value for action in ACTIONS])
    ids = serializers.ListField(
        child=RowId(), min_length=1, max_length=bulk.MAX_IDS, required=False
    )
    filter = FilterInput(required=False)
    everything = TrueFalse(
        required=False, help_text="Must be true when `filter` is empty: all products are meant."
    )

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        if ("ids" in values) == ("filter" in values):
            message = "Give either ids or filter."
            raise ValidationError({"ids": [message], "filter": [message]})
        everything = values.get("everything", False)
        if "filter" not in values:
            if everything:
                raise ValidationError({"everything": ["Leave it out when you give ids."]})
            return values
        all_of_them = filter_of(values["filter"]).everything
        if all_of_them and values["action"] == BulkAction.DELETE:
            message = "To delete all products use /api/products/delete-all/."
            raise ValidationError({"filter": [message]})
        if all_of_them and not everything:
            raise ValidationError(
                {"everything": ["This filter means all products: say true if you mean that."]}
            )
        return values


class BulkChangeSerializer(serializers.Serializer):
    """A change of many products as `bulk_progress.snapshot` tells it."""

    id = serializers.IntegerField()
    url = serializers.URLField()
    events_url = serializers.URLField(help_text="Its live stream (server-sent events).")
    action = serializers.ChoiceField(BulkAction.choices)
    action_label = serializers.CharField()
    state = serializers.ChoiceField(BulkState.choices)
    state_label = serializers.CharField()
    ended = serializers.BooleanField()
    error = serializers.CharField()
    cancel_requested = serializers.BooleanField()
    what = serializers.CharField(help_text="Which products, in words.")
    ids = serializers.IntegerField(
        allow_null=True, help_text="How many were given by id; null for a filter."
    )
    search = serializers.CharField()
    active = serializers.BooleanField(allow_null=True)
    expected = serializers.IntegerField(help_text="Counted before it began.")
    expected_exact = serializers.BooleanField()
    matched = serializers.IntegerField(help_text="Looked at so far.")
    changed = serializers.IntegerField()
    unchanged = serializers.IntegerField(help_text="Were so already, or could not be.")
    percent = serializers.FloatField(allow_null=True)
    seconds_left = serializers.FloatField(allow_null=True)
    silent_seconds = serializers.FloatField(help_text="Since its worker's last sign of life.")
    deletion_id = serializers.IntegerField(allow_null=True)
    undo_until = serializers.DateTimeField(allow_null=True)
    restored = serializers.IntegerField()
    created_by = serializers.CharField()
    token = serializers.CharField()
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)

    def to_representation(self, change: BulkChange) -> dict[str, Any]:
        request = self.context["request"]
        return super().to_representation(
            {
                **bulk.snapshot(change),
                "url": reverse("bulk-change", [change.pk], request=request),
                "events_url": reverse("events", [bulk.channel(change.pk)], request=request),
                **self.more(),
            }
        )

    def more(self) -> dict[str, Any]:
        """What a subclass adds."""
        return {}


class BulkBegunSerializer(BulkChangeSerializer):
    """A change that was just asked for, and the ids that it can't be done to.

    These are `missing_ids` of the context.
    """

    missing = serializers.IntegerField(help_text="How many of the ids are of no product.")
    missing_ids = serializers.ListField(
        child=serializers.IntegerField(),
        max_length=MISSING_SHOWN,
        help_text=f"The {MISSING_SHOWN} lowest of them.",
    )

    def more(self) -> dict[str, Any]:
        missing = self.context["missing_ids"]
        return {"missing": len(missing), "missing_ids": missing[:MISSING_SHOWN]}


class DeleteAllInput(Strict):
    """The typed confirmation."""

    confirm = Choice([CONFIRMATION], advice=f'Send {{"confirm": "{CONFIRMATION}"}}.')


class DeletionSerializer(serializers.Serializer):
    """What was deleted, by whom, and whether it can be undone."""

    id = serializers.IntegerField()
    url = serializers.URLField()
    kind = serializers.ChoiceField(DeletionKind.choices)
    what = serializers.CharField(help_text="In words: a SKU, a search.")
    count = serializers.IntegerField(help_text="Products that were deleted.")
    restored = serializers.IntegerField()
    restorable = serializers.BooleanField()
    why_not = serializers.CharField(help_text="Why it can't be undone; empty where it can.")
    bulk_change_id = serializers.IntegerField(
        allow_null=True, help_text="The job that deletes or restores them at this moment."
    )
    by = serializers.CharField()
    token = serializers.CharField()
    created_at = serializers.DateTimeField()
    kept_until = serializers.DateTimeField()
    restored_at = serializers.DateTimeField(allow_null=True)

    def to_representation(self, recent: Recent) -> dict[str, Any]:
        deletion = recent.deletion
        return super().to_representation(
            {
                "id": deletion.pk,
                "url": reverse("deletion", [deletion.pk], request=self.context["request"]),
                "kind": deletion.kind,
                "what": deletion.what,
                "count": deletion.rows,
                "restored": deletion.restored,
                "restorable": not recent.why_not,
                "why_not": recent.why_not,
                "bulk_change_id": None if recent.change is None else recent.change.pk,
                "by": deletion.by_name,
                "token": deletion.token_name,
                "created_at": deletion.created_at,
                "kept_until": deletion.kept_until,
                "restored_at": deletion.restored_at,
            }
        )

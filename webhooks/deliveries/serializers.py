"""REST shapes of deliveries and their attempts."""

from datetime import datetime
from typing import Any

from drf_spectacular.utils import OpenApiTypes, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from config.api_input import Query, RowId, Strict, Text
from webhooks.engine import message
from webhooks.models import Attempt, Delivery, DeliveryState, Endpoint, Event

from . import log

ATTEMPTS_SHOWN = 60  # within a delivery: above the longest schedule


class DeliveryEndpointSerializer(serializers.ModelSerializer):
    """The endpoint of a delivery."""

    url = serializers.CharField(help_text="Where it sends to now; attempts say where they went.")

    class Meta:
        model = Endpoint
        fields = ["id", "url"]
        read_only_fields = fields


class DeliveryEventSerializer(serializers.ModelSerializer):
    """What happened."""

    id = serializers.CharField(
        source="webhook_id", help_text="The `webhook-id` of all requests that tell of it."
    )

    class Meta:
        model = Event
        fields = ["id", "type", "occurred_at"]
        read_only_fields = fields


class DeliverySerializer(serializers.ModelSerializer):
    """One event for one endpoint."""

    url = serializers.HyperlinkedIdentityField(view_name="webhook-delivery")
    endpoint = DeliveryEndpointSerializer()
    event = DeliveryEventSerializer()
    callback_url = serializers.CharField(
        source="url",
        help_text="Where a callback is sent to: its `endpoint`, the host, is in no list. Empty for"
        " what goes to an endpoint.",
    )
    state = serializers.ChoiceField(DeliveryState.choices)
    state_label = serializers.CharField(source="get_state_display", help_text="`state` in words.")
    attempts_made = serializers.IntegerField()
    next_attempt_at = serializers.DateTimeField(
        allow_null=True, help_text="While `state` is pending: not before."
    )
    last_status_code = serializers.IntegerField(
        allow_null=True, help_text="Of the last attempt; null where no answer came."
    )
    last_error = serializers.CharField(
        help_text="Why the last attempt got no answer, in words; empty where it got one."
    )
    test = serializers.BooleanField(help_text="A sample: tried once, not retried.")
    finished_at = serializers.DateTimeField(allow_null=True)

    class Meta:
        model = Delivery
        fields = [
            "id",
            "url",
            "endpoint",
            "event",
            "callback_url",
            "state",
            "state_label",
            "attempts_made",
            "next_attempt_at",
            "last_status_code",
            "last_error",
            "test",
            "created_at",
            "finished_at",
        ]
        read_only_fields = fields


@extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
class HeadersField(serializers.JSONField):
    """Names and values of headers."""


class AttemptSerializer(serializers.ModelSerializer):
    """One request and its answer."""

    url = serializers.CharField(help_text="Where it was sent to.")
    address = serializers.CharField(help_text="IP address that it was sent to.")
    request_headers = HeadersField(
        help_text=f"The values of the endpoint's own ones are shown as {message.HIDDEN}."
    )
    status_code = serializers.IntegerField(allow_null=True)
    error = serializers.CharField(
        help_text="Why there was no answer, in words; empty where one came."
    )
    response_headers = HeadersField()
    response_body = serializers.CharField(help_text="Its beginning.")
    response_truncated = serializers.BooleanField(help_text="There was more of the body.")
    duration_ms = serializers.IntegerField(allow_null=True)

    class Meta:
        model = Attempt
        fields = [
            "number",
            "state",
            "url",
            "address",
            "request_headers",
            "status_code",
            "error",
            "response_headers",
            "response_body",
            "response_truncated",
            "started_at",
            "duration_ms",
        ]
        read_only_fields = fields


class DeliveryDetailSerializer(DeliverySerializer):
    """A delivery with what is sent and how that went."""

    request_body = serializers.SerializerMethodField(
        help_text="The body as it is sent, byte by byte the same in each attempt."
    )
    attempts = serializers.SerializerMethodField(
        help_text=f"The last {ATTEMPTS_SHOWN}, the newest first."
    )

    class Meta(DeliverySerializer.Meta):
        fields = [*DeliverySerializer.Meta.fields, "request_body", "attempts"]
        read_only_fields = fields

    def get_request_body(self, delivery: Delivery) -> str:
        event = delivery.event
        return message.body(event.type, event.occurred_at, event.data).decode()

    @extend_schema_field(AttemptSerializer(many=True))
    def get_attempts(self, delivery: Delivery) -> list[dict[str, Any]]:
        newest = log.attempts(delivery.pk)[:ATTEMPTS_SHOWN]
        return AttemptSerializer(newest, many=True).data


class DeliveryListQuery(Query):
    """Parameters of the list, beside those of its pages: `log.read` says what they may be."""

    endpoint = serializers.CharField(required=False)
    event_type = serializers.CharField(required=False)
    state = serializers.CharField(required=False)
    since = serializers.CharField(required=False)
    webhook_id = serializers.CharField(required=False)
    sku = serializers.CharField(required=False)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        found, wrong = log.read(data)
        try:
            super().to_internal_value(data)
        except ValidationError as error:
            wrong |= error.detail
        if wrong:
            raise ValidationError(wrong)
        return {"filter": found}


@extend_schema_field(OpenApiTypes.DATETIME)
class Instant(Text):
    """A JSON string with a date, a time and its offset."""

    def to_internal_value(self, data: Any) -> datetime:  # type: ignore[override]
        try:
            return log.instant(super().to_internal_value(data))
        except ValueError as error:
            raise ValidationError(str(error)) from None


class ReplayInput(Strict):
    """Which failed deliveries are sent again."""

    since = Instant(help_text="Those that failed then or later.")
    endpoint = RowId(required=False, help_text="Its id; without it those of all endpoints.")


class ReplayedSerializer(serializers.Serializer):
    """How many deliveries wait again."""

    replayed = serializers.IntegerField()
    more = serializers.BooleanField(
        help_text="That was as much as one request does: send it again for the rest."
    )

"""REST shapes of endpoints. What a field may hold is in fields.py; here it is only described."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from config.accounts import scopes
from config.accounts.models import ApiToken
from config.accounts.permissions import may
from config.api_input import Choice, Strict, Text, TrueFalse
from webhooks.event_types import EVENT_TYPES
from webhooks.models import Endpoint

from . import fields
from .statistics import COUNTED_AT_MOST, LAST_ATTEMPTS

WRITE = "webhooks:write"
AS_MANY_OR_MORE = f"{COUNTED_AT_MOST:,} stands for as many or more."
ALL_OR_TYPES = [Endpoint.ALL_EVENTS, *EVENT_TYPES]
NO_EVENTS = 'Name at least one event type, or give ["*"] for all.'  # the pages offer a choice


class HealthSerializer(serializers.Serializer):
    """How the endpoint does."""

    waiting = serializers.IntegerField(help_text=f"Deliveries. {AS_MANY_OR_MORE}")
    failed_24h = serializers.IntegerField(
        help_text="Deliveries that failed for good in the last 24 hours, without tests."
        f" {AS_MANY_OR_MORE}"
    )
    last_success_at = serializers.DateTimeField(allow_null=True)
    last_failure_at = serializers.DateTimeField(allow_null=True)
    failures_in_a_row = serializers.IntegerField(help_text="Attempts.")
    failing_since = serializers.DateTimeField(allow_null=True)
    held_until = serializers.DateTimeField(
        allow_null=True, help_text="Until then nothing is sent, because of failures before."
    )
    p50_ms = serializers.IntegerField(
        allow_null=True,
        help_text="Half of the answers came within this time. Of the last"
        f" {LAST_ATTEMPTS} attempts, without tests, as far as they were answered.",
    )
    p95_ms = serializers.IntegerField(allow_null=True, help_text="95 % of the answers did.")


class EndpointSerializer(serializers.ModelSerializer):
    """An endpoint as it is answered."""

    # The context's `glances` (statistics.at_a_glance) have the health.

    api_url = serializers.HyperlinkedIdentityField(
        view_name="webhook-endpoint", help_text="The address of this endpoint in the API."
    )
    url = serializers.CharField(help_text="Where events are sent.")
    event_types = serializers.ListField(child=serializers.ChoiceField(ALL_OR_TYPES))
    headers = serializers.SerializerMethodField(
        help_text="Sent along. The values are null for who may not change endpoints."
    )
    disabled_reason = serializers.CharField(
        allow_blank=True, help_text="Empty where somebody did it."
    )
    health = serializers.SerializerMethodField()

    class Meta:
        model = Endpoint
        fields = [
            "id",
            "api_url",
            "url",
            "description",
            "event_types",
            "headers",
            "enabled",
            "disabled_at",
            "disabled_reason",
            "created_at",
            "updated_at",
            "health",
        ]
        read_only_fields = fields

    @extend_schema_field(
        serializers.DictField(child=serializers.CharField(allow_null=True, allow_blank=True))
    )
    def get_headers(self, endpoint: Endpoint) -> dict[str, str | None]:
        if may_write(self.context["request"]):
            return endpoint.headers
        return dict.fromkeys(endpoint.headers)

    @extend_schema_field(HealthSerializer)
    def get_health(self, endpoint: Endpoint) -> dict[str, Any]:
        return HealthSerializer(self.context["glances"][endpoint.pk]).data


class NewEndpointSerializer(EndpointSerializer):
    """An endpoint that was just added."""

    # The context has it as `secret`.

    secret = serializers.SerializerMethodField(
        help_text="Signs what is sent. Keep it: it is not shown again."
    )

    class Meta(EndpointSerializer.Meta):
        fields = [*EndpointSerializer.Meta.fields, "secret"]
        read_only_fields = fields

    def get_secret(self, endpoint: Endpoint) -> str:
        return self.context["secret"]


class EndpointInput(Strict):
    """An endpoint as it is given."""

    url = Text(
        min_length=1,
        help_text="https, or also http where Stockroom's settings allow it, without user and"
        f" password, at a public address. At most {Endpoint.URL_CHARACTERS:,} characters.",
    )
    description = Text(
        allow_blank=True,
        default="",
        help_text=f"At most {Endpoint.DESCRIPTION_CHARACTERS} characters without the blanks around"
        " it, which are taken off.",
    )
    event_types = serializers.ListField(
        child=serializers.ChoiceField(ALL_OR_TYPES),
        min_length=1,
        help_text='What is sent; `["*"]` for all but alerts, also for those that come later:'
        " alerts are sent to who names them, beside `*` or without it.",
    )
    headers = serializers.DictField(
        child=Text(min_length=1),
        default=dict,
        help_text=f"Up to {fields.MAX_HEADERS} that are sent along. The values are confidential.",
    )
    enabled = TrueFalse(default=True)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            return super().to_internal_value(data)  # says what it should be
        try:
            return fields.clean(data, partial=self.partial)
        except fields.FieldErrors as error:
            if error.fields.get("event_types") == [fields.REQUIRED["event_types"]]:
                error.fields["event_types"] = [NO_EVENTS]
            raise ValidationError(error.fields) from None


class SecretSerializer(serializers.Serializer):
    """A new secret."""

    secret = serializers.CharField(help_text="Keep it: it is not shown again.")
    old_secret_expires_at = serializers.DateTimeField(
        allow_null=True,
        help_text="Until then the secret before signs, too. Null: it does not any more.",
    )


class TestInput(Strict):
    """What a test sends."""

    event_type = Choice(list(EVENT_TYPES))


class EventTypeSerializer(serializers.Serializer):
    """What endpoints can be told of."""

    name = serializers.CharField()
    description = serializers.CharField()
    sample = serializers.DictField(
        child=serializers.JSONField(), help_text="The `data` of such an event, as it may be."
    )


class EventTypesSerializer(serializers.Serializer):
    """All event types."""

    results = EventTypeSerializer(many=True)


def may_write(request: Request) -> bool:
    """Whether who asks may change endpoints: by role and, with a token, by its scopes."""
    by_token = isinstance(request.auth, ApiToken)
    if by_token and not scopes.allows(request.auth.scopes, WRITE):
        return False
    return may(request.user, WRITE)

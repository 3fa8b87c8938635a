"""Who wants to be told, where, and how that goes."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Endpoint(models.Model):
    """An address that gets events. The engine only ever disables it, see disabled_reason.

    `for_callbacks`: the host that somebody's callbacks go to. It wants no events, is never
    disabled, and no page or list shows it; its deliveries have their own URLs.
    """

    URL_CHARACTERS = 2_000
    DESCRIPTION_CHARACTERS = 200
    ALL_EVENTS = "*"

    url = models.CharField("URL", max_length=URL_CHARACTERS)  # for callbacks scheme://host:port
    description = models.CharField(max_length=DESCRIPTION_CHARACTERS, blank=True, default="")
    event_types = ArrayField(models.CharField(max_length=64))  # "*": all but event_types.BY_NAME
    headers = models.JSONField(default=dict)  # sent along, name → value; values are confidential
    enabled = models.BooleanField(default=True)
    disabled_at = models.DateTimeField(null=True)
    disabled_reason = models.TextField(blank=True, default="")  # empty where somebody did it
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    version = models.IntegerField(default=1)  # one more with each change, for If-Match
    deleted_at = models.DateTimeField(null=True)  # kept as long as the log speaks of it
    for_callbacks = models.BooleanField(default=False, db_default=False)  # of `created_by`

    class Meta:
        indexes = [models.Index(fields=["id"], condition=Q(deleted_at=None), name="webhooks_live")]
        constraints = [
            models.UniqueConstraint(
                fields=["created_by", "url"],
                condition=Q(for_callbacks=True, deleted_at=None),
                name="webhooks_callbacks",
            )
        ]

    def __str__(self) -> str:
        return self.url


class Secret(models.Model):
    """A key that signs. After a rotation the old one signs beside the new one for a day.

    It is an endpoint's, or `owner`'s: that one signs all callbacks of a person.
    """

    endpoint = models.ForeignKey(Endpoint, models.CASCADE, null=True, related_name="secrets")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+")
    value = models.CharField(max_length=128)  # "whsec_" and base64, as Standard Webhooks has it
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(null=True)  # null: the present one

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["endpoint"], condition=Q(expires_at=None), name="webhooks_present_secret"
            ),
            models.UniqueConstraint(
                fields=["owner"], condition=Q(expires_at=None), name="webhooks_present_own_secret"
            ),
            models.CheckConstraint(
                condition=Q(endpoint=None) ^ Q(owner=None), name="webhooks_secret_of_one"
            ),
        ]

    def __str__(self) -> str:
        whose = f"owner {self.owner_id}" if self.owner_id else f"endpoint {self.endpoint_id}"
        return f"secret {self.pk} of {whose}"


class Health(models.Model):
    """How an endpoint's attempts went; made with it. The engine locks this row, not the endpoint.

    Until `held_until` nothing is sent: its circuit is open, or it asked for that (Retry-After).
    """

    endpoint = models.OneToOneField(
        Endpoint, models.CASCADE, primary_key=True, related_name="health"
    )
    last_success_at = models.DateTimeField(null=True)
    last_failure_at = models.DateTimeField(null=True)
    failures_in_a_row = models.IntegerField(default=0)  # attempts
    failing_since = models.DateTimeField(null=True)  # the first of these
    held_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"health of endpoint {self.pk}"

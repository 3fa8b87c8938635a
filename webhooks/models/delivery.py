"""An event on its way to an endpoint, and each attempt to bring it there."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from .endpoint import Endpoint
from .event import Event


class DeliveryState(models.TextChoices):
    PENDING = "pending", "Waiting"
    SENDING = "sending", "Sending"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"


class AttemptState(models.TextChoices):
    SENDING = "sending", "Sending"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    LOST = "lost", "Lost"  # its worker was stopped: nobody knows whether it arrived


class Delivery(models.Model):
    """One event for one endpoint.

    pending: to be sent at `next_attempt_at`. sending: a worker has it until `claimed_until`;
    each claim raises `claim`, and only who has the present number may end the attempt.
    """

    event = models.ForeignKey(Event, models.CASCADE, related_name="deliveries", db_index=False)
    endpoint = models.ForeignKey(
        Endpoint, models.CASCADE, related_name="deliveries", db_index=False
    )
    # A callback's own address; empty where it goes to its endpoint's.
    url = models.CharField(
        max_length=Endpoint.URL_CHARACTERS, blank=True, default="", db_default=""
    )
    event_type = models.CharField(max_length=64)  # its event's, to filter by
    state = models.CharField(
        max_length=16, choices=DeliveryState.choices, default=DeliveryState.PENDING
    )
    next_attempt_at = models.DateTimeField(null=True)  # while pending
    claimed_until = models.DateTimeField(null=True)  # while sending
    claim = models.IntegerField(default=0)
    tries = models.IntegerField(default=0)  # steps of the schedule that are used up
    attempts_made = models.IntegerField(default=0)
    by_hand = models.BooleanField(default=False)  # asked for by somebody: sent in any case, at once
    test = models.BooleanField(default=False)  # a sample: one attempt, no influence on the health
    last_status_code = models.IntegerField(null=True)
    last_error = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["event", "endpoint"], name="webhooks_delivery_once")
        ]
        indexes = [
            # What is due, by endpoint; and of these what somebody waits for.
            models.Index(
                fields=["endpoint", "next_attempt_at", "id"],
                condition=Q(state="pending"),
                name="webhooks_delivery_due",
            ),
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(state="pending", by_hand=True),
                name="webhooks_delivery_by_hand",
            ),
            models.Index(
                fields=["endpoint", "claimed_until"],
                condition=Q(state="sending"),
                name="webhooks_delivery_sending",
            ),
            # What failed of late: the endpoint's numbers, and what is to be sent again.
            models.Index(
                fields=["endpoint", "finished_at"],
                condition=Q(state="failed"),
                name="webhooks_delivery_failed",
            ),
            models.Index(
                fields=["finished_at"],
                condition=Q(state="failed"),
                name="webhooks_delivery_failed_at",
            ),
            # The log, newest first, by each of its filters.
            models.Index(F("endpoint"), F("id").desc(), name="webhooks_delivery_log"),
            models.Index(F("state"), F("id").desc(), name="webhooks_delivery_by_state"),
            models.Index(F("event_type"), F("id").desc(), name="webhooks_delivery_by_type"),
            models.Index(fields=["created_at"], name="webhooks_delivery_created"),
        ]

    def __str__(self) -> str:
        return f"delivery {self.pk}"

    @property
    def destination(self) -> str:
        """The URL that its next attempt goes to."""
        return self.url or self.endpoint.url


class Attempt(models.Model):
    """One request, written before it is sent, so that none is made without a trace."""

    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="attempts")
    endpoint = models.ForeignKey(Endpoint, models.CASCADE, related_name="+", db_index=False)
    number = models.IntegerField()  # 1 for a delivery's first
    state = models.CharField(
        max_length=16, choices=AttemptState.choices, default=AttemptState.SENDING
    )
    url = models.CharField(max_length=Endpoint.URL_CHARACTERS)
    request_headers = models.JSONField(default=dict)  # without the values of custom ones
    address = models.CharField(max_length=64, blank=True, default="")  # connected to, with port
    status_code = models.IntegerField(null=True)
    error = models.CharField(max_length=200, blank=True, default="")  # why, in words
    response_headers = models.JSONField(default=dict)
    response_body = models.TextField(blank=True, default="")  # its beginning
    response_truncated = models.BooleanField(default=False)
    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)
    duration_ms = models.IntegerField(null=True)

    class Meta:
        indexes = [
            models.Index(F("endpoint"), F("id").desc(), name="webhooks_attempt_newest"),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of delivery {self.delivery_id}"

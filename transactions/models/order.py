"""An order to buy a stock, and the processes that work on orders."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from config.request_log import ID_CHARACTERS, current

from .fields import ExactNumberField


class OrderStatus(models.TextChoices):
    RECEIVED = "received", "Received"
    VERIFYING = "verifying", "Verifying"
    VERIFIED = "verified", "Verified"
    # The words of the specification, step 4.
    ACCEPT = "Accept", "Accepted"
    DENY = "Deny", "Denied"


OPEN = (OrderStatus.RECEIVED, OrderStatus.VERIFYING, OrderStatus.VERIFIED)
FINAL = (OrderStatus.ACCEPT, OrderStatus.DENY)


class Reason(models.TextChoices):
    """Why an order is denied."""

    INSUFFICIENT_CREDIT = "insufficient_credit", "The credit is not enough"
    VERIFICATION_REFUSED = "verification_refused", "The user was not verified"
    VERIFICATION_STALLED = "verification_stalled", "The verification took too long"
    VERIFICATION_FAILED = "verification_failed", "The verification failed"
    UNKNOWN_USER = "unknown_user", "The user is gone"
    NO_PRICE = "no_price", "The stock has no price"
    UNREADABLE_CREDIT = "unreadable_credit", "The user's credit can't be read"


class Order(models.Model):
    """received → verifying → verified → Accept or Deny; denied at once without the steps between.

    The worker `holder` has it; each claim raises `claim`, and what a verification found is written
    by who has the present number only.
    """

    order_id = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    user = models.CharField(max_length=64)  # the trading user, a key in Redis
    stockname = models.CharField(max_length=64)
    quantity = models.BigIntegerField()
    status = models.CharField(
        max_length=16, choices=OrderStatus.choices, default=OrderStatus.RECEIVED
    )
    reason = models.CharField(max_length=32, choices=Reason.choices, blank=True, default="")
    detail = models.TextField(blank=True, default="")  # of the reason, in words

    # At the decision: the price it was made with, price × quantity, and the user's credit.
    price = ExactNumberField(null=True)
    amount = ExactNumberField(null=True)
    credit_before = ExactNumberField(null=True)
    credit_after = ExactNumberField(null=True)

    received_at = models.DateTimeField(db_default=Now())
    verification_began_at = models.DateTimeField(null=True)  # the last one
    verified_at = models.DateTimeField(null=True)  # when it ended, however
    decided_at = models.DateTimeField(null=True)
    verifications = models.IntegerField(default=0)  # begun

    holder = models.BigIntegerField(null=True)  # id of the OrderWorker
    claim = models.IntegerField(default=0)

    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    callback_url = models.CharField(max_length=2_000, blank=True, default="")
    # Kept as long as the log of deliveries.
    delivery = models.ForeignKey(
        "webhooks.Delivery", models.SET_NULL, null=True, related_name="orders"
    )

    # Of the request that placed it: its callback tells it too.
    request_id = models.CharField(
        max_length=ID_CHARACTERS, blank=True, default=current, db_default="", editable=False
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(quantity__gt=0), name="orders_quantity"),
        ]
        indexes = [
            models.Index(
                fields=["id"],
                condition=Q(status__in=["received", "verifying", "verified"]),
                name="orders_open",
            ),
            # The list, newest first, by each of its filters.
            models.Index(F("user"), F("id").desc(), name="orders_by_user"),
            models.Index(F("status"), F("id").desc(), name="orders_by_status"),
            models.Index(F("stockname"), F("id").desc(), name="orders_by_stock"),
            # How the last hour went.
            models.Index(
                F("decided_at").desc(),
                condition=Q(decided_at__isnull=False),
                include=["status", "verified_at"],
                name="orders_decided",
            ),
        ]

    def __str__(self) -> str:
        return f"order {self.order_id}"

    @property
    def is_open(self) -> bool:
        return self.status in OPEN


class OrderTotal(models.Model):
    """What a user's accepted orders came to that are old and gone (orders/retention.py)."""

    user = models.CharField(max_length=64, primary_key=True)
    orders = models.BigIntegerField()
    taken = ExactNumberField()

    def __str__(self) -> str:
        return f"old orders of {self.user}"


class OrderWorker(models.Model):
    """A process that works on orders. Silent for ORDERS_STALE_SECONDS, it has lost them."""

    host = models.CharField(max_length=255)
    pid = models.IntegerField()
    started_at = models.DateTimeField(db_default=Now())
    beat_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"worker {self.pk} of orders"

"""Where the results of orders go that name no address of their own."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now


class CallbackUrl(models.Model):
    """The default of an account (the owner of the token that places an order)."""

    URL_CHARACTERS = 2_000

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False
    )
    # The trading user whose orders it is for; empty: of all that have none of their own.
    user = models.CharField(max_length=64, blank=True, default="")
    url = models.CharField(max_length=URL_CHARACTERS)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "user"], name="orders_callback_url")
        ]

    def __str__(self) -> str:
        return f"callback URL {self.pk}"

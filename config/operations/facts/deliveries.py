"""Webhook deliveries that are due, and endpoints that fail."""

from typing import Any

from webhooks import operations as webhooks

Sample = dict[str, Any]


def facts(before: Sample) -> dict[str, Any]:
    """Raises django.db.Error."""
    return webhooks.deliveries()

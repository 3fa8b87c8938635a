"""Orders without a decision."""

from typing import Any

from transactions import operations as transactions

Sample = dict[str, Any]


def facts(before: Sample) -> dict[str, Any]:
    """Raises django.db.Error."""
    return transactions.orders()

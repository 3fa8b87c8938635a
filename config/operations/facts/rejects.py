"""What was refused in the last hour, of each kind: parts of one section, of several engines."""

from typing import Any

from products import operations as products
from stocksync import operations as stocksync
from streaming import operations as streaming
from transactions import operations as transactions
from webhooks import operations as webhooks

Sample = dict[str, Any]


def of_database(before: Sample) -> list[dict[str, Any]]:
    """Those that Django's database knows. Raises django.db.Error."""
    return [products.rejects(), stocksync.rejects(), webhooks.rejects()]


def of_ledger(before: Sample) -> list[dict[str, Any]]:
    """Those of the ledger's database. Raises psycopg2.Error."""
    return [transactions.ledger_rejects()]


def of_prices(before: Sample) -> list[dict[str, Any]]:
    """Those of prices, of which only the total is known. Raises redis.RedisError."""
    return [streaming.rejects("prices", streaming.prices_refused())]

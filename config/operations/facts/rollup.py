"""The ledger's last balances, and how late they were."""

import time
from typing import Any

from transactions import operations as transactions

Sample = dict[str, Any]


def facts(before: Sample) -> dict[str, Any]:
    """Raises psycopg2.Error."""
    return transactions.rollup(time.time())

"""A ledger's tables with what tests of pages and API need to see there, and its board."""

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg2
import redis

from tests.transactions.ledger.stage import make_tables
from transactions import queue_depth
from transactions.ledger import board
from transactions.ledger.engine import tables

MINUTE = timedelta(minutes=1)


class Ledger:
    """One database of a test's own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.last = datetime.now(UTC).replace(second=0, microsecond=0)  # the present minute
        self._connection = psycopg2.connect(url)
        self._connection.autocommit = True

    def close(self) -> None:
        self._connection.close()

    def execute(self, statement: str, *values: Any) -> Any:
        """The first row, None where there is none."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchone() if cursor.description else None

    def begin(self, *, sample: bool = True) -> "Ledger":
        """Both kinds of tables; the sample's rows are added up."""
        connection = psycopg2.connect(self.url)
        make_tables(connection, sample=sample)
        tables.make_ours(connection)
        connection.close()
        if sample:
            self.total(1, 300, 2)
            self.total(2, -200, 1)
        return self

    def provider(self, name: str | None, initial: Any = 0) -> int:
        """Its id."""
        self.execute("ALTER TABLE initial_data ALTER provider_name DROP NOT NULL")
        found: int = self.execute(
            "INSERT INTO initial_data (provider_name, initial_value) VALUES (%s, %s) RETURNING id",
            name,
            initial,
        )[0]
        return found

    def total(self, provider: int, total: Any, transactions: int) -> None:
        """What has been added up."""
        self.execute(
            "INSERT INTO stockroom_ledger.totals VALUES (%s, %s, %s) ON CONFLICT (provider_id)"
            " DO UPDATE SET total = excluded.total, transactions = excluded.transactions",
            *(provider, total, transactions),
        )

    def minute(
        self,
        at: datetime,
        balances: Mapping[str, Any] | None = None,
        *,
        lateness: float = 0.009,
        failure: str = "",
    ) -> None:
        """One that was written, or failed; `balances` by key."""
        found = balances or {}
        written = None if failure else at + timedelta(seconds=lateness)
        self.execute(
            "INSERT INTO stockroom_ledger.runs VALUES (%s, %s, %s, 0.006, 2, %s, %s)",
            *(at, written, lateness, len(found), failure),
        )
        for key, balance in found.items():
            self.execute(
                "INSERT INTO stockroom_ledger.balances (minute, provider_id, key, balance)"
                " VALUES (%s, %s, %s, %s)",
                *(at, int(key.partition("_")[0]), key, Decimal(str(balance))),
            )

    def reject(self, body: bytes, reason: str = "not_json", **values: Any) -> int:
        """Its number."""
        found: int = self.execute(
            "INSERT INTO stockroom_ledger.rejects (reason, detail, body, body_bytes, message_id)"
            " VALUES (%s, %s, %s, %s, %s) RETURNING id",
            reason,
            values.get("detail", f"Why {reason}."),
            body[:65_536],
            len(body),
            values.get("message_id"),
        )[0]
        return found

    def reconciled(self, drift: Mapping[str, Any] | None = None, **values: Any) -> None:
        """One that took 0.2 s."""
        self.execute(
            "INSERT INTO stockroom_ledger.reconciliations"
            " (at, seconds, transactions, drifts, drift, repaired, failure)"
            " VALUES (%s, 0.2, 3, %s, %s, %s, %s)",
            datetime.now(UTC),
            values.get("drifts", 0),
            json.dumps(drift or {}),
            values.get("repaired", False),
            values.get("failure", ""),
        )


def sample(ledger: Ledger) -> None:
    """What the schema of the API shows: Visa has 600 more than KeyDB."""
    ledger.begin()
    ledger.minute(ledger.last - MINUTE, {"1_Visa": 1200, "2_Mastercard": 1800})
    ledger.minute(ledger.last, {"1_Visa": 1300, "2_Mastercard": 1800})
    ledger.total(1, 900, 3)


def health(**values: Any) -> dict[str, Any]:
    """As LedgerConsumer.health says it."""
    return {
        "leads": True,
        "waiting_for": None,
        "rows": 4,
        "repeated": 0,
        "rejected": 1,
        "last_batch": 1,
        "last_batch_at": datetime.now(UTC).isoformat(),
        "last_minute": None,
        "lateness_seconds": None,
        "failure": None,
        "rate": 98.5,
        **values,
    }


def other(name: str, **values: Any) -> None:
    """Another instance puts itself on the board."""
    process = {"group": board.GROUP, "instance": name, "host": "shop-2", "pid": 7}
    board.BOARD.publish({**health(leads=False), **process, "at": time.time(), **values})


def clear(url: str) -> None:
    """Nothing on the board."""
    client = redis.Redis.from_url(url)
    keys = client.keys(f"{board.BOARD.index}*")
    if keys:
        client.delete(*keys)
    client.close()
    queue_depth.forget()

"""A rollup of the ledger whose minutes come when a test says so."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import redis

from tests.transactions.ledger import oracle
from transactions.ledger.engine import rollup
from transactions.ledger.engine.rollup import Rollup

NOON = 1_763_812_800  # 2025-11-22 12:00:00
INSERT = "INSERT INTO historical_transactions (provider_id, transaction_value) VALUES (%s, %s)"


class Clock:
    """Stands still unless it is told."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Ledger:
    """A rollup, whose minutes come when a test says so, and what it makes of the tables."""

    def __init__(self, connect: Callable[[], Any], keydb_url: str) -> None:
        self.clock = Clock()
        self.keydb = redis.Redis.from_url(keydb_url, decode_responses=True)
        self.others = connect()
        self.connection = connect()
        self._client = redis.Redis.from_url(keydb_url, socket_timeout=0.4)
        self.rollup = Rollup(self.connection, self._client, self.clock)
        self.minute = NOON

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.others, self.others.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def write(self, late: float = 0.01) -> rollup.Run:
        """The next minute."""
        self.minute += 60
        self.clock.now = self.minute + late
        return self.rollup.write(self.minute)

    def shown(self) -> dict[str, Any]:
        return {key: self.keydb.get(key) for key in self.keydb.scan_iter()}

    def right(self) -> dict[str, str]:
        with self.others, self.others.cursor() as cursor:
            return oracle.balances_of(cursor)

    def kept(self) -> dict[str, Decimal]:
        """Balances of the last minute, as they are kept."""
        return dict(
            self.sql(
                "SELECT key, balance FROM stockroom_ledger.balances"
                " WHERE minute = to_timestamp(%s)",
                self.minute,
            )
        )

    def close(self) -> None:
        self.keydb.close()
        self._client.close()

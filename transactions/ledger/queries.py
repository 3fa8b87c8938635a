"""What pages and API read of the ledger's database. `cursor` is psycopg2's, of reading.ask."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from .engine import leadership

OURS = ("totals", "runs", "balances", "rejects", "reconciliations")
COUNTED = 10_000

NEWEST = "SELECT minute, written_at FROM stockroom_ledger.runs WHERE failure = ''"

# CAST, since `-9223372036854775808::bigint` is the minus of something that is out of range.
PROVIDERS = """
SELECT i.id, i.provider_name::text, n.initial, n.now, coalesce(t.transactions, 0),
       b.key, b.balance, n.now - b.balance
FROM initial_data i
LEFT JOIN stockroom_ledger.totals t ON t.provider_id = i.id
CROSS JOIN LATERAL (
    SELECT coalesce(i.initial_value, 0)::numeric AS initial,
           coalesce(i.initial_value, 0)::numeric + coalesce(t.total, 0) AS now
) n
LEFT JOIN stockroom_ledger.balances b ON b.provider_id = i.id AND b.minute = %(minute)s
WHERE (CAST(%(id)s AS bigint) IS NULL OR i.id = %(id)s)
  AND (CAST(%(after)s AS bigint) IS NULL OR i.id > %(after)s)
  AND strpos(lower(i.id || '_' || coalesce(i.provider_name::text, '')), lower(%(find)s)) > 0
ORDER BY i.id LIMIT %(size)s
"""
CURVES = """
SELECT provider_id, minute, balance FROM stockroom_ledger.balances
WHERE provider_id = ANY(%s) AND minute > %s ORDER BY provider_id, minute
"""
# Of each step the last one.
CURVE = """
SELECT DISTINCT ON (floor(extract(epoch FROM minute) / %(step)s)) minute, balance
FROM stockroom_ledger.balances WHERE provider_id = %(id)s AND minute > %(since)s
ORDER BY floor(extract(epoch FROM minute) / %(step)s), minute DESC
"""
HISTORY = """
SELECT minute, key, balance FROM stockroom_ledger.balances
WHERE provider_id = %(id)s AND minute >= %(since)s AND minute <= %(until)s
ORDER BY minute LIMIT %(size)s
"""
AT = """
SELECT minute, key, balance FROM stockroom_ledger.balances
WHERE provider_id = %s AND minute <= %s ORDER BY minute DESC LIMIT 1
"""
RUNS = """
SELECT minute, written_at, lateness_seconds, duration_seconds, new_rows, providers, failure
FROM stockroom_ledger.runs
"""
TOTALS = """
SELECT (SELECT count(*) FROM initial_data), coalesce(sum(transactions), 0)
FROM stockroom_ledger.totals
"""
# Of this database: others of the same server may have a ledger too.
LEADER = """
SELECT a.backend_start, a.client_addr FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND ((l.classid::bigint << 32) | l.objid::bigint) = %s
"""
REJECTED = """
SELECT count(*), max(rejected_at) FROM (
    SELECT rejected_at FROM stockroom_ledger.rejects ORDER BY id DESC LIMIT %s
) newest
"""


@dataclass(frozen=True)
class Provider:
    """A row of initial_data with its sums; `key` and `balance` are those of the last minute.

    `now` has all that has been added up since, which is `since`. Calculated by Postgres: Python
    would round to 28 digits.
    """

    id: int
    name: str | None
    initial: Decimal
    now: Decimal
    transactions: int
    key: str | None
    balance: Decimal | None
    since: Decimal | None


@dataclass(frozen=True)
class Balance:
    """Of a provider in one minute."""

    minute: datetime
    key: str
    balance: Decimal


@dataclass(frozen=True)
class Run:
    """One full minute that was to be written."""

    minute: datetime
    written_at: datetime | None
    lateness_seconds: float | None
    duration_seconds: float | None
    new_rows: int
    providers: int
    failure: str


@dataclass(frozen=True)
class Reconciliation:
    """The last time that all was recomputed; schema.sql says what `drift` holds."""

    at: datetime
    seconds: float
    transactions: int
    drifts: int
    drift: dict[str, Any]
    repaired: bool
    failure: str


@dataclass(frozen=True)
class Leader:
    """The session of Postgres that leads, of whatever instance."""

    since: datetime | None
    address: str | None


def ours(cursor: Any) -> set[str]:
    """Which of OURS are there."""
    names = [f"stockroom_ledger.{name}" for name in OURS]
    cursor.execute("SELECT n FROM unnest(%s::text[]) n WHERE to_regclass(n) IS NOT NULL", [names])
    return {name.partition(".")[2] for (name,) in cursor.fetchall()}


def newest(cursor: Any) -> tuple[datetime, datetime] | None:
    """The last minute whose balances KeyDB got, and when."""
    cursor.execute(f"{NEWEST} ORDER BY minute DESC LIMIT 1")
    found: tuple[datetime, datetime] | None = cursor.fetchone()
    return found


def providers(
    cursor: Any,
    minute: datetime | None,
    *,
    after: int | None = None,
    find: str = "",
    size: int = 100,
    only: int | None = None,
) -> list[Provider]:
    """By id, those behind `after`; `find` is part of the key. `minute` is that of `newest`."""
    given = {"minute": minute, "id": only, "after": after, "find": find, "size": size}
    cursor.execute(PROVIDERS, given)
    return [Provider(*row) for row in cursor.fetchall()]


def curves(
    cursor: Any, ids: Iterable[int], since: datetime
) -> dict[int, list[tuple[datetime, Decimal]]]:
    """Minutes and balances after `since`, by provider."""
    found: dict[int, list[tuple[datetime, Decimal]]] = {each: [] for each in ids}
    cursor.execute(CURVES, [list(found), since])
    for provider, minute, balance in cursor.fetchall():
        found[provider].append((minute, balance))
    return found


def curve(
    cursor: Any, provider: int, since: datetime, step_seconds: int
) -> list[tuple[datetime, Decimal]]:
    """Minutes and balances after `since`, one in each step at most."""
    cursor.execute(CURVE, {"id": provider, "since": since, "step": step_seconds})
    return cursor.fetchall()  # type: ignore[no-any-return]


def history(
    cursor: Any, provider: int, since: datetime, until: datetime, size: int
) -> list[Balance]:
    """From `since` to `until`, both inclusive, the oldest first."""
    given = {"id": provider, "since": since, "until": until, "size": size}
    cursor.execute(HISTORY, given)
    return [Balance(*row) for row in cursor.fetchall()]


def balance_at(cursor: Any, provider: int, at: datetime) -> Balance | None:
    """That of the last minute which was written until then; None where none is kept."""
    cursor.execute(AT, [provider, at])
    row = cursor.fetchone()
    return Balance(*row) if row else None


def runs_since(cursor: Any, since: datetime) -> list[Run]:
    """After `since`, the oldest first."""
    cursor.execute(f"{RUNS} WHERE minute > %s ORDER BY minute", [since])
    return [Run(*row) for row in cursor.fetchall()]


def runs_before(cursor: Any, before: datetime | None, size: int) -> list[Run]:
    """The newest first."""
    cursor.execute(
        f"{RUNS} WHERE %(before)s::timestamptz IS NULL OR minute < %(before)s"
        " ORDER BY minute DESC LIMIT %(size)s",
        {"before": before, "size": size},
    )
    return [Run(*row) for row in cursor.fetchall()]


def first_run(cursor: Any) -> datetime | None:
    """The oldest minute that is kept."""
    cursor.execute("SELECT min(minute) FROM stockroom_ledger.runs")
    found: datetime | None = cursor.fetchone()[0]
    return found


def totals(cursor: Any) -> tuple[int, int]:
    """Providers, and transactions that are added up."""
    cursor.execute(TOTALS)
    count, transactions = cursor.fetchone()
    return count, int(transactions)


def rejected(cursor: Any) -> tuple[int, datetime | None]:
    """How many messages were refused, COUNTED + 1 at most, and the last time."""
    cursor.execute(REJECTED, [COUNTED + 1])
    found: tuple[int, datetime | None] = cursor.fetchone()
    return found


def reconciliation(cursor: Any) -> Reconciliation | None:
    """The last one."""
    cursor.execute(
        "SELECT at, seconds, transactions, drifts, drift, repaired, failure"
        " FROM stockroom_ledger.reconciliations ORDER BY at DESC LIMIT 1"
    )
    row = cursor.fetchone()
    return Reconciliation(*row) if row else None


def leader(cursor: Any) -> Leader | None:
    """Whoever leads, as Postgres knows it."""
    cursor.execute(LEADER, [leadership.LOCK])
    row: Sequence[Any] | None = cursor.fetchone()
    return Leader(row[0], str(row[1]) if row[1] else None) if row else None

"""The two tables of the specification, which others make, and ours beside them."""

import struct
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import psycopg2

SCHEMA = (Path(__file__).parent / "schema.sql").read_text()
# Two that begin at the same moment must not make the same tables.
SCHEMA_LOCK = 5_061_910_001

COLUMNS = {
    "initial_data": ("id", "provider_name", "initial_value"),
    "historical_transactions": ("id", "provider_id", "transaction_value"),
}
IDS = (
    ("initial_data", "id"),
    ("historical_transactions", "id"),
    ("historical_transactions", "provider_id"),
)
NUMBERS = {"smallint", "integer", "bigint", "numeric", "real", "double precision"}
FLOATING = {"real": 6, "double precision": 15}
WHOLE = {"smallint": 16, "integer": 32, "bigint": 64}  # bits

FIND = """
SELECT c.relname, a.attname, format_type(a.atttypid, NULL), a.atttypmod,
       a.attidentity <> '' OR a.atthasdef
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.oid = ANY(ARRAY[to_regclass('initial_data'), to_regclass('historical_transactions')])
"""
# Whoever alters or drops them waits. In the order of an insert, which looks at its providers first;
# ONLY, since partitions are altered through what they are parts of.
HOLD = """
LOCK TABLE ONLY initial_data IN ACCESS SHARE MODE;
LOCK TABLE ONLY historical_transactions IN ROW EXCLUSIVE MODE;
"""
MADE_BY = "the producer makes it, or `manage.py seed_ledger`"
# Only forwards, and only as far as there is an id left behind it.
MOVE_SEQUENCE = """
SELECT setval(s.seqrelid, h.highest)
FROM pg_sequence s, (SELECT max(id)::bigint AS highest FROM historical_transactions) h
WHERE s.seqrelid = to_regclass(pg_get_serial_sequence('historical_transactions', 'id'))
AND s.seqincrement > 0 AND h.highest >= s.seqmin AND h.highest < s.seqmax
AND CASE WHEN has_sequence_privilege(s.seqrelid, 'UPDATE')
          AND has_sequence_privilege(s.seqrelid, 'USAGE, SELECT')
    THEN coalesce(pg_sequence_last_value(s.seqrelid) < h.highest, true) ELSE false END
"""
IS_OF_ID = """
SELECT EXISTS (
    SELECT FROM pg_constraint c
    JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attname = 'id'
    WHERE c.conrelid = to_regclass('historical_transactions')
      AND c.conname = %s AND c.conkey = ARRAY[a.attnum]
)
"""
FORGET_SUMS = """
DELETE FROM stockroom_ledger.summed;
DELETE FROM stockroom_ledger.totals;
DELETE FROM stockroom_ledger.unsummed;
INSERT INTO stockroom_ledger.unsummed VALUES (-9223372036854775808, 9223372036854775807);
"""


class Unready(Exception):
    """The tables can't be used yet. The text says what an operator should do."""


class Missing(Unready):
    """One of them is not there at all: nobody uses the ledger here, or not yet."""


class Numbers(NamedTuple):
    """Which values a column keeps exactly; None: any."""

    bits: int | None = None  # of a whole number
    precision: int | None = None  # digits
    scale: int | None = None  # of them behind the point; negative: zeros before it
    floating: int | None = None  # digits that a binary fraction keeps

    def problem(self, value: Decimal) -> str:
        """Why the column would not keep it as it is, "" where it would."""
        if not value:
            return ""
        digits, behind = _shape(value)
        before = digits - behind
        if self.bits is not None:
            if behind > 0:
                return "the table keeps whole numbers only"
            if before > 20 or not -(2 ** (self.bits - 1)) <= int(value) < 2 ** (self.bits - 1):
                return f"the table keeps numbers of {self.bits} bits only"
        if self.floating is not None:
            if digits > self.floating:
                return f"the table keeps {self.floating} digits only"
            if _as_floating(value, self.floating) != value:
                return "the table does not keep numbers so large or so small"
        if self.precision is not None and self.scale is not None:
            if behind > self.scale:
                return f"the table rounds at 1e{-self.scale}"
            if before > self.precision - self.scale:
                return f"the table keeps numbers below 1e{self.precision - self.scale} only"
        return ""


def _shape(value: Decimal) -> tuple[int, int]:
    """How many digits without zeros at either end, and how many places behind the point they
    reach."""
    _, digits, exponent = value.as_tuple()
    number = "".join(map(str, digits))
    kept = number.rstrip("0")
    return len(kept.lstrip("0")), -int(exponent) - (len(number) - len(kept))


def _as_floating(value: Decimal, digits: int) -> Decimal:
    """What PostgreSQL makes of it as binary fraction and back as numeric, which keeps so many
    digits."""
    stored = float(value)
    if digits == FLOATING["real"]:
        try:
            (stored,) = struct.unpack("f", struct.pack("f", stored))
        except OverflowError:
            return Decimal("Infinity")
    return Decimal(f"{stored:.{digits}g}")


def adopt(cursor: Any, *, hold: bool = False) -> Numbers:
    """Look at the tables of the specification; what transaction_value keeps.

    `hold`: they stay so until the transaction ends. Raises Unready where they are missing or not
    as they should be.
    """
    try:
        cursor.execute(HOLD + FIND if hold else FIND)
    except psycopg2.errors.UndefinedTable:
        words = "table initial_data or historical_transactions is missing"
        raise Missing(f"{words}: {MADE_BY}") from None
    found: dict[str, dict[str, tuple[str, int, bool]]] = {}
    for table, column, kind, modifier, default in cursor.fetchall():
        found.setdefault(table, {})[column] = (kind, modifier, default)
    for table, wanted in COLUMNS.items():
        if table not in found:
            raise Missing(f"table {table} is missing: {MADE_BY}")
        for column in wanted:
            if column not in found[table]:
                raise Unready(f"table {table} has no column {column}")
    for table, column in IDS:
        kind = found[table][column][0]
        if kind not in WHOLE:
            raise Unready(f"{table}.{column} is {kind}, not a whole number of 64 bits at most")
    if not found["historical_transactions"]["id"][2]:
        raise Unready("historical_transactions.id has no default: make it serial or identity")
    kind, modifier, _ = found["historical_transactions"]["transaction_value"]
    if kind not in NUMBERS:
        raise Unready(f"historical_transactions.transaction_value is {kind}, not a number")
    initial = found["initial_data"]["initial_value"][0]
    if initial not in NUMBERS:
        raise Unready(f"initial_data.initial_value is {initial}, not a number")
    if kind == "numeric" and modifier >= 4:
        # Eleven bits with their sign, by the source of PostgreSQL 15.
        scale = (((modifier - 4) & 0x7FF) ^ 1024) - 1024
        return Numbers(precision=(modifier - 4) >> 16 & 0xFFFF, scale=scale)
    return Numbers(bits=WHOLE.get(kind), floating=FLOATING.get(kind))


def make_ours(connection: Any) -> None:
    """Make what is missing of schema stockroom_ledger, in a transaction of its own."""
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [SCHEMA_LOCK])
        cursor.execute(SCHEMA)


def begin_anew_where_it_is_another(cursor: Any) -> bool:
    """Forget the sums of a table that was dropped and made again; whether that was so."""
    cursor.execute("SELECT 'historical_transactions'::regclass::oid")
    (now,) = cursor.fetchone()
    cursor.execute("SELECT table_oid FROM stockroom_ledger.summed")
    before = [oid for (oid,) in cursor.fetchall()]
    if before == [now]:
        return False
    if before:
        cursor.execute(FORGET_SUMS)
    cursor.execute("INSERT INTO stockroom_ledger.summed VALUES (%s)", [now])
    return bool(before)


def move_sequence_on(cursor: Any) -> bool:
    """Set the sequence of historical_transactions.id behind the highest id there is.

    For rows that were inserted with ids of their own, on which an insert has failed; in a
    transaction of its own. False where that is of no use: it is behind it already, there is none,
    none of its ids is left, or this user may not set it (owners may).
    """
    cursor.execute(MOVE_SEQUENCE)
    return cursor.fetchone() is not None


def is_of_id(cursor: Any, constraint: str | None) -> bool:
    """Whether a constraint of historical_transactions is about its id alone."""
    cursor.execute(IS_OF_ID, [constraint])
    return bool(cursor.fetchone()[0])

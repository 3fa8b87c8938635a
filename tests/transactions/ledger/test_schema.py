"""schema.sql is run at each start, beside the former version: it follows the migrations' rule.

docs/data.md, "Migrations": no statement holds a table for long, what is there stays, and an
installation of any age gets to the same tables.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from transactions.ledger.engine import tables

FIRST = (Path(__file__).parent / "first_schema.sql").read_text()
NAME = r"stockroom_ledger\.\w+"
LITERAL = r"(?:'[^']*'|-?\d+|true|false)"
NEW_TABLE = rf"CREATE TABLE IF NOT EXISTS ({NAME}) "
NEW_COLUMN = rf"ALTER TABLE {NAME} ADD COLUMN IF NOT EXISTS \w+"
ALLOWED = (
    r"CREATE SCHEMA IF NOT EXISTS stockroom_ledger$",
    NEW_TABLE,
    # What may be null, or has a literal as default: no row is written.
    rf"{NEW_COLUMN} \w+( precision)?( NOT NULL DEFAULT {LITERAL})?$",
    rf"INSERT INTO {NAME} SELECT .* WHERE NOT EXISTS",
)
# Of a table that is not made here it would keep writers waiting.
NEW_INDEX = rf"CREATE (?:UNIQUE )?INDEX IF NOT EXISTS \w+ ON ({NAME}) "

ALL = """
SELECT table_name, column_name, data_type, is_nullable, column_default
FROM information_schema.columns WHERE table_schema = 'stockroom_ledger'
UNION ALL
SELECT tablename, indexname, indexdef, '', '' FROM pg_indexes WHERE schemaname = 'stockroom_ledger'
UNION ALL
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', ''
FROM pg_constraint WHERE connamespace = 'stockroom_ledger'::regnamespace
ORDER BY 1, 2, 3
"""


def statements(schema: str) -> list[str]:
    plain = re.sub(r"--.*", "", schema)
    return [" ".join(each.split()) for each in plain.split(";") if each.strip()]


def forbidden(schema: str) -> list[str]:
    """Those of its statements that may not be in it."""
    before = set(re.findall(NEW_TABLE, FIRST))
    found = []
    for statement in statements(schema):
        if index := re.match(NEW_INDEX, statement):
            if index[1] in before and statement not in statements(FIRST):
                found.append(statement)
        elif not any(re.match(each, statement) for each in ALLOWED):
            found.append(statement)
    return found


def test_it_has_nothing_that_locks_or_takes_away() -> None:
    assert forbidden(tables.SCHEMA) == []


COLUMN = "ALTER TABLE stockroom_ledger.runs ADD COLUMN IF NOT EXISTS"


@pytest.mark.parametrize(
    ("statement", "fine"),
    [
        (f"{COLUMN} host text", True),
        (f"{COLUMN} share double precision NOT NULL DEFAULT 0", True),
        (f"{COLUMN} number bigint NOT NULL", False),
        (f"{COLUMN} at timestamptz NOT NULL DEFAULT clock_timestamp()", False),
        ("ALTER TABLE stockroom_ledger.runs ADD COLUMN host text", False),
        ("ALTER TABLE stockroom_ledger.runs DROP COLUMN failure", False),
        ("CREATE INDEX IF NOT EXISTS late ON stockroom_ledger.runs (lateness_seconds)", False),
        ("CREATE INDEX IF NOT EXISTS of_new ON stockroom_ledger.new (id)", True),
        ("UPDATE stockroom_ledger.runs SET providers = 0", False),
        ("DROP TABLE stockroom_ledger.inbox", False),
    ],
)
def test_what_may_be_added(statement: str, fine: bool) -> None:
    assert (forbidden(tables.SCHEMA + statement) == []) is fine


def test_the_first_installation_gets_to_the_same_tables(connect: Callable[[], Any]) -> None:
    connection = connect()

    def made(*schemas: str) -> list[tuple[Any, ...]]:
        with connection, connection.cursor() as cursor:
            cursor.execute("DROP SCHEMA IF EXISTS stockroom_ledger CASCADE")
            for schema in schemas:
                cursor.execute(schema)
            cursor.execute(ALL)
            return cursor.fetchall()

    fresh = made(tables.SCHEMA)
    assert len(fresh) > 40
    assert made(FIRST, tables.SCHEMA) == fresh

"""transactions.ledger.engine.tables: the specification's tables as others make them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import psycopg2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transactions.ledger.stage import make_tables
from transactions.ledger.engine import tables
from transactions.ledger.engine.tables import Numbers, Unready


def adopt(connection: Any) -> Numbers:
    with connection, connection.cursor() as cursor:
        return tables.adopt(cursor)


def run(connection: Any, *statements: str) -> None:
    with connection, connection.cursor() as cursor:
        for each in statements:
            cursor.execute(each)


def test_tables_may_be_made_before_or_after_ours(connect: Callable[[], Any]) -> None:
    connection = connect()
    tables.make_ours(connection)
    with pytest.raises(Unready, match=r"(initial_data|historical_transactions) is missing"):
        adopt(connection)
    make_tables(connection)
    tables.make_ours(connection)
    assert adopt(connection) == Numbers()


def test_ours_are_made_once_by_many_at_the_same_time(connect: Callable[[], Any]) -> None:
    connections = [connect() for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(tables.make_ours, connections))
    with connections[0].cursor() as cursor:
        cursor.execute("SELECT first, last FROM stockroom_ledger.unsummed")
        assert len(cursor.fetchall()) == 1


def test_what_is_kept_stays_when_ours_are_made_again(connection: Any) -> None:
    run(
        connection,
        "DELETE FROM stockroom_ledger.unsummed",
        "INSERT INTO stockroom_ledger.unsummed VALUES (5, 9)",
        "INSERT INTO stockroom_ledger.totals VALUES (1, 7, 1)",
    )
    tables.make_ours(connection)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM stockroom_ledger.unsummed")
        assert cursor.fetchall() == [(5, 9)]
        cursor.execute("SELECT total FROM stockroom_ledger.totals")
        assert cursor.fetchall() == [(7,)]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("DROP TABLE historical_transactions", "historical_transactions is missing"),
        ("ALTER TABLE initial_data DROP COLUMN initial_value", "no column initial_value"),
        ("ALTER TABLE initial_data RENAME provider_name TO name", "no column provider_name"),
        ("ALTER TABLE historical_transactions DROP COLUMN id", "no column id"),
        ("ALTER TABLE historical_transactions DROP COLUMN provider_id", "no column provider_id"),
        ("ALTER TABLE historical_transactions ALTER id DROP DEFAULT", "no default"),
        (
            "ALTER TABLE historical_transactions ALTER transaction_value TYPE text",
            "transaction_value is text",
        ),
        ("ALTER TABLE initial_data ALTER initial_value TYPE text", "initial_value"),
        (
            "ALTER TABLE historical_transactions DROP CONSTRAINT historical_transactions_pkey,"
            " ALTER id DROP DEFAULT, ALTER id TYPE uuid USING gen_random_uuid()",
            "historical_transactions.id is uuid",
        ),
        (
            "ALTER TABLE historical_transactions"
            " DROP CONSTRAINT historical_transactions_provider_id_fkey,"
            " ALTER provider_id TYPE text",
            "historical_transactions.provider_id is text",
        ),
    ],
)
def test_it_says_what_is_wrong_with_them(connection: Any, change: str, says: str) -> None:
    make_tables(connection)
    run(connection, change)
    with pytest.raises(Unready, match=says):
        adopt(connection)


def test_what_is_held_stays_as_it_is_and_takes_rows_of_others(
    connection: Any, connect: Callable[[], Any]
) -> None:
    make_tables(connection)
    others = connect()
    run(others, "SET lock_timeout = '100ms'")
    with connection, connection.cursor() as cursor:
        assert tables.adopt(cursor, hold=True) == Numbers()
        for change in (
            "ALTER TABLE historical_transactions ALTER transaction_value TYPE integer",
            "ALTER TABLE historical_transactions ALTER id DROP DEFAULT",
            "DROP TABLE historical_transactions",
            "ALTER TABLE initial_data RENAME id TO number",
        ):
            with pytest.raises(psycopg2.errors.LockNotAvailable):
                run(others, change)
        run(others, INSERT)
    run(others, "ALTER TABLE historical_transactions ALTER transaction_value TYPE integer")


@pytest.mark.parametrize("table", ["historical_transactions", "initial_data"])
def test_what_is_not_there_can_not_be_held(connection: Any, table: str) -> None:
    make_tables(connection)
    run(connection, f"DROP TABLE {table} CASCADE")
    with (
        pytest.raises(tables.Missing, match="is missing: the producer"),
        connection,
        connection.cursor() as cursor,
    ):
        tables.adopt(cursor, hold=True)


@pytest.mark.parametrize(
    "id_",
    ["serial", "bigserial", "integer GENERATED ALWAYS AS IDENTITY", "bigint DEFAULT 7"],
)
def test_ids_may_come_from_anywhere(connection: Any, id_: str) -> None:
    make_tables(connection)
    run(
        connection,
        "DROP TABLE historical_transactions",
        f"CREATE TABLE historical_transactions (id {id_} PRIMARY KEY, provider_id bigint,"
        " transaction_value numeric, note text)",
    )
    assert adopt(connection) == Numbers()


TYPES = [
    "smallint",
    "integer",
    "bigint",
    "numeric",
    "numeric(12,2)",
    "numeric(40,0)",
    "numeric(60,30)",
    "numeric(5,5)",
    "numeric(2,4)",
    "numeric(5,-2)",
    "real",
    "double precision",
]
VALUES = [
    *("0", "-0", "1", "-1", "600", "1e3", "1E+3", "0.1", "0.10", "-0.01", "0.001", "1.50"),
    *("32767", "32768", "-32768", "-32769", "2147483647", "2147483648", "-2147483649"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775809", "16777217"),
    *("99999", "123", "12300", "9999900", "10000000", "0.00099", "0.0099", "0.01", "0.99999"),
    *("9999999999", "9999999999.99", "9999999999.994", "10000000000", "1e99", "1e-99"),
    *("3.40282e38", "3.40283e38", "1.17549e-38", "1e-44", "1e-46", "1234560", "123456.5"),
    *("999999999999999", "999999999999999.5", "0.123456789012345", "-1e38", "1e38"),
    *("9" * 40, "9" * 41, "9" * 100 + "." + "9" * 100, "9" * 30 + "." + "9" * 30, "9" * 30 + ".5"),
]


@pytest.mark.parametrize("kind", TYPES)
def test_a_value_is_taken_where_the_column_keeps_it_exactly(connection: Any, kind: str) -> None:
    make_tables(connection, sample=False)
    run(
        connection,
        "ALTER TABLE historical_transactions ALTER transaction_value TYPE " + kind,
        "INSERT INTO initial_data VALUES (1, 'Visa', 0)",
    )
    numbers = adopt(connection)
    wrong = []
    for value in map(Decimal, VALUES):
        problem = numbers.problem(value)
        if bool(problem) == keeps(connection, value):
            wrong.append((str(value), problem))
    assert wrong == []


def keeps(connection: Any, value: Decimal) -> bool:
    """Whether Postgres adds up what was put in."""
    cursor = connection.cursor()
    try:
        cursor.execute(
            "INSERT INTO historical_transactions (provider_id, transaction_value)"
            " VALUES (1, %s) RETURNING transaction_value::numeric",
            [value],
        )
        return bool(Decimal(cursor.fetchone()[0]) == value)
    except connection.DataError:
        return False
    finally:
        connection.rollback()


@given(
    st.decimals(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        [
            Numbers(),
            Numbers(bits=32),
            Numbers(precision=12, scale=2),
            Numbers(precision=60, scale=9),
            Numbers(precision=2, scale=4),
            Numbers(precision=5, scale=-2),
            Numbers(floating=6),
            Numbers(floating=15),
        ]
    ),
)
def test_no_value_breaks_it(value: Decimal, numbers: Numbers) -> None:
    assert isinstance(numbers.problem(value), str)


# Rows with ids of their own, which leave the sequence behind


INSERT = "INSERT INTO historical_transactions (provider_id, transaction_value) VALUES (1, 5)"


def by_hand(connection: Any, id_: str, *ids: int) -> None:
    """The specification's tables, filled by somebody who gives the ids."""
    make_tables(connection)
    run(
        connection,
        "DROP TABLE historical_transactions",
        f"CREATE TABLE historical_transactions (id {id_} PRIMARY KEY, provider_id bigint,"
        " transaction_value numeric)",
    )
    for each in ids:
        run(
            connection,
            f"INSERT INTO historical_transactions OVERRIDING SYSTEM VALUE VALUES ({each}, 1, 100)",
        )


def moved_on(connection: Any) -> bool:
    with connection, connection.cursor() as cursor:
        return tables.move_sequence_on(cursor)


IDENTITIES = [
    "serial",
    "bigserial",
    "integer GENERATED ALWAYS AS IDENTITY",
    "bigint GENERATED BY DEFAULT AS IDENTITY",
]


@pytest.mark.parametrize("id_", IDENTITIES)
def test_a_sequence_behind_the_ids_is_moved_on(connection: Any, id_: str) -> None:
    by_hand(connection, id_, 1, 2, 3, 10_000)
    with pytest.raises(connection.IntegrityError):
        run(connection, INSERT)
    assert moved_on(connection)
    run(connection, INSERT, INSERT)
    assert not moved_on(connection)
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM historical_transactions ORDER BY id DESC LIMIT 2")
        assert cursor.fetchall() == [(10_002,), (10_001,)]


@pytest.mark.parametrize("id_", IDENTITIES)
def test_a_sequence_that_was_never_asked(connection: Any, id_: str) -> None:
    by_hand(connection, id_, 1)
    assert moved_on(connection)
    run(connection, INSERT)


def test_a_sequence_is_never_set_back(connection: Any) -> None:
    by_hand(connection, "bigserial")
    assert not moved_on(connection)
    run(connection, INSERT, INSERT, "DELETE FROM historical_transactions WHERE id = 2")
    assert not moved_on(connection)
    run(connection, INSERT)


@pytest.mark.parametrize(
    ("id_", "highest"),
    [("serial", 2**31 - 1), ("bigserial", 2**63 - 1), ("bigint DEFAULT 7", 7)],
)
def test_a_sequence_that_is_not_there_or_has_no_id_left(
    connection: Any, id_: str, highest: int
) -> None:
    by_hand(connection, id_, 1, highest)
    assert not moved_on(connection)


def test_a_sequence_that_this_user_may_not_set(connection: Any) -> None:
    by_hand(connection, "bigserial", 1, 2, 3)
    run(connection, "GRANT SELECT ON historical_transactions TO pg_monitor")
    with connection, connection.cursor() as cursor:
        cursor.execute("SET LOCAL ROLE pg_monitor")
        assert not tables.move_sequence_on(cursor)
    assert moved_on(connection)

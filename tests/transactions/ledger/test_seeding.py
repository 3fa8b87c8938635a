"""`manage.py seed_ledger`: the specification's tables and sample rows, where they are missing."""

from collections.abc import Callable
from typing import Any

import psycopg2
import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from tests.transactions.ledger import oracle
from tests.transactions.ledger.stage import make_tables
from transactions.ledger import seeding
from transactions.ledger.engine import tables


def rows(connection: Any, table: str) -> list[tuple[Any, ...]]:
    with connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table} ORDER BY id")
        return list(cursor.fetchall())


def run(connection: Any, *statements: str) -> None:
    with connection, connection.cursor() as cursor:
        for each in statements:
            cursor.execute(each)


def test_an_empty_database_gets_what_the_specification_shows(connect: Callable[[], Any]) -> None:
    connection = connect()
    seeded = seeding.seed(connection)
    assert seeded.tables == ["initial_data", "historical_transactions"]
    assert seeded.lines()[2:] == [
        "Added the sample's providers: 1_Visa, 2_Mastercard.",
        "Added the sample's 3 transactions.",
    ]
    assert rows(connection, "initial_data") == oracle.SAMPLE_PROVIDERS
    assert rows(connection, "historical_transactions") == oracle.SAMPLE_TRANSACTIONS
    with connection, connection.cursor() as cursor:
        assert tables.adopt(cursor) == tables.Numbers()
        assert oracle.balances_of(cursor) == {"1_Visa": "1300", "2_Mastercard": "1800"}


def test_a_second_time_nothing_is_added(connect: Callable[[], Any]) -> None:
    connection = connect()
    seeding.seed(connection)
    assert seeding.seed(connection).lines() == ["All of it is there: nothing was added."]
    assert len(rows(connection, "historical_transactions")) == 3


def test_empty_tables_of_the_producer_get_the_rows(connect: Callable[[], Any]) -> None:
    connection = connect()
    make_tables(connection, sample=False)
    seeded = seeding.seed(connection)
    assert (seeded.tables, seeded.transactions) == ([], 3)
    assert rows(connection, "historical_transactions") == oracle.SAMPLE_TRANSACTIONS


def test_rows_of_others_stay_and_none_comes_beside_them(connect: Callable[[], Any]) -> None:
    connection = connect()
    make_tables(connection, sample=False)
    run(connection, "INSERT INTO initial_data (provider_name) VALUES ('Amex')")
    seeded = seeding.seed(connection, providers=3)
    assert (seeded.providers, seeded.transactions, seeded.more_providers) == ({}, 0, 2)
    names = [name for _, name, _ in rows(connection, "initial_data")]
    assert names == ["Amex", "Provider 2", "Provider 3"]
    assert rows(connection, "historical_transactions") == []


def test_transactions_follow_the_ids_that_the_providers_got(connect: Callable[[], Any]) -> None:
    connection = connect()
    seeding.seed(connection)
    run(connection, "DELETE FROM historical_transactions", "DELETE FROM initial_data")
    seeded = seeding.seed(connection)
    assert seeded.providers == {3: "Visa", 4: "Mastercard"}
    assert [row[1:] for row in rows(connection, "historical_transactions")] == [
        (3, 100),
        (3, 200),
        (4, -200),
    ]


def test_more_providers_are_added_up_to_their_number(connect: Callable[[], Any]) -> None:
    connection = connect()
    assert seeding.seed(connection, providers=1000).more_providers == 998
    assert seeding.seed(connection, providers=1000).more_providers == 0
    assert seeding.seed(connection, providers=1001).more_providers == 1
    assert len(rows(connection, "initial_data")) == 1001


def test_another_that_has_not_committed_is_waited_for(connect: Callable[[], Any]) -> None:
    connection, other = connect(), connect()
    make_tables(connection, sample=False)
    with other.cursor() as cursor:
        cursor.execute("INSERT INTO initial_data (provider_name) VALUES ('Visa')")
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = 100")
    connection.commit()
    with pytest.raises(psycopg2.errors.LockNotAvailable):
        seeding.seed(connection)
    other.commit()
    assert seeding.seed(connection).providers == {}


def test_the_command_says_what_it_did(
    database_url: str, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.LEDGER_DATABASE_URL = database_url
    call_command("seed_ledger", "--providers", "5")
    assert capsys.readouterr().out.splitlines() == [
        "Made table initial_data.",
        "Made table historical_transactions.",
        "Added the sample's providers: 1_Visa, 2_Mastercard.",
        "Added the sample's 3 transactions.",
        "Added 3 further providers.",
    ]


@pytest.mark.parametrize("number", ["0", "-1", "x", "1.5", "\u0661"])
def test_the_command_wants_a_number(number: str) -> None:
    with pytest.raises(CommandError, match="no whole number"):
        call_command("seed_ledger", f"--providers={number}")


def test_the_command_says_where_the_database_is_away(settings: Settings) -> None:
    settings.LEDGER_DATABASE_URL = "postgresql://nobody@127.0.0.1:1/none"
    with pytest.raises(CommandError, match=r"PostgreSQL: .*refused"):
        call_command("seed_ledger")

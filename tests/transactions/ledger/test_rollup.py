"""ledger.engine.rollup: the balances of a minute, from a real PostgreSQL to a real Valkey."""

import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.transactions.ledger.rolling import INSERT, Ledger
from tests.transactions.ledger.stage import make_tables
from transactions.ledger.engine import rollup, summing
from transactions.ledger.engine.rollup import Rollup


@pytest.fixture
def ledger(connection: Any, connect: Callable[[], Any], keydb_url: str) -> Iterator[Ledger]:
    """On the specification's tables, and an empty KeyDB."""
    make_tables(connection)
    made = Ledger(connect, keydb_url)
    yield made
    made.close()


def test_the_example_of_the_specification(ledger: Ledger) -> None:
    run = ledger.write()
    assert (run.failure, run.new_rows, run.providers) == ("", 3, 2)
    assert ledger.shown() == {"1_Visa": "1300", "2_Mastercard": "1800"}
    ledger.sql(INSERT, 1, 600)
    run = ledger.write()
    assert (run.failure, run.new_rows, run.providers) == ("", 1, 2)
    assert ledger.shown() == {"1_Visa": "1900", "2_Mastercard": "1800"}
    assert ledger.kept() == {"1_Visa": 1900, "2_Mastercard": 1800}


def test_what_is_kept_of_a_minute(ledger: Ledger) -> None:
    run = ledger.write(0.25)
    assert run.lateness_seconds == pytest.approx(0.25)
    assert ledger.sql(
        "SELECT extract(epoch FROM minute), extract(epoch FROM written_at), lateness_seconds,"
        " new_rows, providers, failure FROM stockroom_ledger.runs"
    ) == [(ledger.minute, Decimal("1763812860.25"), pytest.approx(0.25), 3, 2, "")]


@pytest.mark.parametrize(
    ("kind", "initial", "values", "shown"),
    [
        ("numeric", "0.1", ["0.2"], "0.3"),
        ("numeric", None, [], "0"),
        ("numeric", "10", ["-10.00"], "0"),
        ("numeric", "100", ["0.50", "0.50"], "101"),
        ("numeric", "0", ["1e3", "1e-9"], "1000.000000001"),
        ("numeric", "1" + 40 * "0", ["0.01"], "1" + 40 * "0" + ".01"),
        ("numeric(12,2)", "1000.00", ["-0.10", "600"], "1599.9"),
        ("integer", "1000", ["300"], "1300"),
        ("bigint", "9223372036854775807", ["9223372036854775807"], "18446744073709551614"),
        ("double precision", "1000", ["300"], "1300"),
        ("double precision", "0.1", ["0.5"], "0.6"),
        ("real", "0.25", ["0.5"], "0.75"),
    ],
)
def test_amounts_of_any_column(
    connection: Any,
    connect: Callable[[], Any],
    keydb_url: str,
    kind: str,
    initial: Any,
    values: list[str],
    shown: str,
) -> None:
    make_tables(connection, kind, sample=False)
    ledger = Ledger(connect, keydb_url)
    ledger.sql("INSERT INTO initial_data VALUES (1, 'Visa', %s)", initial)
    for each in values:
        ledger.sql(INSERT, 1, Decimal(each))
    assert ledger.write().failure == ""
    assert ledger.shown() == {"1_Visa": shown}
    ledger.close()


NAMES = [
    "Amex Gold",
    "Crédit Agricole",
    "Сбербанк",
    "銀行",
    "a_b:c",
    " x ",
    "",
    "'",
    "\N{BANK}",
    "a\nb",
]


def test_names_with_blanks_and_of_any_script(ledger: Ledger) -> None:
    for name in NAMES:
        ledger.sql("INSERT INTO initial_data (provider_name, initial_value) VALUES (%s, 1)", name)
    ledger.write()
    assert ledger.shown() == ledger.right()
    assert set(ledger.shown()) >= {f"{number}_{name}" for number, name in enumerate(NAMES, 3)}


def test_providers_that_come_go_and_change_their_name(ledger: Ledger) -> None:
    ledger.keydb.set("somebody's", "1")
    ledger.write()
    ledger.sql("INSERT INTO initial_data VALUES (3, 'Amex', 5.5)")
    ledger.sql(INSERT, 3, 1)
    ledger.write()
    assert ledger.shown()["3_Amex"] == "6.5"
    ledger.sql("UPDATE initial_data SET provider_name = 'American Express' WHERE id = 3")
    ledger.sql("UPDATE initial_data SET initial_value = 0 WHERE id = 2")
    ledger.write()
    assert ledger.shown() == {**ledger.right(), "somebody's": "1"}
    assert ledger.shown()["2_Mastercard"] == "-200"
    ledger.sql("DELETE FROM historical_transactions WHERE provider_id = 3")
    ledger.sql("DELETE FROM initial_data WHERE id = 3")
    ledger.write()
    assert ledger.shown() == {"1_Visa": "1300", "2_Mastercard": "-200", "somebody's": "1"}
    ledger.sql("TRUNCATE historical_transactions, initial_data")
    ledger.write()
    ledger.write()
    assert ledger.shown() == {"somebody's": "1"}


def test_no_providers(connection: Any, connect: Callable[[], Any], keydb_url: str) -> None:
    make_tables(connection, sample=False)
    ledger = Ledger(connect, keydb_url)
    run = ledger.write()
    assert (run.failure, run.providers) == ("", 0)
    assert ledger.shown() == {}
    ledger.close()


def test_rows_of_before_between_and_out_of_order(ledger: Ledger) -> None:
    ledger.write()
    ledger.sql("INSERT INTO historical_transactions VALUES (100, 1, 5), (-7, 2, 7), (2000, 2, 9)")
    ledger.write()
    assert ledger.shown() == ledger.right()
    ledger.sql("INSERT INTO historical_transactions VALUES (50, 1, 5), (0, 2, 7), (99, 2, 9)")
    ledger.write()
    assert ledger.shown() == ledger.right()


def test_rows_below_thousands_of_gaps(ledger: Ledger) -> None:
    """Each id that was rolled back leaves one."""
    ledger.sql(
        "INSERT INTO historical_transactions SELECT 10 + 2 * n, 1, 1 FROM generate_series(1, %s) n",
        3 * rollup.RANGES,
    )
    ledger.write()
    ledger.rollup.catch_up(ledger.clock.now + 1)
    ledger.sql("INSERT INTO historical_transactions VALUES (13, 2, 5), (-8, 2, 7)")
    for _ in range(5):  # seconds between two minutes
        ledger.rollup.catch_up(ledger.clock.now + 1)
    ledger.write()
    assert ledger.shown() == ledger.right()


def test_a_row_that_is_committed_late_is_in_the_next_balance(
    ledger: Ledger, connect: Callable[[], Any]
) -> None:
    late = connect()
    late.cursor().execute(INSERT, [1, 1000])
    ledger.sql(INSERT, 2, 1)
    ledger.write()
    assert ledger.shown() == {"1_Visa": "1300", "2_Mastercard": "1801"}
    late.commit()
    ledger.write()
    assert ledger.shown() == {"1_Visa": "2300", "2_Mastercard": "1801"}


def test_more_rows_than_a_chunk(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {**(summing.add_up.__kwdefaults__ or {}), "rows": 2}
    monkeypatch.setattr(summing.add_up, "__kwdefaults__", options)
    for number in range(7):
        ledger.sql(INSERT, 1 + number % 2, number)
    run = ledger.write()
    assert run.new_rows == 10
    assert ledger.shown() == ledger.right()


def test_a_row_in_any_of_many_gaps_is_in_the_next_balance(ledger: Ledger) -> None:
    """Also where nothing has looked there since it came, right before the minute."""
    ledger.sql(
        "INSERT INTO historical_transactions SELECT 10 + 2 * n, 1, 1 FROM generate_series(1, %s) n",
        rollup.RANGES + 2 * rollup.LOWER_RANGES + 100,
    )
    ledger.rollup.catch_up(ledger.clock.now + 1)
    ledger.sql("INSERT INTO historical_transactions VALUES (13, 2, 5), (-8, 2, 7), (8013, 1, 9)")
    assert ledger.write().new_rows == 3
    assert ledger.shown() == ledger.right()


def test_what_was_seen_before_the_minute_does_not_count(ledger: Ledger) -> None:
    """A snapshot that was taken by mistake: its transaction was left open."""
    ledger.write()
    ledger.connection.cursor().execute("SELECT count(*) FROM historical_transactions")
    ledger.sql(INSERT, 1, 600)
    ledger.write()
    assert ledger.shown() == {"1_Visa": "1900", "2_Mastercard": "1800"}


def test_a_row_that_is_rolled_back(ledger: Ledger, connect: Callable[[], Any]) -> None:
    gone = connect()
    gone.cursor().execute(INSERT, [1, 1000])
    ledger.sql(INSERT, 2, 1)
    ledger.write()
    gone.rollback()
    ledger.sql("INSERT INTO historical_transactions VALUES (4, 1, 7)")  # its id
    ledger.write()
    assert ledger.shown() == {"1_Visa": "1307", "2_Mastercard": "1801"}


def test_two_rollups_one_after_the_other(ledger: Ledger, connect: Callable[[], Any]) -> None:
    """As when another instance takes over."""
    second = Rollup(connect(), ledger._client, ledger.clock)
    ledger.write()
    ledger.sql(INSERT, 1, 600)
    ledger.clock.now = ledger.minute + 60.01
    assert second.write(ledger.minute + 60).new_rows == 1
    ledger.sql(INSERT, 2, 1)
    ledger.minute += 60
    assert ledger.write().new_rows == 1
    assert ledger.shown() == {"1_Visa": "1900", "2_Mastercard": "1801"}


def test_a_minute_that_comes_again(ledger: Ledger) -> None:
    """The clock was set back: what is kept of it is what KeyDB shows."""
    ledger.write()
    ledger.sql(INSERT, 1, 600)
    ledger.minute -= 60
    ledger.write(0.5)
    assert ledger.shown() == {"1_Visa": "1900", "2_Mastercard": "1800"}
    assert ledger.kept() == {"1_Visa": 1900, "2_Mastercard": 1800}
    assert ledger.sql("SELECT lateness_seconds, new_rows, failure FROM stockroom_ledger.runs") == [
        (pytest.approx(0.5), 1, "")
    ]


def test_a_table_that_is_dropped_and_made_anew(ledger: Ledger) -> None:
    ledger.write()
    ledger.sql("DROP TABLE historical_transactions, initial_data")
    make_tables(ledger.others)
    ledger.sql(INSERT, 1, 600)
    ledger.write()
    assert ledger.shown() == {"1_Visa": "1900", "2_Mastercard": "1800"}


# What the specification rules out


@pytest.mark.parametrize("kind", ["numeric", "double precision"])
@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_a_transaction_that_is_no_number(
    connection: Any, connect: Callable[[], Any], keydb_url: str, kind: str, value: str
) -> None:
    """All other balances are written; that one is told, and is nowhere."""
    make_tables(connection, kind)
    ledger = Ledger(connect, keydb_url)
    ledger.write()
    ledger.sql(INSERT, 1, value)
    ledger.sql(INSERT, 2, 600)
    for _ in range(2):
        run = ledger.write()
        assert (run.failure, run.providers, run.unwritten) == ("", 1, ("1_Visa",))
        assert ledger.shown() == {"2_Mastercard": "2400"}
        assert ledger.kept() == {"2_Mastercard": 2400}
    ledger.close()


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_an_initial_value_that_is_no_number(ledger: Ledger, value: str) -> None:
    ledger.sql("UPDATE initial_data SET initial_value = %s WHERE id = 1", value)
    run = ledger.write()
    assert (run.failure, run.unwritten) == ("", ("1_Visa",))
    assert ledger.shown() == {"2_Mastercard": "1800"}
    ledger.sql("UPDATE initial_data SET initial_value = 0 WHERE id = 1")
    assert ledger.write().unwritten == ()
    assert ledger.shown() == {"1_Visa": "300", "2_Mastercard": "1800"}


def test_nothing_where_a_number_or_a_name_should_be(ledger: Ledger) -> None:
    ledger.sql("ALTER TABLE initial_data ALTER provider_name DROP NOT NULL")
    ledger.sql("INSERT INTO initial_data VALUES (3, NULL, NULL), (4, NULL, 7)")
    ledger.sql(INSERT, 3, None)
    ledger.sql(INSERT, 4, 1)
    ledger.sql(INSERT, None, 5)
    assert ledger.write().failure == ""
    assert ledger.shown() == {"1_Visa": "1300", "2_Mastercard": "1800", "3_": "0", "4_": "8"}


def test_names_of_other_columns(ledger: Ledger) -> None:
    """character(20) fills up with blanks, which are no part of it."""
    ledger.sql("ALTER TABLE initial_data ALTER provider_name TYPE character(20)")
    ledger.write()
    assert ledger.shown() == {"1_Visa": "1300", "2_Mastercard": "1800"}


def test_a_name_longer_than_an_index_holds(ledger: Ledger) -> None:
    name = random.Random(1).randbytes(10_000).hex()
    ledger.sql("UPDATE initial_data SET provider_name = %s WHERE id = 1", name)
    assert ledger.write().failure == ""
    assert ledger.shown() == {f"1_{name}": "1300", "2_Mastercard": "1800"}
    ledger.sql("UPDATE initial_data SET provider_name = 'Visa' WHERE id = 1")
    assert ledger.write().failure == ""
    assert ledger.shown() == {"1_Visa": "1300", "2_Mastercard": "1800"}

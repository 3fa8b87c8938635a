"""ledger.engine.summing: sums of all rows, whoever inserts them, whenever they commit."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine

from tests.transactions.ledger import oracle
from tests.transactions.ledger.stage import make_tables
from transactions.ledger.engine import summing, tables
from transactions.ledger.engine.summing import Added

MOST = 2**63 - 1


def add_up(
    connection: Any,
    *,
    ranges: int = 1000,
    rows: int = summing.CHUNK_ROWS,
    below: int | None = None,
) -> Added:
    """One step in a transaction as the ledger's."""
    with connection, connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        return summing.add_up(cursor, ranges=ranges, rows=rows, below=below)


def all_added_up(connection: Any, *, ranges: int = 1000, rows: int = summing.CHUNK_ROWS) -> int:
    """Until nothing is left; how many rows."""
    count = 0
    while True:
        added = add_up(connection, ranges=ranges, rows=rows)
        count += added.rows
        if added.complete:
            return count


def totals(connection: Any) -> dict[int, tuple[Any, int]]:
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT provider_id, total, transactions FROM stockroom_ledger.totals")
        return {provider: (total, count) for provider, total, count in cursor.fetchall()}


def assert_right(connection: Any) -> None:
    with connection, connection.cursor() as cursor:
        wanted = oracle.sums_of(cursor)
    assert totals(connection) == wanted


def insert(connection: Any, *rows: tuple[Any, ...]) -> None:
    with connection, connection.cursor() as cursor:
        put(cursor, *rows)


def put(cursor: Any, *rows: tuple[Any, ...]) -> None:
    """(id, provider, value), without an id the next one."""
    for id_, provider, value in rows:
        cursor.execute(
            "INSERT INTO historical_transactions (id, provider_id, transaction_value) VALUES"
            " (coalesce(%s, nextval('historical_transactions_id_seq')), %s, %s)",
            [id_, provider, value],
        )


@pytest.fixture
def summed(connection: Any) -> Any:
    """With the specification's rows, ids that may be huge, and nothing added up yet."""
    make_tables(connection)
    with connection, connection.cursor() as cursor:
        cursor.execute("ALTER TABLE historical_transactions ALTER id TYPE bigint")
    summing.prepare(connection)
    connection.commit()
    return connection


def test_the_specifications_rows(summed: Any) -> None:
    assert add_up(summed)[:2] == (3, True)
    assert totals(summed) == {1: (300, 2), 2: (-200, 1)}
    assert add_up(summed)[:2] == (0, True)


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 1000])
def test_chunks_of_any_size_add_up_to_the_same(summed: Any, rows: int) -> None:
    insert(summed, *((id_, 1 + id_ % 2, id_) for id_ in (4, 7, -3, 100, 0, 5, 2**40)))
    assert all_added_up(summed, rows=rows) == 10
    assert_right(summed)
    insert(summed, *((id_, 1 + id_ % 2, id_) for id_ in (6, -4, 101, 2**40 - 1, 99)))
    assert all_added_up(summed, rows=rows) == 5
    assert_right(summed)


def test_a_row_that_commits_after_newer_ones(summed: Any, connect: Callable[[], Any]) -> None:
    late = connect()
    put(late.cursor(), (None, 1, 1000))
    insert(summed, (None, 2, 5))
    assert all_added_up(summed) == 4
    late.commit()
    assert all_added_up(summed) == 1
    assert_right(summed)


def test_ids_that_were_rolled_back_and_are_taken_later(
    summed: Any, connect: Callable[[], Any]
) -> None:
    gone = connect()
    put(gone.cursor(), (4, 1, 1000), (5, 1, 1000))
    insert(summed, (6, 2, 5))
    assert all_added_up(summed) == 4
    gone.rollback()
    assert add_up(summed)[:2] == (0, True)
    insert(summed, (5, 1, 1))
    assert all_added_up(summed) == 1
    assert_right(summed)


@pytest.mark.parametrize("id_", [0, -1, -(2**31), 2**31, MOST - 1, MOST, -MOST, -MOST - 1])
def test_ids_at_the_edges(summed: Any, id_: int) -> None:
    assert all_added_up(summed) == 3
    insert(summed, (id_, 1, 7))
    assert all_added_up(summed) == 1
    assert all_added_up(summed) == 0
    insert(summed, (None, 1, 1))
    assert all_added_up(summed) == 1
    assert_right(summed)


@pytest.mark.parametrize("rows", [1, 2, 3, 1000])
def test_both_edges_and_all_beside_them(summed: Any, rows: int) -> None:
    edges = (-MOST - 1, -MOST, MOST - 1, MOST)
    insert(summed, (MOST, 1, 1), (-MOST - 1, 1, 1))
    assert all_added_up(summed, rows=rows) == 5
    insert(summed, (MOST - 1, 1, 1), (-MOST, 1, 1))
    assert all_added_up(summed, rows=rows) == 2
    assert_right(summed)
    with summed, summed.cursor() as cursor:
        cursor.execute("SELECT min(first), max(last) FROM stockroom_ledger.unsummed")
        assert cursor.fetchone() == (edges[1] + 1, edges[2] - 1)


def test_rows_in_gaps_below_very_many_others(summed: Any) -> None:
    """A row below the first one, and in the lowest gap, while thousands of gaps are above them."""
    insert(summed, *((id_, 1, 1) for id_ in range(10, 120, 2)))
    all_added_up(summed, ranges=20)
    assert_right(summed)
    insert(summed, (11, 2, 5), (-8, 2, 7))
    below = None
    for _ in range(10):  # those have their turn
        below = add_up(summed, ranges=20, below=below).lowest
    assert_right(summed)


def test_a_transaction_that_is_not_committed_leaves_nothing(summed: Any) -> None:
    with summed.cursor() as cursor:
        assert summing.add_up(cursor, ranges=10).rows == 3
    summed.rollback()
    assert totals(summed) == {}
    assert all_added_up(summed) == 3
    assert_right(summed)


def test_two_at_the_same_time_do_not_add_a_row_twice(
    summed: Any, connect: Callable[[], Any]
) -> None:
    other = connect()
    summing.prepare(other)
    other.commit()
    for connection in (summed, other):
        connection.set_session(isolation_level="REPEATABLE READ")
        connection.cursor().execute("SET LOCAL lock_timeout = '1s'")
        connection.cursor().execute("SELECT count(*) FROM historical_transactions")
    assert summing.add_up(summed.cursor(), ranges=10).rows == 3
    summed.commit()
    with pytest.raises(psycopg2.OperationalError):  # could not serialize access
        summing.add_up(other.cursor(), ranges=10)
    other.rollback()
    assert totals(summed) == {1: (300, 2), 2: (-200, 1)}


def test_values_without_end_and_without_a_value(summed: Any) -> None:
    insert(
        summed,
        (None, 1, "9" * 100 + "." + "9" * 100),
        (None, 1, "-0." + "0" * 99 + "1"),
        (None, 2, None),
        (None, None, 5),
    )
    assert all_added_up(summed) == 7
    with summed, summed.cursor() as cursor:
        wanted = oracle.sums_of(cursor)
    found = totals(summed)
    assert found[1] == wanted[1]
    assert found[2][0] == wanted[2][0]


IDS = st.none() | st.integers(-20, 60) | st.integers(-MOST - 1, MOST)
ROWS = st.lists(
    st.tuples(IDS, st.integers(1, 3), st.integers(-(10**6), 10**6)), min_size=1, max_size=5
)


class Histories(RuleBasedStateMachine):
    """Some sessions insert, commit and roll back in any order; SUM is always right."""

    url: str
    sessions = st.integers(0, 2)

    def __init__(self) -> None:
        super().__init__()
        self.summing = psycopg2.connect(self.url)
        with self.summing, self.summing.cursor() as cursor:
            cursor.execute(
                "TRUNCATE historical_transactions, stockroom_ledger.totals,"
                " stockroom_ledger.unsummed RESTART IDENTITY"
            )
        tables.make_ours(self.summing)
        summing.prepare(self.summing)
        self.summing.commit()
        self.open: dict[int, Any] = {}

    @rule(number=sessions, rows=ROWS)
    def insert(self, number: int, rows: list[tuple[Any, ...]]) -> None:
        session = self.open.get(number)
        if session is None:
            session = self.open[number] = psycopg2.connect(self.url)
        with session.cursor() as cursor:
            cursor.execute("SET lock_timeout = '20ms'")
            for row in rows:
                cursor.execute("SAVEPOINT row")
                try:
                    put(cursor, row)
                except (psycopg2.IntegrityError, psycopg2.errors.LockNotAvailable):
                    cursor.execute("ROLLBACK TO SAVEPOINT row")

    @precondition(lambda self: self.open)
    @rule(data=st.data(), commits=st.booleans())
    def end(self, data: st.DataObject, commits: bool) -> None:
        session = self.open.pop(data.draw(st.sampled_from(sorted(self.open))))
        if commits:
            session.commit()
        session.close()

    @rule(ranges=st.integers(1, 4), rows=st.integers(1, 3))
    def add_some(self, ranges: int, rows: int) -> None:
        add_up(self.summing, ranges=ranges, rows=rows)

    @rule(rows=st.sampled_from([1, 2, 7, 1000]))
    def add_all(self, rows: int) -> None:
        all_added_up(self.summing, rows=rows)
        assert_right(self.summing)

    @invariant()
    def no_id_is_lost(self) -> None:
        """Each committed row is either added up or in exactly one range."""
        with self.summing, self.summing.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) - (SELECT coalesce(sum(transactions), 0)"
                " FROM stockroom_ledger.totals), count(*) FILTER (WHERE EXISTS (SELECT FROM"
                " stockroom_ledger.unsummed u WHERE h.id BETWEEN u.first AND u.last))"
                " FROM historical_transactions h"
            )
            left, within = cursor.fetchone()
            assert left == within
            cursor.execute(
                "SELECT count(*) FROM stockroom_ledger.unsummed a JOIN stockroom_ledger.unsummed b"
                " ON a.first < b.first AND a.last >= b.first"
            )
            assert cursor.fetchone() == (0,)

    def teardown(self) -> None:
        for session in self.open.values():
            session.close()
        self.summing.close()


@contextmanager
def histories(url: str) -> Iterator[type[Histories]]:
    yield type("HistoriesHere", (Histories,), {"url": url})


def test_any_history(summed: Any, database_url: str) -> None:
    insert_provider = "INSERT INTO initial_data (id, provider_name) VALUES (3, 'Amex')"
    with summed, summed.cursor() as cursor:
        cursor.execute(insert_provider)
    with histories(database_url) as machine:
        run_machine(
            machine,
            settings=settings(
                max_examples=25,
                stateful_step_count=25,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )

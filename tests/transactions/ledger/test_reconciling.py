"""`manage.py reconcile_ledger`: everything that can drift, found and repaired, on real engines."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import psycopg2
import pytest
import redis
from django.core.management import CommandError, call_command
from pytest_django import Settings

from tests.services.waiting import until
from tests.transactions.ledger import oracle
from tests.transactions.ledger.stage import LedgerStage, body, make_tables
from transactions.ledger import reconciliation, reconciling, repairing, tasks
from transactions.ledger.drift import KeyDrift, Report, TotalDrift
from transactions.ledger.engine import leadership, summing, tables
from transactions.ledger.engine.rollup import Rollup

MINUTE = 1_800_000_000 - 1_800_000_000 % 60


class Ledger(NamedTuple):
    """A database with the specification's rows, all added up, and KeyDB as of MINUTE."""

    connection: Any
    keydb: redis.Redis
    url: str

    def run(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.connection, self.connection.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall()) if cursor.description else []

    def add_up(self) -> None:
        while True:
            with self.connection, self.connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                if summing.add_up(cursor, ranges=1000).complete:
                    return

    def write(self, minute: int = MINUTE) -> None:
        """Balances to KeyDB, as the consumer does."""
        connection = psycopg2.connect(self.url)
        try:
            run = Rollup(connection, self.keydb, clock=lambda: minute + 0.01).write(minute)
            assert run.failure == ""
        finally:
            connection.close()

    def look(self) -> Report:
        connection = psycopg2.connect(self.url)
        try:
            return reconciling.reconcile(connection, self.keydb, wait=lambda seconds: None)
        finally:
            connection.close()

    def repair(self) -> Report:
        """Look and repair, in the middle of a minute."""
        connection = psycopg2.connect(self.url)
        try:
            report = reconciling.reconcile(connection, self.keydb, wait=lambda seconds: None)
            repairing.repair(connection, clock=lambda: MINUTE + 10.0)
            return report
        finally:
            connection.close()

    def assert_right(self) -> None:
        """Sums and ranges are as they would be had all been added up in the usual way."""
        report = self.look()
        assert not report.sums_drift, report
        self.add_up()
        with self.connection, self.connection.cursor() as cursor:
            wanted = oracle.sums_of(cursor)
        wanted.pop(None, None)  # type: ignore[call-overload]  # rows of no provider
        kept = self.run("SELECT provider_id, total, transactions FROM stockroom_ledger.totals")
        assert {id_: (total, count) for id_, total, count in kept} == wanted
        free = self.run(
            "SELECT count(*) FROM stockroom_ledger.unsummed u JOIN historical_transactions h"
            " ON h.id BETWEEN u.first AND u.last"
        )
        assert free == [(0,)]


@pytest.fixture
def ledger(connection: Any, database_url: str, keydb_url: str) -> Iterator[Ledger]:
    make_tables(connection)
    summing.prepare(connection)
    connection.commit()
    with redis.Redis.from_url(keydb_url) as keydb:
        made = Ledger(connection, keydb, database_url)
        made.write()
        yield made


@pytest.fixture
def configured(ledger: Ledger, database_url: str, keydb_url: str, settings: Settings) -> Ledger:
    settings.LEDGER_DATABASE_URL, settings.KEYDB_URL = database_url, keydb_url
    return ledger


def test_what_is_right_is_no_drift(ledger: Ledger) -> None:
    report = ledger.look()
    assert (report.drifts, report.transactions, report.providers) == (0, 3, 2)
    assert report.minute is not None and report.minute.timestamp() == MINUTE
    assert report.notes() == []
    assert ledger.keydb.get("1_Visa") == b"1300"


def test_rows_that_are_not_added_up_yet_are_no_drift(ledger: Ledger) -> None:
    ledger.run("INSERT INTO historical_transactions (provider_id, transaction_value) VALUES (1, 7)")
    ledger.run("INSERT INTO historical_transactions VALUES (100, 2, 5), (50, NULL, 5)")
    ledger.run("INSERT INTO initial_data (provider_name, initial_value) VALUES ('New', NULL)")
    ledger.run("INSERT INTO historical_transactions VALUES (101, 3, 0.5)")
    assert ledger.look().drifts == 0
    ledger.assert_right()


def test_nothing_is_no_drift(connection: Any, database_url: str, keydb_url: str) -> None:
    make_tables(connection, sample=False)
    with redis.Redis.from_url(keydb_url) as keydb:
        ledger = Ledger(connection, keydb, database_url)
        assert (ledger.look().drifts, ledger.look().transactions) == (0, 0)
        assert ledger.look().notes() == ["KeyDB was not compared: no minute has been written yet."]


DRIFTS: list[tuple[str, str, list[TotalDrift] | None]] = [
    (
        "a row was changed",
        "UPDATE historical_transactions SET transaction_value = 0.5 WHERE id = 1",
        [TotalDrift(1, "1_Visa", 1300, 1200.5, 2, 2)],  # type: ignore[arg-type]
    ),
    (
        "a row was moved to another provider",
        "UPDATE historical_transactions SET provider_id = 2 WHERE id = 1",
        None,
    ),
    ("a row was deleted", "DELETE FROM historical_transactions WHERE id = 2", None),
    ("a row of 0 was deleted", "UPDATE historical_transactions SET transaction_value = 0", None),
    ("all rows were deleted", "TRUNCATE historical_transactions", None),
    (
        "a total was changed",
        "UPDATE stockroom_ledger.totals SET total = total + 1 WHERE provider_id = 2",
        [TotalDrift(2, "2_Mastercard", 1801, 1800, 1, 1)],  # type: ignore[arg-type]
    ),
    ("a count was changed", "UPDATE stockroom_ledger.totals SET transactions = 9", None),
    ("a total is gone", "DELETE FROM stockroom_ledger.totals WHERE provider_id = 1", None),
    ("totals are gone", "TRUNCATE stockroom_ledger.totals", None),
    ("a total too many", "INSERT INTO stockroom_ledger.totals VALUES (77, 1, 1)", None),
    ("a total is no number", "UPDATE stockroom_ledger.totals SET total = 'NaN'", None),
    ("the ranges are gone", "DELETE FROM stockroom_ledger.unsummed", []),
    (
        "the ranges begin anew",
        "TRUNCATE stockroom_ledger.unsummed; INSERT INTO stockroom_ledger.unsummed"
        " VALUES (-9223372036854775808, 9223372036854775807)",
        None,
    ),
    ("a range too many", "INSERT INTO stockroom_ledger.unsummed VALUES (10, 20)", []),
    ("a range of a row too many", "INSERT INTO stockroom_ledger.unsummed VALUES (2, 2)", None),
]


@pytest.mark.parametrize(
    ("change", "found"), [each[1:] for each in DRIFTS], ids=[d[0] for d in DRIFTS]
)
def test_a_drift_is_found_and_repaired(
    ledger: Ledger, change: str, found: list[TotalDrift] | None
) -> None:
    ledger.run(change)
    report = ledger.repair()
    assert report.sums_drift and report.drifts
    assert found is None or report.totals == found
    ledger.assert_right()
    ledger.run("INSERT INTO historical_transactions VALUES (15, 2, 5), (-4, 2, 6)")
    ledger.run("DELETE FROM historical_transactions WHERE id = 90")  # which is none
    ledger.assert_right()


def test_the_id_of_a_deleted_row_is_looked_at_again(ledger: Ledger) -> None:
    ledger.run("DELETE FROM historical_transactions WHERE id IN (1, 3)")
    assert ledger.repair().lost_ids == 2
    ledger.run("INSERT INTO historical_transactions VALUES (1, 1, 11), (3, 1, 12)")
    ledger.assert_right()
    assert ledger.run("SELECT total FROM stockroom_ledger.totals") == [(223,)]


def test_a_repair_of_what_is_right_writes_nothing(ledger: Ledger) -> None:
    kept = "SELECT xmin::text, * FROM stockroom_ledger.totals ORDER BY 2"
    ranges = "SELECT xmin::text, * FROM stockroom_ledger.unsummed ORDER BY 2"
    before = ledger.run(kept), ledger.run(ranges)
    ledger.repair()
    assert (ledger.run(kept), ledger.run(ranges)) == before


def test_what_is_added_up_while_it_is_made_from_scratch_counts_once(ledger: Ledger) -> None:
    """The consumer goes on between the look and the change."""
    ledger.run("UPDATE stockroom_ledger.totals SET total = 0")
    connection = psycopg2.connect(ledger.url)
    try:
        reconciling.reconcile(connection, ledger.keydb)
        ledger.run("INSERT INTO historical_transactions VALUES (10, 1, 1), (12, 2, 2)")
        ledger.add_up()
        ledger.run("INSERT INTO historical_transactions VALUES (11, 1, 4)")
        repairing.repair(connection, clock=lambda: MINUTE + 10.0)
    finally:
        connection.close()
    ledger.assert_right()
    assert ledger.run("SELECT total FROM stockroom_ledger.totals ORDER BY 1") == [(-198,), (305,)]


def test_a_repair_beside_one_who_adds_up(ledger: Ledger) -> None:
    """Repairs again and again beside rows that come and are added up: the sums are right."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def consume() -> None:
        connection = psycopg2.connect(ledger.url)
        try:
            rollup = Rollup(connection, ledger.keydb)
            while not stop.is_set():
                with connection, connection.cursor() as cursor:
                    cursor.execute(
                        "INSERT INTO historical_transactions (provider_id, transaction_value)"
                        " SELECT 1 + n % 2, n FROM generate_series(1, 20) n"
                    )
                try:
                    rollup.catch_up(0.0)
                except psycopg2.errors.SerializationFailure:
                    connection.rollback()  # a repair came between: the next one sees it
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=consume)
    thread.start()
    try:
        for _ in range(15):
            ledger.run("UPDATE stockroom_ledger.totals SET total = total + 1")
            ledger.repair()
    finally:
        stop.set()
        thread.join(60)
    assert not failures
    ledger.repair()
    ledger.assert_right()


def test_nobody_is_kept_waiting_while_it_is_made(ledger: Ledger) -> None:
    """While all is made from scratch nothing is locked."""
    connection = psycopg2.connect(ledger.url)
    try:
        reconciling.reconcile(connection, ledger.keydb)
        locks = ledger.run(
            "SELECT mode FROM pg_locks JOIN pg_class c ON c.oid = relation WHERE relname IN"
            " ('totals', 'unsummed', 'historical_transactions', 'initial_data')"
            " AND mode <> 'AccessShareLock'"
        )
        assert locks == []
        ledger.run("SET lock_timeout = '2s'")
        ledger.run("INSERT INTO historical_transactions VALUES (10, 1, 1)")
        ledger.add_up()
    finally:
        connection.close()


def test_the_change_waits_for_what_is_just_being_added_up(ledger: Ledger) -> None:
    """Else sums of one moment could stand beside ranges of another."""
    ledger.run("UPDATE stockroom_ledger.totals SET total = 0 WHERE provider_id = 2")
    ledger.run("INSERT INTO historical_transactions VALUES (10, 1, 1)")
    with ledger.connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        summing.add_up(cursor, ranges=1000)  # not committed yet
        thread = threading.Thread(target=ledger.repair)
        thread.start()
        until(lambda: waiting_for_a_table(ledger.url))
    ledger.connection.commit()
    thread.join(60)
    assert not thread.is_alive()
    ledger.assert_right()


def waiting_for_a_table(url: str) -> bool:
    connection = psycopg2.connect(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation'"
            )
            return bool(cursor.fetchone()[0])
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("at", "waits"),
    [(0.0, 2), (1.5, 1), (2.0, 0), (39.9, 0), (40.0, 22), (59.5, 3)],
)
def test_the_change_is_made_well_away_from_a_full_minute(at: float, waits: int) -> None:
    now, waited = [MINUTE + at], []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        now[0] += seconds

    repairing.wait_for_quiet(lambda: now[0], wait)
    assert 2 <= now[0] % 60 < 40
    assert len(waited) == waits


def test_keydb_that_others_changed_or_emptied(ledger: Ledger) -> None:
    ledger.keydb.set("1_Visa", "9")
    ledger.keydb.delete("2_Mastercard")
    report = ledger.look()
    assert report.keydb == [KeyDrift("1_Visa", "9", "1300"), KeyDrift("2_Mastercard", None, "1800")]
    assert (report.drifts, report.sums_drift) == (2, False)
    ledger.keydb.delete("1_Visa")
    ledger.keydb.rpush("1_Visa", "1300")
    ledger.keydb.set("2_Mastercard", b"\xff")
    assert [each.found for each in ledger.look().keydb] == [None, "\\xff"]
    ledger.write(MINUTE + 60)
    assert ledger.look().keydb == []


def test_keydb_is_compared_with_its_minute_not_with_now(ledger: Ledger) -> None:
    ledger.run("INSERT INTO historical_transactions VALUES (10, 1, 600)")
    ledger.run("UPDATE initial_data SET provider_name = 'Visa 2' WHERE id = 1")
    ledger.add_up()
    assert ledger.look().drifts == 0


def test_a_minute_that_was_not_written_is_not_expected_in_keydb(ledger: Ledger) -> None:
    ledger.run(
        "INSERT INTO stockroom_ledger.runs (minute, failure)"
        " SELECT minute + interval '1 minute', 'KeyDB: away' FROM stockroom_ledger.runs"
    )
    ledger.run(
        "INSERT INTO stockroom_ledger.balances SELECT minute + interval '1 minute', provider_id,"
        " key, balance + 5 FROM stockroom_ledger.balances"
    )
    assert ledger.look().drifts == 0
    for key, value in (("1_Visa", "1305"), ("2_Mastercard", "1805")):
        ledger.keydb.set(key, value)
    assert ledger.look().drifts == 0  # its answer was lost, and it did it
    ledger.keydb.set("1_Visa", "1300")
    assert ledger.look().keydb == [KeyDrift("2_Mastercard", "1805", "1800")]


def test_a_minute_that_is_just_being_written_is_no_drift(ledger: Ledger) -> None:
    """KeyDB has it already, Postgres not yet."""
    ledger.keydb.set("1_Visa", "1900")
    waited = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        ledger.run("INSERT INTO historical_transactions VALUES (10, 1, 600)")
        ledger.write(MINUTE + 60)

    connection = psycopg2.connect(ledger.url)
    try:
        report = reconciling.reconcile(connection, ledger.keydb, wait=wait)
    finally:
        connection.close()
    assert (report.keydb, len(waited)) == ([], 1)


def start_of_producer(ledger: Ledger) -> None:
    """What the specification's producer does at each start."""
    ledger.run("INSERT INTO initial_data (provider_name, initial_value) VALUES ('Visa', 1000)")
    ledger.run(
        "INSERT INTO initial_data (provider_name, initial_value) VALUES ('Mastercard', 2000)"
    )
    ledger.run(
        "INSERT INTO historical_transactions (provider_id, transaction_value)"
        " VALUES (1, 100), (1, 200), (2, -200)"
    )


def test_the_producers_repeated_inserts_are_told(ledger: Ledger) -> None:
    assert ledger.look().repeats == ([], [])
    start_of_producer(ledger)
    ledger.run(
        "INSERT INTO historical_transactions (provider_id, transaction_value) VALUES (1, 100)"
    )
    start_of_producer(ledger)
    report = ledger.look()
    assert report.repeats.providers == [("Visa", [1, 3, 5]), ("Mastercard", [2, 4, 6])]
    assert report.repeats.transactions == [[4, 5, 6], [8, 9, 10]]
    assert report.drifts == 0
    assert report.repeated() == [
        "Providers of the same name, Visa: ids 1, 3, 5.",
        "Providers of the same name, Mastercard: ids 2, 4, 6.",
        "The producer's three sample transactions were inserted again 2 times:"
        " ids [4, 5, 6], [8, 9, 10].",
    ]


def test_a_repeat_that_names_the_new_providers_is_one_too(ledger: Ledger) -> None:
    ledger.run("INSERT INTO initial_data VALUES (3, 'Visa', 1000), (4, 'Mastercard', 2000)")
    ledger.run("INSERT INTO historical_transactions VALUES (4, 3, 100), (5, 3, 200), (6, 4, -200)")
    assert ledger.look().repeats.transactions == [[4, 5, 6]]


@pytest.mark.parametrize(
    "rows",
    [
        "(4, 1, 100), (5, 1, 200), (7, 2, -200)",
        "(4, 1, 100), (5, 2, 200), (6, 2, -200)",
        "(4, 1, 200), (5, 1, 100), (6, 2, -200)",
        "(4, 1, 100), (5, 1, 200), (6, 1, -200)",
    ],
)
def test_rows_that_only_look_a_little_like_the_sample_are_not_told(
    ledger: Ledger, rows: str
) -> None:
    ledger.run(f"INSERT INTO historical_transactions VALUES {rows}")
    assert ledger.look().repeats.transactions == []


def test_rows_of_no_provider_are_told(ledger: Ledger) -> None:
    ledger.run(
        "ALTER TABLE historical_transactions"
        " DROP CONSTRAINT historical_transactions_provider_id_fkey"
    )
    ledger.run("INSERT INTO historical_transactions VALUES (10, NULL, 1), (11, 77, 1)")
    report = ledger.look()
    assert report.drifts == 0
    assert report.notes() == ["2 transactions of no provider in initial_data: in no balance."]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_a_transaction_that_is_no_number(ledger: Ledger, value: str) -> None:
    """Its balance is none, kept and from scratch; corrected, it is drift until the repair."""
    ledger.run(f"INSERT INTO historical_transactions VALUES (10, 1, '{value}'), (11, 2, 5)")
    assert ledger.look().drifts == 0
    ledger.write()
    assert ledger.look().drifts == 0
    ledger.run("UPDATE historical_transactions SET transaction_value = 1 WHERE id = 10")
    report = ledger.repair()
    assert [(each.key, str(each.right)) for each in report.totals] == [("1_Visa", "1301")]
    assert report.json()["totals"][0]["kept"] in ("NaN", "Infinity", "-Infinity")
    ledger.assert_right()


def test_ids_at_the_ends_of_bigint(ledger: Ledger) -> None:
    ledger.run("ALTER TABLE historical_transactions ALTER id TYPE bigint")
    ledger.run(
        "INSERT INTO historical_transactions VALUES"
        " (9223372036854775807, 1, 1), (-9223372036854775808, 2, 2),"
        " (9223372036854775806, 1, 1), (-9223372036854775807, 2, 2)"
    )
    assert ledger.look().drifts == 0
    ledger.add_up()
    assert ledger.look().drifts == 0
    ledger.run("TRUNCATE stockroom_ledger.totals")
    ledger.repair()
    ledger.assert_right()


def test_the_command_without_drift(configured: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("reconcile_ledger")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "3 transactions of 2 providers, added up from scratch."
    assert lines[-1].startswith("No drift.")
    kept = configured.run(
        "SELECT transactions, drifts, drift, repaired, failure, seconds > 0"
        " FROM stockroom_ledger.reconciliations"
    )
    assert [row[:2] + row[3:] for row in kept] == [(3, 0, False, "", True)]
    assert kept[0][2]["totals"] == [] and kept[0][2]["keydb"] == []


def test_the_command_prints_drift_ends_with_1_and_repairs(
    configured: Ledger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciling, "LOOK_AGAIN_SECONDS", 0)
    monkeypatch.setattr(repairing, "wait_for_quiet", lambda clock, wait: None)
    monkeypatch.setattr(repairing, "END_SECOND", 3600.0)
    configured.run("UPDATE stockroom_ledger.totals SET total = 0.5 WHERE provider_id = 1")
    configured.keydb.delete("2_Mastercard")
    with pytest.raises(SystemExit) as ended:
        call_command("reconcile_ledger")
    assert ended.value.code == 1
    out = capsys.readouterr().out
    assert "  key       kept  right  transactions kept  right\n" in out
    assert "  1_Visa  1000.5   1300                  2      2\n" in out
    assert "1 key in KeyDB, written at 2027-01-15 08:00 UTC:" in out
    assert "  2_Mastercard      –     1800\n" in out
    assert out.endswith("Drift: `manage.py reconcile_ledger --repair` puts it right.\n")

    call_command("reconcile_ledger", "--repair")
    out = capsys.readouterr().out
    assert "Repaired in PostgreSQL. KeyDB is written when a consumer runs: none does now." in out
    leader = leadership.connect(configured.url, "intake")
    try:
        leadership.take(leader)
        with pytest.raises(SystemExit):
            call_command("reconcile_ledger")
        out = capsys.readouterr().out
        assert "Nothing to repair in PostgreSQL. KeyDB is written at the next full minute." in out
    finally:
        leader.close()
    configured.write(MINUTE + 60)
    call_command("reconcile_ledger")
    assert configured.run(
        "SELECT drifts, repaired FROM stockroom_ledger.reconciliations ORDER BY at"
    ) == [(2, False), (2, True), (1, False), (0, False)]


def test_a_running_consumer_goes_on_beside_a_repair(
    stage: LedgerStage,
    connection: Any,
    keydb_url: str,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Messages arrive all the time, totals are spoilt and repaired, and the sums are right."""
    monkeypatch.setattr(repairing, "wait_for_quiet", lambda clock, wait: None)
    monkeypatch.setattr(repairing, "END_SECOND", 3600.0)
    monkeypatch.setattr(reconciling, "LOOK_AGAIN_SECONDS", 0)
    settings.LEDGER_DATABASE_URL, settings.KEYDB_URL = stage.database_url, keydb_url
    make_tables(connection)
    stage.queue.declare()
    process = stage.start()
    sent = 0
    for _ in range(4):
        stage.queue.send(*(body(1 + n % 2, n) for n in range(250)))
        sent += 250
        stage.query("UPDATE stockroom_ledger.totals SET total = total + 1")
        stage.query("DELETE FROM stockroom_ledger.unsummed WHERE first > 0")
        reconciliation.run(repair=True)
    stage.wait_for_rows(3 + sent)
    ledger = Ledger(connection, stage.keydb, stage.database_url)
    until(
        lambda: (
            stage.query("SELECT sum(transactions) FROM stockroom_ledger.totals") == [(3 + sent,)]
        )
    )
    assert not ledger.look().sums_drift
    assert process.child.poll() is None


def test_keydb_that_is_away_is_said_and_ends_with_2(
    configured: Ledger, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.KEYDB_URL = "redis://127.0.0.1:1/0"
    with pytest.raises(SystemExit) as ended:
        call_command("reconcile_ledger")
    assert ended.value.code == 2
    out = capsys.readouterr().out
    assert "KeyDB was not compared: Error 111" in out and "No drift in PostgreSQL." in out


def test_the_command_says_where_tables_or_database_are_missing(
    connect: Callable[[], Any], database_url: str, settings: Settings
) -> None:
    settings.LEDGER_DATABASE_URL = database_url
    with pytest.raises(CommandError, match="is missing") as missing:
        call_command("reconcile_ledger")
    settings.LEDGER_DATABASE_URL = "postgresql://nobody@127.0.0.1:1/none"
    with pytest.raises(CommandError, match=r"PostgreSQL: .*refused") as away:
        call_command("reconcile_ledger")
    assert (missing.value.returncode, away.value.returncode) == (2, 2)


def test_before_any_consumer_ran_nothing_is_drift(
    connect: Callable[[], Any], database_url: str, keydb_url: str, settings: Settings
) -> None:
    settings.LEDGER_DATABASE_URL, settings.KEYDB_URL = database_url, keydb_url
    make_tables(connect())
    assert reconciliation.run().report.drifts == 0


def test_the_nightly_task_keeps_what_it_finds_and_repairs_nothing(
    configured: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    configured.run("UPDATE stockroom_ledger.totals SET total = 0")
    tasks.reconcile()
    assert "ledger: 2 drifts, 3 transactions" in caplog.text
    kept = configured.run("SELECT drifts, repaired, drift FROM stockroom_ledger.reconciliations")
    assert kept[0][:2] == (2, False)
    assert kept[0][2]["totals"][0] == {
        "provider": 1,
        "key": "1_Visa",
        "kept": "1000",
        "right": "1300",
        "kept_transactions": 2,
        "right_transactions": 2,
    }
    assert configured.look().drifts == 2


def test_what_takes_too_long_for_a_night_is_said(configured: Ledger) -> None:
    with pytest.raises(psycopg2.errors.QueryCanceled):
        blocker = psycopg2.connect(configured.url)
        try:
            with blocker.cursor() as cursor:
                cursor.execute("LOCK TABLE historical_transactions")
            reconciliation.run(until=time.monotonic() + 0.5)
        finally:
            blocker.close()
    kept = configured.run("SELECT failure, drifts FROM stockroom_ledger.reconciliations")
    assert "statement timeout" in kept[0][0]


def test_the_nightly_task_lives_without_tables_and_without_database(
    database_url: str, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.LEDGER_DATABASE_URL = database_url
    tasks.reconcile()
    assert "ERROR" not in [record.levelname for record in caplog.records]
    settings.LEDGER_DATABASE_URL = "postgresql://nobody@127.0.0.1:1/none"
    tasks.reconcile()
    assert "not reconciled" in caplog.text


def test_ids_are_those_with_which_the_schema_begins() -> None:
    assert f"{reconciling.LOWEST}, {reconciling.HIGHEST}" in tables.SCHEMA

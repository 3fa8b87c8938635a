"""The ledger's page as it is rendered, from rows as the consumer writes them."""

import os
from datetime import UTC, datetime
from decimal import Decimal

import psycopg2
import pytest

from config.consumers import overview as consumers
from tests.transactions.bookkeeping import MINUTE, health, other, sample
from transactions import queue_depth
from transactions.ledger import board, chart, reading, views
from transactions.ledger.engine import leadership

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("ledger")]

ADDRESS = "/transactions/ledger/"


@pytest.fixture
def leading(ledger):
    """A session that leads, as the consumer's."""
    connection = psycopg2.connect(ledger.url)
    leadership.take(connection)
    yield connection
    connection.close()


def test_without_tables_it_says_what_to_do(read):
    page = read(ADDRESS)
    assert "Table initial_data is missing" in page or "is missing: the producer makes it" in page
    assert "python manage.py seed_ledger" in page
    assert "python manage.py generate_transactions --rate 10" in page
    assert "No instance runs" in page and "--consumer ledger" in page


def test_what_is_missing_is_said_once_though_an_instance_waits_for_it(read, client):
    missing = "table initial_data is missing: the producer makes it, or `manage.py seed_ledger`"
    board.publish(health(leads=False, waiting_for=missing))
    page = read(ADDRESS)
    assert page.count("initial_data is missing") == 1 and "waits:" not in page
    body = client.get(ADDRESS).content.decode()
    assert "or <code>manage.py seed_ledger</code>." in body and "`" not in body


def test_tables_that_cant_be_used_are_said(read, ledger):
    ledger.begin()
    ledger.execute("ALTER TABLE historical_transactions DROP transaction_value")
    assert "Table historical_transactions has no column transaction_value" in read(ADDRESS)


def test_before_the_consumer_ever_ran_it_says_how_to_start_it(read, ledger):
    ledger.begin()
    ledger.execute("DROP SCHEMA stockroom_ledger CASCADE")
    page = read(ADDRESS)
    assert "No instance runs" in page and "--consumer ledger" in page
    assert "Balances" not in page


def test_without_transactions_it_says_where_they_come_from(read, ledger):
    ledger.begin(sample=False)
    page = read(ADDRESS)
    assert "No transactions yet" in page and "python manage.py seed_ledger" in page
    ledger.provider("Visa", 1000)
    page = read(ADDRESS)
    assert "No transactions yet" in page and "seed_ledger" not in page
    assert "generate_transactions --rate 10" in page
    assert "1 Visa – – 0 1,000" in page and "KeyDB gets them at the next full minute" in page


def test_balances_are_those_of_keydb_and_what_has_come_since(read, ledger):
    sample(ledger)
    page = read(ADDRESS)
    assert "1 Visa 1,300 +600 3 1,000" in page
    assert "2 Mastercard 1,800 – 1 2,000" in page
    assert "4 transactions added up" in page and "9 ms late with the last balances" in page


def test_after_a_failure_balances_are_those_that_keydb_has(read, ledger):
    sample(ledger)
    ledger.minute(ledger.last + MINUTE, {"1_Visa": 1900}, failure="KeyDB: refused")
    page = read(ADDRESS)
    assert "1 Visa 1,300 +600" in page
    assert "were not written. KeyDB: refused" in page


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("<b>Bold & Co</b>", "<b>Bold & Co</b>"),
        ("Ünï  cødé 銀行", "Ünï cødé 銀行"),
        ("{{ 1 }}/../?a=b#c", "{{ 1 }}/../?a=b#c"),
        ("'\"\n\t", "'\""),
        ("  ", "empty name"),
        ("", "empty name"),
        (None, "no name"),
        ("\u202eevil", "\u202eevil"),
    ],
)
def test_names_are_any_text(read, client, ledger, name, shown):
    ledger.begin(sample=False)
    number = ledger.provider(name, "0.10")
    ledger.minute(ledger.last, {f"{number}_{name}": "0.10"})
    page = read(ADDRESS)
    assert f"{number} {shown} 0.1 – 0 0.1" in page
    assert "<b>Bold" not in client.get(ADDRESS).content.decode()
    page = read(f"{ADDRESS}providers/{number}/")
    assert f"{shown} provider {number}" in page and "<b>Bold" not in page.replace(shown, "")


def test_amounts_keep_all_their_digits(read, ledger):
    ledger.begin(sample=False)
    number = ledger.provider("Big")
    ledger.minute(ledger.last, {f"{number}_Big": "-123456789012345678901234567890.000000000001"})
    assert "-123,456,789,012,345,678,901,234,567,890.000000000001" in read(ADDRESS)


def test_the_filter_finds_by_id_and_name(read, ledger):
    sample(ledger)
    assert "Visa" not in read(f"{ADDRESS}?find=MASTER")
    assert "Mastercard" in read(f"{ADDRESS}?find=2_mas")
    assert "None of the 2 providers has “%<i>”" in read(f"{ADDRESS}?find=%25%3Ci%3E")
    assert "None of the 2 providers" in read(f"{ADDRESS}?find=a%00b")


def test_of_many_providers_the_first_are_shown(read, ledger, monkeypatch):
    monkeypatch.setattr(views, "SHOWN_PROVIDERS", 3)
    ledger.begin()
    for number in range(20):
        ledger.provider(f"Bank {number}")
    page = read(ADDRESS)
    assert "the first 3 of 22" in page and "Bank 0" in page and "Bank 1 " not in page
    assert "Bank 19" in read(f"{ADDRESS}?find=19")


def test_the_page_asks_few_queries_however_many_providers(read, ledger, monkeypatch):
    counts = []

    def counted(query):
        def look(cursor):
            execute = cursor.execute
            asked = []

            class Counting:
                def __getattr__(self, name):
                    return getattr(cursor, name)

                def execute(self, *arguments):
                    asked.append(arguments)
                    return execute(*arguments)

            found = query(Counting())
            counts.append(len(asked))
            return found

        return reading.ask(look)

    monkeypatch.setattr(views, "ask", counted)
    sample(ledger)
    read(ADDRESS)
    for number in range(30):
        ledger.provider(f"Bank {number}")
    read(ADDRESS)
    assert counts[0] == counts[1] <= 12


def test_lateness_shows_failed_and_missing_minutes(read, client, ledger):
    ledger.begin()
    last = ledger.last + 2 * MINUTE  # so that none goes missing while the test runs
    for back, options in ((5, {}), (4, {"failure": "KeyDB: refused"}), (2, {"lateness": 0.42})):
        ledger.minute(last - back * MINUTE, {"1_Visa": 1}, **options)
    ledger.minute(last)
    page = read(ADDRESS)
    assert "4 of 6 minutes written" not in page and "3 of 6 minutes written" in page
    assert "420 ms after the minute at worst" in page
    body = client.get(ADDRESS).content.decode()
    assert body.count('class="band failed"') == 1 and body.count('class="band missing"') == 2
    assert "failed KeyDB: refused" in page and "400 ms" in page


def test_minutes_before_the_first_are_not_missing():
    now = datetime(2026, 1, 1, 10, 42, 30, tzinfo=UTC)
    late = chart.lateness([], None, now)
    assert late.known == 0 and late.wrong == [] and late.plot is None
    late = chart.lateness([], now.replace(minute=40, second=0), now)
    assert [each.at.minute for each in late.wrong] == [42, 41, 40]
    # Its row may not be there yet.
    late = chart.lateness([], now.replace(minute=40, second=0), now.replace(second=1))
    assert [each.at.minute for each in late.wrong] == [41, 40]


def test_the_last_minute_that_is_missing_is_said_first(read, ledger):
    ledger.begin()
    ledger.minute(ledger.last - 5 * MINUTE, {"1_Visa": 1300})
    page = read(ADDRESS)
    assert "were not written: nobody led, or the one who did stood still." in page
    assert "The next full minute has all that has come since." in page


def test_who_leads_and_who_waits_is_shown(read, ledger, leading):
    sample(ledger)
    board.publish(health())
    other("shop-2.7", waiting_for="another instance leads")
    page = read(ADDRESS)
    assert f"{board.instance()} leads 4 0 1" in page
    assert "shop-2.7 waits another instance leads 4" in page
    assert "Counts since each one's start." in page
    assert "waits:" not in page and "Nobody leads" not in page
    assert "98 messages per second" in page and "1 in the last batch" in page


def test_what_the_leader_waits_for_is_said(read, ledger, leading):
    sample(ledger)
    board.publish(health(waiting_for="RabbitMQ: connection refused"))
    page = read(ADDRESS)
    assert f"{board.instance()} waits: RabbitMQ: connection refused" in page


def test_what_all_wait_for_is_said_where_nobody_leads(read, ledger):
    sample(ledger)
    board.publish(health(leads=False, waiting_for="PostgreSQL: too many connections"))
    assert "waits: PostgreSQL: too many connections" in read(ADDRESS)


def test_an_instance_that_leads_without_a_word_is_known_from_postgres(read, ledger, leading):
    sample(ledger)
    page = read(ADDRESS)
    assert "An instance leads" in page and "It does not show how it is doing." in page
    leading.close()
    assert "Nobody: no instance runs." in read(ADDRESS)


def test_a_leader_of_another_database_is_not_ours(read, ledger, postgres_engine):
    sample(ledger)
    connection = psycopg2.connect(postgres_engine.variables()["DATABASE_URL"])
    leadership.take(connection)
    assert "Nobody: no instance runs." in read(ADDRESS)
    connection.close()


def test_a_crash_is_shown_as_the_operations_page_knows_it(read, ledger, monkeypatch):
    sample(ledger)
    crashed = [{"name": "ledger", "state": "crashed", "host": "shop-1", "error": "Bang"}]
    monkeypatch.setattr(consumers, "overview", lambda: crashed)
    assert "The instance on shop-1 has crashed Bang" in read(ADDRESS)


def test_rejects_are_counted(read, ledger, monkeypatch):
    sample(ledger)
    assert "0 rejects" in read(ADDRESS)
    ledger.reject(b"x")
    assert "1 reject , the last" in read(ADDRESS)
    monkeypatch.setattr("transactions.ledger.queries.COUNTED", 2)
    for _ in range(4):
        ledger.reject(b"x")
    assert "2+ rejects" in read(ADDRESS)


def test_the_reconciliation_has_its_drift_in_words(read, ledger):
    sample(ledger)
    assert "python manage.py reconcile_ledger" in read(ADDRESS)
    ledger.reconciled()
    page = read(ADDRESS)
    assert "no drift" in page and "3 transactions in 200 ms" in page
    row = {"provider": 1, "key": "1_<Visa>", "kept": "1300", "right": "1900"}
    counts = {"kept_transactions": 2, "right_transactions": 3}
    drift = {
        "totals": [{**row, **counts}],
        "keydb": [{"key": "2_Mastercard", "found": None, "right": "1800"}],
        "lost_ids": 5,
        "repeated_providers": [{"name": "Visa", "ids": [1, 3]}],
        "repeated_transactions": [[4, 5, 6], [7, 8, 9]],
        "notes": ["KeyDB did not answer"],
    }
    ledger.reconciled(drift, drifts=3)
    page = read(ADDRESS)
    assert "3 drifts" in page and "Balances differ from what the transactions say." in page
    assert "1_<Visa>: 1300 by running totals, 1900 from scratch (2 transactions added up, 3" in page
    assert "KeyDB's 2_Mastercard is missing, it should be 1800" in page
    assert "provider Visa is there more than once: ids 1, 3" in page
    assert "its start repeats them (ids 4, 5, 6; 7, 8, 9)" in page
    assert "KeyDB did not answer" in page and "reconcile_ledger --repair" in page
    ledger.reconciled(drift, drifts=3, repaired=True)
    page = read(ADDRESS)
    assert "3 drifts, repaired" in page and "--repair" not in page
    ledger.reconciled(failure="PostgreSQL: gone")
    assert "PostgreSQL: gone" in read(ADDRESS)


def test_without_its_database_the_page_says_so_and_comes_back(read, own_postgres, settings):
    engine = own_postgres()
    url = engine.variables()["DATABASE_URL"]
    settings.LEDGER_DATABASE_URL = url
    assert "seed_ledger" in read(ADDRESS)
    engine.kill()
    page = read(ADDRESS)
    assert "The ledger can't be read just now." in page and "seed_ledger" not in page
    assert "The ledger can't be read just now." in read(f"{ADDRESS}providers/1/")
    assert "They can't be read just now." in read(f"{ADDRESS}rejects/", 503)
    engine.start()
    assert "seed_ledger" in read(ADDRESS), "the kept connections are dead"
    reading.pool(url, os.getpid()).close()


def test_without_the_redis_of_pages_balances_are_still_shown(read, ledger, own_valkey, settings):
    sample(ledger)
    engine = own_valkey()
    settings.REDIS_URL = engine.variables()["REDIS_URL"]
    engine.kill()
    page = read(ADDRESS)
    assert "The Redis of live pages is away" in page and "1 Visa 1,300" in page


def test_a_queue_that_nobody_knows_is_said(read, ledger, settings, unused_tcp_port):
    sample(ledger)
    assert "How many messages wait is not known: AMQP_URL is not set." in read(ADDRESS)
    settings.AMQP_URL = f"amqp://guest:guest@127.0.0.1:{unused_tcp_port}/"
    queue_depth.forget()
    page = read(ADDRESS)
    assert "not known: RabbitMQ does not answer" in page and "– messages wait in RabbitMQ" in page


def test_old_connections_are_few_and_only_read(ledger):
    sample(ledger)
    for _ in range(5):
        reading.ask(lambda cursor: cursor.execute("SELECT 1"))
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND datname = %s"
    name = ledger.url.rpartition("/")[2]
    assert ledger.execute(count, "stockroom-ledger-pages", name) == (1,)
    with pytest.raises(reading.Away, match="read-only"):
        reading.ask(lambda cursor: cursor.execute("DELETE FROM initial_data"))


def test_more_than_a_few_at_once_wait_for_their_turn(ledger, workers, monkeypatch):
    sample(ledger)
    slow = [
        workers(reading.ask, lambda cursor: cursor.execute("SELECT pg_sleep(0.2)"))
        for _ in range(6)
    ]
    for each in slow:
        each.result()
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND datname = %s"
    name = ledger.url.rpartition("/")[2]
    found = ledger.execute(count, "stockroom-ledger-pages", name)[0]
    assert 1 <= found <= reading.CONNECTIONS
    monkeypatch.setattr(reading, "TURN_SECONDS", 0.01)
    pool = reading.pool(ledger.url, os.getpid())
    for _ in range(reading.CONNECTIONS):
        assert pool._turns.acquire(blocking=False)
    with pytest.raises(reading.Away, match="too many"):
        reading.ask(lambda cursor: None)
    for _ in range(reading.CONNECTIONS):
        pool._turns.release()


def test_its_part_alone_is_for_the_script(client, user, ledger):
    client.force_login(user)
    sample(ledger)
    for address in (ADDRESS, f"{ADDRESS}providers/1/"):
        response = client.get(address, headers={"HX-Request": "true"})
        assert response.content.decode().lstrip().startswith('<div id="ledger"')
        assert "HX-Request" in response.headers["Vary"]


def test_a_curve_of_the_last_hour_has_gaps():
    now = datetime(2026, 1, 1, 11, tzinfo=UTC)
    known = [(now - 60 * MINUTE, Decimal(1)), (now - 59 * MINUTE, Decimal(3))]
    assert chart.spark(known, now) == "M0.0,28.0L2.0,0.0"
    later = [*known, (now - 30 * MINUTE, Decimal(2))]
    assert chart.spark(later, now).endswith("L2.0,0.0M60.0,14.0h0")
    assert chart.spark(known[:1], now) == ""

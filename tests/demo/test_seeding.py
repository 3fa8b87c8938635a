"""Sample data made twice and removed, beside the data of others."""

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_network

import psycopg2
import pytest
import redis
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command

from config.accounts.models import Role, User
from config.consumers.health import publish_health
from config.demo import market, receiver, removal, seeding, wares
from products.models import Import, Product
from stocksync.models import SyncJob
from streaming.prices import keys
from streaming.prices.store import Store
from tests.services.waiting import until
from tests.transactions.ledger.stage import drop_database, fresh_database, make_tables
from tests.transactions.orders.book import Book
from tests.transactions.orders.stage import make_order, set_credit
from transactions.ledger.engine import tables
from transactions.models import Order, OrderStatus, OrderTotal
from transactions.orders import keys as order_keys
from transactions.orders import reconciling
from webhooks.models import Endpoint

pytestmark = pytest.mark.django_db(transaction=True)
DATABASE = 11  # of Valkey, which no other tests use


@pytest.fixture(autouse=True)
def stage(postgres_engine, valkey_engine, settings, tmp_path) -> Iterator[None]:
    """An account, an empty market, a ledger of others."""
    server = postgres_engine.variables()["DATABASE_URL"]
    settings.LEDGER_DATABASE_URL = fresh_database(server)
    url = f"{valkey_engine.variables()['REDIS_URL'].rpartition('/')[0]}/{DATABASE}"
    settings.PRICES_REDIS_URL = settings.KEYDB_URL = url
    settings.STATE_DIR = tmp_path
    settings.WEBHOOK_ALLOW_HTTP, settings.WEBHOOK_PORTS = True, []
    settings.WEBHOOK_ALLOWED_NETWORKS = [ip_network("127.0.0.0/8")]
    User.objects.create(username="demo", role=Role.ADMIN)
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        yield
        client.flushdb()
    drop_database(settings.LEDGER_DATABASE_URL, server)


def market_client() -> redis.Redis:
    return redis.Redis.from_url(django_settings.PRICES_REDIS_URL)


def ledger(statement: str) -> list[tuple]:
    connection = psycopg2.connect(django_settings.LEDGER_DATABASE_URL)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()
    finally:
        connection.close()


def counts() -> dict[str, object]:
    return {
        "products": Product.objects.count(),
        "imports": [job.rejected for job in Import.objects.all()],
        "jobs": SyncJob.objects.count(),
        "endpoints": Endpoint.objects.filter(deleted_at=None).count(),
        "keys": sorted(market_client().scan_iter()),
        "providers": ledger("SELECT provider_name FROM initial_data ORDER BY id"),
        "rows": ledger("SELECT count(*) FROM historical_transactions"),
    }


def test_it_is_made_once_however_often_it_is_asked_for() -> None:
    list(seeding.seed())
    first = counts()
    list(seeding.seed())
    assert counts() == first
    assert first["products"] == wares.PRODUCTS
    assert first["imports"] == [4]
    assert (first["jobs"], first["endpoints"]) == (1, 1)
    assert [name for (name,) in first["providers"]] == list(market.PROVIDERS)
    assert {name.encode() for name in [*market.SHARES, *market.CREDITS]} <= set(first["keys"])


def test_removal_takes_the_demo_and_leaves_what_others_have_made() -> None:
    Product.objects.create(sku="DEMO-OURS", name="Named like a sample")
    connection = psycopg2.connect(django_settings.LEDGER_DATABASE_URL)
    make_tables(connection)
    tables.make_ours(connection)
    connection.close()
    set_credit(market_client(), "user1", 500)
    theirs = '{"id": 1, "price": [7], "time": ["090000"], "performance": 0}'
    Store.from_settings().seed("stock1", theirs)
    make_order("user1", status=OrderStatus.DENY)
    before = counts() | {"imports": [4], "jobs": 1}
    list(seeding.seed())
    make_order("user1.demo", stock="demo.acme", status=OrderStatus.DENY)
    for user in ("user1", "user1.demo"):  # as retention leaves them
        OrderTotal.objects.create(user=user, orders=1, taken=5)

    said = list(removal.remove())

    assert counts() == before, said
    assert market_client().zrange(keys.STOCKS, 0, -1) == [b"stock1"]
    assert [order.user for order in Order.objects.all()] == ["user1"]
    assert [total.user for total in OrderTotal.objects.all()] == ["user1"]
    assert not (django_settings.STATE_DIR / "demo").exists()
    list(removal.remove())
    assert counts() == before


def decided() -> Book:
    """The demo with an order accepted and one denied, one accepted of user1; all written down."""
    book = Book.opened(market_client())
    list(seeding.seed())
    book.decide(book.settle("user1.demo", 1), book.settle("user1.demo", 10**12))
    book.decide(book.settle("user1", 1))
    statuses = Order.objects.order_by("pk").values_list("status", flat=True)
    assert list(statuses) == [OrderStatus.ACCEPT, OrderStatus.DENY, OrderStatus.ACCEPT]
    assert reconciling.reconcile(book.client).drifts == 0
    return book


def assert_decisions_of_others_alone(client: redis.Redis) -> None:
    """In Redis, and credit and orders agree."""
    theirs = [str(Order.objects.get().order_id).encode()]
    assert client.hkeys(order_keys.SETTLED) == theirs
    assert client.zrange(order_keys.SETTLED_AT, 0, -1) == theirs
    findings = reconciling.reconcile(client)
    assert (findings.unknown, findings.drifts) == ((), 0)


def test_removal_lets_redis_forget_the_decisions_of_the_demo_alone() -> None:
    book = decided()
    list(removal.remove())
    assert_decisions_of_others_alone(book.client)


def test_a_removal_that_broke_off_is_finished_by_the_next() -> None:
    book = decided()
    book.client.rename(order_keys.SETTLED, "aside")
    book.client.set(order_keys.SETTLED, "no hash")
    said = list(removal.remove())
    assert any(line.startswith("shares and trading users: not removed") for line in said), said
    book.client.rename("aside", order_keys.SETTLED)
    list(removal.remove())
    assert_decisions_of_others_alone(book.client)


def test_nothing_is_removed_while_an_order_is_being_decided(own_valkey, settings) -> None:
    settings.REDIS_URL = own_valkey().variables()["REDIS_URL"]
    now = datetime.now(UTC)
    health = {"name": "orders", "host": "here", "pid": 1, "state": "running", "error": None}
    publish_health({**health, "started_at": now, "beaten_at": now, "health": {}})
    list(seeding.seed())
    before = counts()
    make_order("user1.demo", stock="demo.acme")
    with pytest.raises(CommandError, match="1 sample orders are not decided"):
        call_command("remove_demo", yes=True)
    assert counts() == before


def test_an_order_that_nobody_decides_is_removed(own_valkey, settings) -> None:
    settings.REDIS_URL = own_valkey().variables()["REDIS_URL"]
    list(seeding.seed())
    make_order("user1.demo", stock="demo.acme")
    Book(market_client()).settle("user1.demo", 1)  # and nobody writes that down
    call_command("remove_demo", yes=True)
    assert not Order.objects.exists()
    assert not market_client().exists(order_keys.SETTLED, order_keys.SETTLED_AT)


def test_without_a_yes_nothing_is_removed(monkeypatch, capsys) -> None:
    list(seeding.seed())
    before = counts()
    monkeypatch.setattr("builtins.input", lambda asked: "no")
    call_command("remove_demo")
    assert "Nothing removed." in capsys.readouterr().out
    assert counts() == before


def test_what_can_not_be_made_is_told_and_the_rest_is_made(settings) -> None:
    settings.PRICES_REDIS_URL = "redis://127.0.0.1:1/0"
    settings.WEBHOOK_ALLOW_HTTP = False
    said = list(seeding.seed())
    refused = [line for line in said if ": not made, " in line]
    assert [line.partition(":")[0] for line in refused] == ["webhooks", "shares and trading users"]
    assert Product.objects.count() == wares.PRODUCTS


def test_the_receiver_answers_on_this_machine() -> None:
    list(seeding.seed())
    endpoint = seeding.receiver()
    assert endpoint is not None
    ended = threading.Event()
    failure: list[BaseException] = []

    def run() -> None:
        try:
            receiver.run(ended.is_set)
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        answers = [_posted(endpoint.url) for _ in range(receiver.FAILS_EVERY)]
    finally:
        ended.set()
        thread.join()
    assert not failure
    assert sorted(answers) == [200] * (receiver.FAILS_EVERY - 1) + [500]


def _posted(url: str) -> int:
    def post() -> int:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, b"{}"), timeout=30) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    return until(post)

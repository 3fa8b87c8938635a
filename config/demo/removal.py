"""Takes back what seeding.py and the generators have made, and nothing else.

Run by `manage.py remove_demo`. What others have made stays, also beside samples: a product is the
demo's by its SKU, a user, share or provider by its name, endpoint and job by their mark.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence

import psycopg2
import redis
from django.conf import settings

from config.accounts.actors import Actor
from config.accounts.models import User
from config.consumers.health import consumer_health
from products.catalogue import bulk
from products.models import BulkAction, Import, Product
from stocksync.jobs import service as syncs
from stocksync.models import SyncJob
from streaming.prices import connection, keys
from transactions.ledger import reconciliation
from transactions.ledger.engine import leadership
from transactions.ledger.engine.tables import Unready
from transactions.models import OPEN, Order, OrderTotal
from transactions.orders import keys as order_keys
from transactions.orders import repairing
from webhooks.endpoints import service as endpoints

from . import market, seeding, wares

REMOVE_TRANSACTIONS = """
DELETE FROM historical_transactions WHERE provider_id IN (
    SELECT id FROM initial_data WHERE provider_name = ANY(%s)
)
"""
REMOVE_PROVIDERS = """
DELETE FROM initial_data WHERE provider_name = ANY(%s) RETURNING id, provider_name
"""


class Busy(Exception):
    """Something of the demo is under way; the text says what to do."""


def remove() -> Iterator[str]:
    """Remove it, part by part; a line for people on each. Raises Busy before the first."""
    actor = Actor(User.objects.get(username=seeding.ACCOUNT))
    open_orders = Order.objects.filter(user__in=list(market.CREDITS), status__in=OPEN).count()
    # Where all is stopped nobody would ever decide them.
    if open_orders and _orders_are_decided():
        raise Busy(f"{open_orders} sample orders are not decided yet: try again in two minutes.")
    parts: dict[str, Callable[[], str]] = {
        "products": lambda: _products(actor),
        "stock sync": _sync,
        "webhooks": lambda: _endpoint(actor),
        "shares and trading users": _market,
        "ledger": _ledger,
    }
    for name, take in parts.items():
        try:
            yield f"{name}: {take()}"
        except (redis.RedisError, psycopg2.Error, Unready) as error:
            yield f"{name}: not removed, {str(error).strip().splitlines()[0]}"
    shutil.rmtree(seeding.folder(), ignore_errors=True)


def _orders_are_decided() -> bool:
    running = (each for each in consumer_health() if each["state"] in ("running", "draining"))
    return any(each["name"] == "orders" for each in running)


def _products(actor: Actor) -> str:
    found = list(Product.objects.filter(sku__in=wares.skus()).values_list("pk", flat=True))
    for some in _portions(found, bulk.MAX_IDS):
        change = bulk.start(actor, BulkAction.DELETE, ids=some)
        while not change.ended:
            bulk.advance(change.pk)
            change.refresh_from_db()
    imports = Import.objects.filter(upload__file_name=seeding.PRODUCTS_FILE).count()
    kept = f"; the record of {imports} import(s) stays" if imports else ""
    return f"{len(found):,} deleted, to be undone under Recently deleted{kept}"


def _sync() -> str:
    found = SyncJob.objects.filter(events__name=seeding.SYNC_FILE)
    for job in found.exclude(state__in=SyncJob.ENDED):
        syncs.cancel(job.pk)
    return f"{found.count()} job(s) stay in the list until STOCKSYNC_KEEP_DAYS are over"


def _endpoint(actor: Actor) -> str:
    found = seeding.receiver()
    if found is None:
        return "there is none"
    endpoints.delete(actor, found.pk)
    return "the endpoint is deleted; its log stays"


def _market() -> str:
    client = connection.changing()
    shares, users = list(market.SHARES), list(market.CREDITS)
    with client.pipeline() as pipe:
        for name in shares:
            pipe.delete(name, keys.beside(name))
        pipe.zrem(keys.STOCKS, *shares)
        for name in users:
            pipe.delete(name, order_keys.beside(name))
        pipe.execute()
    # With the credit its orders go: they would be accepted amounts without a user. First what Redis
    # has of their decisions: whoever is killed in between finds the orders again. None is added
    # meanwhile, since remove() has seen to it that nobody decides any of them, and without a user
    # nobody may place more.
    orders = Order.objects.filter(user__in=users)
    repairing.forget(client, [str(each) for each in orders.values_list("order_id", flat=True)])
    orders.delete()
    OrderTotal.objects.filter(user__in=users).delete()
    return "removed, with their orders"


def _ledger() -> str:
    names = list(market.PROVIDERS)
    session = leadership.connect(settings.LEDGER_DATABASE_URL, "demo")
    try:
        with session, session.cursor() as cursor:
            cursor.execute("SELECT to_regclass('initial_data')")
            if cursor.fetchone()[0] is None:
                return "there is none"
            cursor.execute(REMOVE_TRANSACTIONS, [names])
            rows = cursor.rowcount
            cursor.execute(REMOVE_PROVIDERS, [names])
            gone = cursor.fetchall()
    finally:
        session.close()
    if not gone:
        return "there is none"
    with redis.Redis.from_url(settings.KEYDB_URL) as keydb:
        keydb.delete(*(f"{id_}_{name}" for id_, name in gone))
    reconciliation.run(repair=True)
    return f"{len(gone)} providers with {rows:,} transactions removed, the sums made again"


def _portions(ids: Sequence[int], most: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), most):
        yield ids[start : start + most]

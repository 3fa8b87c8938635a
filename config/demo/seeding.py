"""Sample data through the services that people's data go through. Run by `manage.py seed_demo`.

What is there stays as it is, so that it may be run any number of times. `removal.py` takes back
what this makes.
"""

import io
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg2
import redis
from django.conf import settings
from django.core.management import call_command
from django.db import connection

from config.accounts.actors import Actor
from config.accounts.models import User
from products.models import Product
from stocksync.jobs import files
from stocksync.jobs import service as syncs
from stocksync.models import SyncJob
from streaming.prices.store import Store
from transactions.ledger import seeding as ledger
from transactions.ledger.engine import leadership
from webhooks.endpoints import fields
from webhooks.endpoints import service as endpoints
from webhooks.models import Endpoint

from . import market, wares

ACCOUNT = "demo"
MARK = "Sample receiver of make demo"
SYNC_FILE = "demo-stock-events.txt"
PRODUCTS_FILE = "demo-products.csv"
TRANSACTIONS = 60  # of each provider at the beginning
REFUSED = (redis.RedisError, psycopg2.Error, fields.FieldErrors, endpoints.TooMany)
SEED_LOCK = 5_061_910_411


def folder() -> Path:
    """Where the generators' files are; made when missing."""
    path = Path(settings.STATE_DIR) / "demo"
    path.mkdir(parents=True, exist_ok=True)
    return path


def seed() -> Iterator[str]:
    """Make what is missing; a line for people on each part, also on one that can't be made now."""
    actor = Actor(User.objects.get(username=ACCOUNT))
    parts: dict[str, Callable[[], str]] = {
        "products": _products,
        "stock sync": lambda: _sync(actor),
        "webhooks": lambda: _endpoint(actor),
        "shares and trading users": _market,
        "ledger": _ledger,
    }
    with _alone():
        for name, make in parts.items():
            try:
                yield f"{name}: {make()}"
            except (
                redis.RedisError,
                psycopg2.Error,
                fields.FieldErrors,
                endpoints.TooMany,
            ) as error:
                yield f"{name}: not made, {str(error).strip().partition(chr(10))[0]}"


@contextmanager
def _alone() -> Iterator[None]:
    """Two at once would both make what neither finds. A lock of the session: imports commit."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [SEED_LOCK])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [SEED_LOCK])


def _products() -> str:
    (folder() / "sales.csv").write_bytes(wares.sales())
    wanted = wares.skus()
    there = Product.objects.filter(sku__in=wanted).count()
    if there == len(wanted):
        return f"{there:,} are there"
    file = folder() / PRODUCTS_FILE
    file.write_bytes(wares.products())
    said = io.StringIO()
    call_command("import_products", file, no_progress=True, stdout=said)
    return said.getvalue().splitlines()[0]


def _sync(actor: Actor) -> str:
    if SyncJob.objects.filter(events__name=SYNC_FILE).exists():
        return "a job is there"
    stored = files.create(SYNC_FILE)
    files.append(stored.pk, wares.stock_events())
    stored.refresh_from_db()
    job = syncs.begin(actor.user, stored)
    return f"job {job.pk} is begun"


def _endpoint(actor: Actor) -> str:
    if found := receiver():
        return f"endpoint {found.pk} is there"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    values = fields.clean(
        {
            "url": f"http://127.0.0.1:{port}/demo",
            "event_types": ["*"],
            "description": MARK,
        }
    )
    made, _ = endpoints.create(actor, values)
    return f"endpoint {made.pk} is made, which this machine itself answers"


def receiver() -> Endpoint | None:
    """The endpoint of the demo, None where it was deleted or never made."""
    return endpoints.live().filter(description=MARK).first()


def _market() -> str:
    store = Store.from_settings()
    now = datetime.now(UTC)
    shares = sum(store.seed(name, market.history(name, now)) for name in market.SHARES)
    users = 0
    for number, (name, credit) in enumerate(market.CREDITS.items(), start=9_001):
        value = f'{{"id": {number}, "credit": {credit}}}'
        users += bool(store.client.set(name, value, nx=True))
    if not shares and not users:
        return "they are there"
    return f"{shares} shares and {users} users are made"


def _ledger() -> str:
    session = leadership.connect(settings.LEDGER_DATABASE_URL, "demo")
    try:
        with session, session.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ledger.SEED_LOCK])
            for table, statement in ledger.TABLES.items():
                cursor.execute("SELECT to_regclass(%s)", [table])
                if cursor.fetchone()[0] is None:
                    cursor.execute(statement)
            made = 0
            for name, value in market.PROVIDERS.items():
                cursor.execute("SELECT 1 FROM initial_data WHERE provider_name = %s", [name])
                if cursor.fetchone() is not None:
                    continue
                cursor.execute(ledger.ADD_PROVIDER, [name, value])
                (provider,) = cursor.fetchone()
                for number in range(TRANSACTIONS):
                    amount = (number * 37) % 400 - 150
                    cursor.execute(ledger.ADD_TRANSACTION, [provider, amount])
                made += 1
    finally:
        session.close()
    return f"{made} providers are made" if made else "its providers are there"

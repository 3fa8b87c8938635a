"""What goes on in the demo: each is a process, `manage.py run_demo NAME`, hosted by that command.

A function runs until `ended()`; what an engine refuses ends it, and its supervisor starts it again.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from django.conf import settings
from django.core.management import CommandError, call_command

from config.accounts.actors import Actor
from config.accounts.models import User
from products.catalogue import editing
from products.models import Product
from streaming.prices import connection, latest
from transactions.ledger.engine import leadership
from transactions.orders import announcing, reception

from . import market, receiver, seeding, wares

Ended = Callable[[], bool]
SALES_PER_SECOND = 5.0
PRICES_PER_SECOND = 0.5
PRICES_OF_A_FILE = 150
TRANSACTIONS_PER_SECOND = 1.0
ORDER_SECONDS = 8.0
EDIT_SECONDS = 6.0
ANNOUNCE_SECONDS = 5.0
LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class Generator:
    """`needs` names the variable of the engine without which it can't work, "" for none."""

    run: Callable[[Ended], None]
    needs: str
    makes: str
    """For people."""


def sales(ended: Ended) -> None:
    """Sales of the sample file to Kafka, again and again."""
    call_command(
        "generate_sales",
        seeding.folder() / "sales.csv",
        rate=SALES_PER_SECOND,
        no_progress=True,
    )


def prices(ended: Ended) -> None:
    """Prices to Kafka, each at the time that it bears: file after file of some minutes."""
    names = list(market.SHARES)
    steps = market.walk(latest.latest(connection.reading(), names), random.Random())
    file = seeding.folder() / "prices.csv"
    while not ended():
        now = datetime.now(UTC)
        rows = []
        for number, (share, price) in enumerate(islice(steps, PRICES_OF_A_FILE), start=1):
            at = now + timedelta(seconds=number / PRICES_PER_SECOND)
            rows.append(market.Price(at.strftime("%H%M%S"), share, price))
        file.write_text(market.csv_of(rows))
        call_command("publish_prices", file, rate=PRICES_PER_SECOND, no_progress=True, verbosity=0)


def transactions(ended: Ended) -> None:
    """Transactions of the sample providers to RabbitMQ."""
    call_command(
        "generate_transactions",
        rate=TRANSACTIONS_PER_SECOND,
        providers=_providers(),
        no_progress=True,
    )


def orders(ended: Ended) -> None:
    """An order of one of the sample users now and then."""
    source = random.Random()
    users, shares = list(market.CREDITS), list(market.SHARES)
    try:
        while not _paused(ended, source.uniform(0.5, 1.5) * ORDER_SECONDS):
            reception.place(
                owner=None,
                user=source.choice(users),
                stockname=source.choice(shares),
                quantity=source.randint(1, 200),
            )
    finally:
        announcing.close(ANNOUNCE_SECONDS)


def edits(ended: Ended) -> None:
    """A sample product is renamed or switched now and then, which webhooks are told of."""
    source = random.Random()
    actor = Actor(User.objects.get(username=seeding.ACCOUNT))
    skus = wares.skus()
    while not _paused(ended, source.uniform(0.5, 1.5) * EDIT_SECONDS):
        product = Product.objects.filter(sku=source.choice(skus)).first()
        if product is None:
            continue
        changes: dict[str, object] = {"active": not product.active}
        if source.random() < 0.7:
            changes = {"name": wares.renamed(product.name, source)}
        editing.update(actor, product.pk, changes)


GENERATORS = {
    "receiver": Generator(receiver.run, "", "answers to webhooks"),
    "edits": Generator(edits, "", "edits of products"),
    "orders": Generator(orders, "", "orders"),
    "sales": Generator(sales, "KAFKA_BOOTSTRAP_SERVERS", "sales"),
    "prices": Generator(prices, "KAFKA_BOOTSTRAP_SERVERS", "prices"),
    "transactions": Generator(transactions, "AMQP_URL", "transactions"),
}


def _providers() -> Sequence[int]:
    session = leadership.connect(settings.LEDGER_DATABASE_URL, "demo")
    try:
        with session, session.cursor() as cursor:
            cursor.execute(
                "SELECT id FROM initial_data WHERE provider_name = ANY(%s) ORDER BY id",
                [list(market.PROVIDERS)],
            )
            found = [id_ for (id_,) in cursor.fetchall()]
    finally:
        session.close()
    if not found:
        raise CommandError("The sample's providers are not there: manage.py seed_demo makes them.")
    return found


def _paused(ended: Ended, seconds: float) -> bool:
    """Wait so long; at once True when the end was asked for."""
    until = time.monotonic() + seconds
    while not ended():
        left = until - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(left, LOOK_SECONDS))
    return True

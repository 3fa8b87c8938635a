"""`manage.py place_orders`: places orders at a rate, as the API does; for trials and tests."""

import random
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import django.db
import redis
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from config.trading_users import USER
from streaming.interruption import noticed
from streaming.pace import Pace
from streaming.prices.connection import reading
from streaming.prices.latest import stock_name
from transactions.ledger.drift import plural
from transactions.management.arguments import rate, whole
from transactions.models import OrderStatus
from transactions.orders import announcing, reception, traders

DEFAULT_RATE = 10.0
DEFAULT_STOCK = "stock1"
MOST_AT_RANDOM = 100
ANNOUNCE_SECONDS = 5.0
NO_USERS = "Give their names (--users user1,user2), or set some: `manage.py seed_redis FILE`."


class Command(BaseCommand):
    help = (
        "Place orders of users in turn, as the API does, without an account and so without"
        " callbacks; until Ctrl-C or --count. What becomes of them is on the page of orders."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--count", type=whole, metavar="N", help="end after N orders")
        parser.add_argument(
            "--rate",
            type=rate,
            default=DEFAULT_RATE,
            metavar="R",
            help=f"orders a second; max: as fast as they are taken (default {DEFAULT_RATE:g})",
        )
        parser.add_argument(
            "--users", metavar="USER,USER", help="default: all that Redis has, by their numbers"
        )
        parser.add_argument("--stock", default=DEFAULT_STOCK, help=f"default {DEFAULT_STOCK}")
        parser.add_argument(
            "--quantity",
            type=whole,
            metavar="Q",
            help=f"of each order; default: 1 to {MOST_AT_RANDOM} at random",
        )
        parser.add_argument("--no-progress", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        stock = stock_name(options["stock"])
        if stock is None:
            raise CommandError(f"{options['stock']!r} can be no stock.")
        if (options["quantity"] or 1) > reception.MOST_QUANTITY:
            raise CommandError(f"An order is of {reception.MOST_QUANTITY:,} at most.")
        users = named(options["users"]) if options["users"] else known_users()
        tally: Counter[str] = Counter()
        quiet = options["no_progress"] or options["verbosity"] == 0
        pace, began = Pace(options["rate"]), time.monotonic()
        with (
            noticed() as ended,
            tqdm(unit=" orders", unit_scale=True, disable=True if quiet else None) as bar,
        ):
            try:
                while not ended() and tally.total() != options["count"]:
                    if wait := pace.wait_seconds(time.monotonic()):
                        time.sleep(wait)
                    user = users[tally.total() % len(users)]
                    quantity = options["quantity"] or random.randint(1, MOST_AT_RANDOM)
                    tally[placed(user, stock, quantity)] += 1
                    bar.update()
            except (redis.RedisError, django.db.Error) as error:
                raise CommandError(f"{str(error).strip()}. {said(tally)}") from error
            finally:
                announcing.close(ANNOUNCE_SECONDS)
        self.stdout.write(f"{said(tally)} {time.monotonic() - began:.1f} s.")
        if tally["received"] + tally["denied at once"] < tally.total():
            raise CommandError("Not all were placed.")


def placed(user: str, stock: str, quantity: int) -> str:
    """Place one; what came of it, in words. Raises redis.RedisError and django.db.Error."""
    try:
        order = reception.place(owner=None, user=user, stockname=stock, quantity=quantity)
    except reception.Refused as refused:
        return f"refused: {str(refused).rstrip('.')}"
    return "denied at once" if order.status == OrderStatus.DENY else "received"


def said(tally: Counter[str]) -> str:
    """What came of all."""
    parts = [f"{count:,} {what}" for what, count in tally.most_common()]
    return f"{plural(tally.total(), 'order')}{': ' if parts else ''}{', '.join(parts)}."


def named(text: str) -> Sequence[str]:
    """Raises CommandError for what can be no user."""
    users = [each.strip() for each in text.split(",")]
    for user in users:
        if not USER.fullmatch(user):
            raise CommandError(f"{user!r} can be no user.")
    return users


def known_users() -> Sequence[str]:
    """Those of Redis. Raises CommandError."""
    try:
        found = traders.names(reading(), settings.PRICES_REDIS_URL).names
    except redis.RedisError as error:
        raise CommandError(f"Users: {error}. {NO_USERS}") from error
    if not found:
        raise CommandError(f"There are no users. {NO_USERS}")
    return found

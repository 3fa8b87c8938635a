"""`manage.py generate_transactions`: the specification's producer of transactions."""

import random
import time
from typing import Any

import psycopg2
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from streaming.interruption import noticed
from transactions.ledger import generating
from transactions.ledger.engine import leadership
from transactions.ledger.generating import Generator, Stopped
from transactions.management.arguments import rate, whole

DEFAULT_RATE = 1.0
NO_PROVIDERS = "Give their ids (--providers 1 2), or make some: `manage.py seed_ledger`."


class Command(BaseCommand):
    help = (
        "Send transactions of any provider and any whole amount to the queue, each confirmed by the"
        " broker, until Ctrl-C."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--rate",
            type=rate,
            default=DEFAULT_RATE,
            metavar="N",
            help=f"messages a second; max: as fast as the broker (default {DEFAULT_RATE:g})",
        )
        parser.add_argument("--count", type=whole, metavar="N", help="end after N messages")
        parser.add_argument(
            "--ids", action="store_true", help="with a message id each (the original has none)"
        )
        parser.add_argument(
            "--providers",
            type=whole,
            nargs="+",
            metavar="ID",
            help="default: all of initial_data",
        )
        parser.add_argument("--no-progress", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.AMQP_URL:
            raise CommandError("AMQP_URL is not set: the address of RabbitMQ.")
        providers = options["providers"] or known_providers()
        quiet = options["no_progress"] or options["verbosity"] == 0
        started = time.monotonic()
        with (
            noticed() as ended,
            tqdm(unit=" messages", unit_scale=True, disable=True if quiet else None) as bar,
        ):
            generator = Generator(
                settings.AMQP_URL,
                settings.LEDGER_QUEUE,
                generating.messages(providers, random.Random()),
                rate=options["rate"],
                count=options["count"],
                ids=options["ids"],
                ended=ended,
                told=bar.update,
            )
            tally = generator.tally
            try:
                generator.run()
            except Stopped as error:
                unknown = tally.sent - tally.confirmed
                raise CommandError(
                    f"{error}. Confirmed: {tally.confirmed:,}; sent, and not confirmed:"
                    f" {unknown:,}."
                ) from error
            except KeyboardInterrupt:
                raise CommandError(
                    f"Ended at once. {tally.confirmed:,} messages were confirmed."
                ) from None
        seconds = time.monotonic() - started
        self.stdout.write(
            f"Sent {tally.confirmed:,} messages to queue {settings.LEDGER_QUEUE}, all confirmed, in"
            f" {seconds:.1f} s, {tally.confirmed / seconds:,.0f} a second."
        )


def known_providers() -> list[int]:
    """The ids of initial_data. Raises CommandError."""
    try:
        connection = leadership.connect(settings.LEDGER_DATABASE_URL, "generate")
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute("SELECT id FROM initial_data ORDER BY id")
                found = [id_ for (id_,) in cursor.fetchall()]
        finally:
            connection.close()
    except psycopg2.Error as error:
        words = str(error).strip().partition("\n")[0]
        raise CommandError(f"Providers: {words}. {NO_PROVIDERS}") from error
    if not found:
        raise CommandError(f"There are no providers. {NO_PROVIDERS}")
    return found

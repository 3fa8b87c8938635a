"""`manage.py seed_ledger`: the ledger's two tables with the specification's sample rows."""

from typing import Any

import psycopg2
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from transactions.ledger import seeding
from transactions.ledger.engine import leadership
from transactions.management.arguments import whole


class Command(BaseCommand):
    help = (
        "Make the tables initial_data and historical_transactions where they are missing, and put"
        " the specification's sample rows into empty ones. What is there stays as it is."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--providers",
            type=whole,
            default=0,
            metavar="N",
            help="add further providers, without transactions, until there are N",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            connection = leadership.connect(settings.LEDGER_DATABASE_URL, "seed")
            try:
                seeded = seeding.seed(connection, options["providers"])
            finally:
                connection.close()
        except psycopg2.Error as error:
            raise CommandError(f"PostgreSQL: {str(error).strip()}. Nothing was changed.") from error
        for line in seeded.lines():
            self.stdout.write(line)

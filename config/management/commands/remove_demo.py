"""`manage.py remove_demo`: takes the data of `make demo` away again, and asks first."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.accounts.models import User
from config.demo import removal

ASKED = "Remove the sample products, endpoint, shares, users, orders and ledger rows? Type yes: "


class Command(BaseCommand):
    help = "Remove what `make demo` has made, and nothing else. Asks first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--yes", action="store_true", help="don't ask")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["yes"] and not _agreed():
            self.stdout.write("Nothing removed.")
            return
        try:
            for line in removal.remove():
                self.stdout.write(line)
        except removal.Busy as error:
            raise CommandError(str(error)) from None
        except User.DoesNotExist:
            raise CommandError("There is no account “demo”, so there is no demo.") from None


def _agreed() -> bool:
    try:
        return input(ASKED).strip() == "yes"
    except EOFError:
        return False

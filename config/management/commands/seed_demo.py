"""`manage.py seed_demo`: sample data for every area. Run by `make demo`, safe to repeat."""

from django.core.management.base import BaseCommand, CommandError

from config.accounts.models import User
from config.demo import seeding


class Command(BaseCommand):
    help = (
        "Make the sample data of `make demo` where it is missing: products, a stock sync job, a"
        " webhook endpoint, shares, trading users, ledger rows."
    )

    def handle(self, *args: object, **options: object) -> None:
        try:
            for line in seeding.seed():
                self.stdout.write(line)
        except User.DoesNotExist:
            raise CommandError("There is no account “demo”: `manage.py ensure_demo`.") from None

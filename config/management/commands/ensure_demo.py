"""`manage.py ensure_demo`: make or show the demo account. Run by `make run`, safe to repeat."""

from django.conf import settings
from django.core.management.base import BaseCommand

from config.accounts import demo


class Command(BaseCommand):
    help = "Make the demo account and its API token where missing, and print both."

    def handle(self, *args: object, **options: object) -> None:
        made = demo.ensure(settings.STATE_DIR / "demo.txt")
        self.stdout.write(f"Demo account   {demo.USERNAME}")
        self.stdout.write(f"    password   {made.password or made.password_note}")
        self.stdout.write(f"    API token  {made.token or made.token_note}")

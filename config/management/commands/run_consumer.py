"""`manage.py run_consumer NAME…`: hosts consumers without Celery, for trials and other schedulers.

Same signals, same exit codes as in a Celery worker (docs/consumers.md).
"""

import signal
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.consumers.host import Host
from config.consumers.registry import UnknownConsumer, consumer_names, make_consumers


class Command(BaseCommand):
    help = "Run consumers in this process until SIGTERM: " + (", ".join(consumer_names()) or "none")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("names", nargs="+", metavar="NAME")

    def handle(self, *args: Any, names: list[str], **options: Any) -> None:
        try:
            host = Host(make_consumers(names), drain_seconds=settings.CONSUMER_DRAIN_SECONDS)
        except UnknownConsumer as error:
            raise CommandError(str(error)) from None
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, lambda number, _frame: host.signalled(number))
        host.start()
        host.join()
        sys.exit(host.exit_code)

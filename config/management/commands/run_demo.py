"""`manage.py run_demo NAME`: one of the demo's generators, until Ctrl-C. Run by `make demo`."""

from argparse import ArgumentParser
from typing import Any

import django.db
import redis
from django.core.management.base import BaseCommand, CommandError

from config.demo.generators import GENERATORS
from streaming.interruption import noticed
from transactions.orders.reception import Refused


class Command(BaseCommand):
    help = "Run one of the generators of `make demo` until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", choices=list(GENERATORS))

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with noticed() as ended:
                GENERATORS[options["name"]].run(ended)
        except (django.db.Error, redis.RedisError, Refused) as error:
            raise CommandError(str(error).strip()) from error
        except KeyboardInterrupt:
            pass

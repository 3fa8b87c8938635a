"""`manage.py check_process ROLE`: exit 0 where a process of the role beats, else 1."""

import socket
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from config.operations.liveness import verdict


class Command(BaseCommand):
    help = (
        "Tell whether a process of this role lives on this machine. Exits 0 when it does, else 1."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("role", help="web, worker, performance, beat or a consumer's name")
        parser.add_argument("--host", default=socket.gethostname(), help="another machine's name")

    def handle(self, *, role: str, host: str, **options: Any) -> None:
        code, line = verdict(settings.REDIS_URL, role, host)
        self.stdout.write(line)
        if code:
            raise SystemExit(code)

"""`manage.py verify_sales`: is what sales has put out right? Changes nothing, may run at any time.

Exit code 0: equal; 1: there are differences; 2: it could not be verified, or not all of it.
"""

import sys
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from streaming.kafka_log import KafkaError, connection
from streaming.sales.options import Options
from streaming.sales.verify import instants
from streaming.sales.verify.report import UNVERIFIED
from streaming.sales.verify.session import DatabaseAway
from streaming.sales.verify.spans import Unverifiable
from streaming.sales.verify.verification import verify

INSTANTS = ("--from", "--to")


class Command(BaseCommand):
    help = (
        "Make the rolling sums of a span of time again in PostgreSQL, another way, and compare them"
        " with the outputs and dead letters. Exit code 0: equal, 1: different, 2: not verified."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--from",
            dest="start",
            default="-15m",
            metavar="INSTANT",
            help="2026-11-21T21:30 (UTC unless it has a zone), or -15m, -2h, -1d; Kafka's times",
        )
        parser.add_argument("--to", dest="end", default="-0s", metavar="INSTANT", help="now")
        parser.add_argument(
            "--partition", dest="partitions", type=int, action="extend", nargs="+", metavar="P"
        )
        parser.add_argument(
            "--show", type=int, default=20, metavar="N", help="differences told one by one"
        )

    def run_from_argv(self, argv: list[str]) -> None:
        super().run_from_argv(joined(argv))

    def handle(self, *args: Any, **options: Any) -> None:
        now = datetime.now(UTC)
        try:
            start, end = (
                instants.milliseconds(instants.parse(options[name], now))
                for name in ("start", "end")
            )
        except ValueError as error:
            raise CommandError(str(error), returncode=UNVERIFIED) from None
        partitions = sorted(set(options["partitions"] or ()))
        if start >= end:
            raise CommandError("--from is not before --to.", returncode=UNVERIFIED)
        if options["show"] < 0 or any(each < 0 for each in partitions):
            raise CommandError(
                "--show and --partition take no negative numbers.", returncode=UNVERIFIED
            )
        try:
            # None: only where somebody looks on.
            quiet = True if options["verbosity"] == 0 else None
            with tqdm(unit=" records", unit_scale=True, desc="Read", disable=quiet) as bar:
                report = verify(
                    Options.from_settings(),
                    start,
                    end,
                    partitions,
                    show=options["show"],
                    progress=bar.update,
                )
        except (Unverifiable, DatabaseAway) as error:
            raise CommandError(str(error), returncode=UNVERIFIED) from None
        except (KafkaError, OSError) as error:
            raise CommandError(connection.in_words(error), returncode=UNVERIFIED) from None
        for line in report.lines():
            self.stdout.write(line)
        if report.exit_code:
            sys.exit(report.exit_code)


def joined(argv: list[str]) -> list[str]:
    """`--from -15m` as `--from=-15m`: a value that begins with a hyphen would be an option."""
    result: list[str] = []
    for word in argv:
        if result and result[-1] in INSTANTS:
            result[-1] += f"={word}"
        else:
            result.append(word)
    return result

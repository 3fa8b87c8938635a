"""`manage.py reconcile_ledger`: are the balances right? Changes nothing but with --repair.

Exit code 0: they are, or have been repaired; 1: there is drift; 2: not all could be compared.
"""

import sys
from typing import Any

import psycopg2
from django.core.management.base import BaseCommand, CommandError, CommandParser

from transactions.ledger import reconciliation
from transactions.ledger.engine.tables import Unready
from transactions.ledger.reconciliation import Outcome

DRIFT, UNKNOWN = 1, 2


class Command(BaseCommand):
    help = (
        "Add up all transactions from scratch and compare with the balances that are kept and with"
        " KeyDB, beside a running consumer. Exit code 0: equal or repaired, 1: drift, 2: not"
        " compared."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--repair",
            action="store_true",
            help="put the sums made from scratch in the place of those that are kept",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            outcome = reconciliation.run(repair=options["repair"])
        except Unready as error:
            raise CommandError(str(error), returncode=UNKNOWN) from None
        except psycopg2.Error as error:
            raise CommandError(f"PostgreSQL: {str(error).strip()}", returncode=UNKNOWN) from error
        for line in outcome.report.lines():
            self.stdout.write(line)
        self.stdout.write("")
        self.stdout.write(verdict(outcome))
        report = outcome.report
        if report.drifts and not options["repair"]:
            sys.exit(DRIFT)
        if report.keydb_failure:
            sys.exit(UNKNOWN)


def verdict(outcome: Outcome) -> str:
    """What it comes to, and what to do."""
    report = outcome.report
    if not report.drifts:
        equal = "No drift." if not report.keydb_failure else "No drift in PostgreSQL."
        return f"{equal} {outcome.seconds:.1f} s."
    follows = (
        "KeyDB is written at the next full minute."
        if outcome.led
        else "KeyDB is written when a consumer runs: none does now."
    )
    if outcome.repaired:
        return f"Repaired in PostgreSQL. {follows} {outcome.seconds:.1f} s."
    if not report.sums_drift:
        return f"Nothing to repair in PostgreSQL. {follows}"
    return "Drift: `manage.py reconcile_ledger --repair` puts it right."

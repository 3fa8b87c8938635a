"""`manage.py reconcile_orders`: is the credit right? Changes nothing but with --deduct or --adopt.

Exit code 0: it is, or was repaired; 1: there is drift; 2: not all could be compared.
"""

import sys
from typing import Any

import django.db
import redis
from django.core.management.base import BaseCommand, CommandError, CommandParser

from transactions.ledger.drift import plural
from transactions.ledger.engine.amounts import text
from transactions.orders import reconciliation
from transactions.orders.reconciliation import Mend, Outcome

DRIFT, UNKNOWN = 1, 2


class Command(BaseCommand):
    help = (
        "Compare the credit in Redis with the orders that Postgres has accepted, beside running"
        " consumers. Exit code 0: equal or repaired, 1: drift, 2: not all compared."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        how = parser.add_mutually_exclusive_group()
        how.add_argument(
            "--deduct",
            action="store_const",
            dest="mend",
            const=Mend.DEDUCT,
            help="take lost deductions from the credit, never below 0",
        )
        how.add_argument(
            "--adopt",
            action="store_const",
            dest="mend",
            const=Mend.ADOPT,
            help="the credit is right as it is: count from it on, and forget unknown orders",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            outcome = reconciliation.run(options["mend"])
        except redis.RedisError as error:
            raise CommandError(f"Redis: {error}", returncode=UNKNOWN) from error
        except django.db.Error as error:
            raise CommandError(f"PostgreSQL: {str(error).strip()}", returncode=UNKNOWN) from error
        for line in [*outcome.found.lines(), *repaired(outcome), "", verdict(outcome)]:
            self.stdout.write(line)
        if outcome.left.drifts:
            sys.exit(DRIFT)
        if outcome.left.in_motion:
            sys.exit(UNKNOWN)


def repaired(outcome: Outcome) -> list[str]:
    """What was done, and what could not be."""
    lines = []
    for each in outcome.repairs:
        short = f", {text(each.short)} could not be: the credit is 0" if each.short else ""
        lines.append(f"  {each.user}: {text(each.deducted)} deducted{short}")
    return ["", f"Repaired: {plural(len(lines), 'user')}.", *lines] if lines else []


def verdict(outcome: Outcome) -> str:
    """What it comes to, and what to do."""
    left = outcome.left
    if not left.drifts:
        words = "Some users were not compared." if left.in_motion else "No drift."
        return f"{words} {outcome.seconds:.1f} s."
    return (
        f"Drift: {left.drifts:,}. `--deduct` takes lost deductions from the credit, `--adopt` takes"
        " the credit as right; a value that can't be read is to be set first."
    )

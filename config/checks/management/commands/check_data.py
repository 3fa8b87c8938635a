"""`manage.py check_data [NAME…]`: runs the checks here and now, for as long as they take.

Exit code 0: all is as it must be; 1: a check found something; 2: not all could be checked.
"""

import sys
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.checks import registry, running
from config.checks.findings import counted
from config.checks.models import CheckRun, CheckState, Origin

FOUND, UNKNOWN = 1, 2
SHOWN = 20
POLL_SECONDS = 0.5  # while a worker runs the same check


class Command(BaseCommand):
    help = (
        "Compare what is kept twice, beside everything that runs. Changes nothing. Exit code 0: all"
        " right, 1: something was found, 2: not all could be checked."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "names",
            nargs="*",
            metavar="NAME",
            help="all unless named",
        )
        parser.add_argument(
            "--seconds", type=float, metavar="S", help="at most so long for each (no limit)"
        )
        parser.add_argument(
            "--show", type=int, default=SHOWN, metavar="N", help=f"findings of each ({SHOWN})"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            checks = registry.chosen(options["names"])
        except registry.Unknown as error:
            raise CommandError(str(error), returncode=UNKNOWN) from None
        seconds = options["seconds"]
        if seconds is not None and seconds <= 0:
            raise CommandError("--seconds is above 0.", returncode=UNKNOWN)
        states = {self._run(check, seconds, max(0, options["show"])) for check in checks}
        if CheckState.FAILED in states:
            sys.exit(FOUND)
        if CheckState.ERROR in states:
            sys.exit(UNKNOWN)

    def _run(self, check: registry.Check, seconds: float | None, show: int) -> str:
        (run,) = running.start([check.name], origin=Origin.COMMAND)
        told = False
        while not running.run(run.pk, seconds):
            run.refresh_from_db()
            if run.ended:  # by a worker, which had it already
                break
            if not told:
                self.stdout.write(f"{check.title}: a worker runs it already; waiting for its end.")
                told = True
            time.sleep(POLL_SECONDS)
        run.refresh_from_db()
        self._tell(check, run, show)
        return run.state

    def _tell(self, check: registry.Check, run: CheckRun, show: int) -> None:
        took = "" if run.seconds is None else f" {run.seconds:.1f} s."
        label = CheckState(run.state).label
        if run.state == CheckState.FAILED:
            label = f"{counted(run.found, 'finding')}"
        self.stdout.write(f"{check.title}: {label}. {run.error or run.summary}{took}")
        for each in run.findings[:show]:
            self.stdout.write(f"  {each['place']}: {each['what']}\n      {each['advice']}")
        if run.found > min(show, len(run.findings)):
            self.stdout.write(f"  and {run.found - min(show, len(run.findings)):,} more")

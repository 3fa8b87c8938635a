"""One turn of all purges, one after another. Called by the task; outcome.py keeps its result."""

import logging
import time
from collections.abc import Sequence

from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection

from .outcome import Outcome
from .registry import PURGES, Purge

logger = logging.getLogger(__name__)

# Of one turn: below the tasks' time limit by what a last statement may take.
TURN_SECONDS = 80.0
STATEMENT_SECONDS, LOCK_SECONDS = 20, 3


def run(purges: Sequence[Purge] = PURGES, seconds: float = TURN_SECONDS) -> list[Outcome]:
    """Let each of them work for its share of `seconds`; what one leaves is the others'.

    One that fails is told of with its name, and the others go on. Raises SoftTimeLimitExceeded,
    which ends the turn.
    """
    ends = time.monotonic() + seconds
    outcomes = []
    for place, purge in enumerate(purges):
        began = time.monotonic()
        deadline = began + max(0.0, ends - began) / (len(purges) - place)
        deleted, error = 0, ""
        try:
            _bound_statements()
            deleted = purge.run(deadline) or 0
        except SoftTimeLimitExceeded:
            raise
        except Exception as failure:
            error = f"{type(failure).__name__}: {failure}".strip()
            logger.exception("retention: %s: not all was let go of", purge.name)
        now = time.monotonic()
        more = not error and now >= deadline
        outcomes.append(
            Outcome(purge.name, purge.setting, deleted, round(now - began, 3), more, error)
        )
        if deleted:
            logger.info(
                "retention: %s: %d rows%s", purge.name, deleted, ", more next time" if more else ""
            )
    _unbound_statements()
    return outcomes


def _bound_statements() -> None:
    """Whoever waits for a row or for a plan that went wrong gives up, and is asked again later."""
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()  # the one before may have lost it
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('statement_timeout', %s, false),"
            " set_config('lock_timeout', %s, false)",
            [f"{STATEMENT_SECONDS}s", f"{LOCK_SECONDS}s"],
        )


def _unbound_statements() -> None:
    """The process keeps its connection, and other tasks their own time-outs."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("RESET statement_timeout; RESET lock_timeout")
    except Exception:
        connection.close()

"""Who works on a job: claimed by conditional UPDATE, proved again in every step.

Each claim raises the job's `claim` number. A step's transaction first writes the
heartbeat WHERE the number is still its own; a frozen worker that wakes up after
another has taken over changes 0 rows and gives up (ClaimLost).
"""

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from .models import Job


class ClaimLost(Exception):
    """Somebody else works on this job now, or it has ended."""


@dataclass(frozen=True)
class Claim:
    """The right to work on a job until it is released or gone stale."""

    model: type[Job]
    job_id: int
    number: int
    stalls: int  # claims in a row, this one included, without any step done

    def __str__(self) -> str:
        return f"{self.model._meta.verbose_name} {self.job_id} claim {self.number}"


def take(model: type[Job], job_id: int) -> Claim | None:
    """Claim the job, unless it has ended or its holder's heartbeat is fresh."""
    table = model._meta.db_table
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            # A holder in the middle of a step keeps the row locked: don't queue up behind it.
            f"UPDATE {table} SET claim = claim + 1, stalls = stalls + 1,"
            " heartbeat_at = clock_timestamp()"
            f" WHERE id = (SELECT id FROM {table} WHERE id = %s FOR UPDATE SKIP LOCKED)"
            " AND state <> ALL (%s) AND (heartbeat_at IS NULL"
            " OR heartbeat_at < clock_timestamp() - make_interval(secs => %s))"
            " RETURNING claim, stalls",
            [job_id, list(model.ENDED), settings.IMPORT_STALE_SECONDS],
        )
        row = cursor.fetchone()
    return Claim(model, job_id, *row) if row else None


def hold(claim: Claim) -> Job:
    """The job, locked for this step's transaction; ClaimLost when it is not ours any more."""
    with connection.cursor() as cursor:
        # A step that hangs between two statements is ended by the server, so that a
        # frozen worker does not keep its locks.
        cursor.execute(
            "SELECT set_config('idle_in_transaction_session_timeout', %s, true)",
            [f"{int(settings.IMPORT_STALE_SECONDS * 1000)}ms"],
        )
        cursor.execute(
            f"UPDATE {claim.model._meta.db_table}"
            " SET heartbeat_at = clock_timestamp(), stalls = 0"
            " WHERE id = %s AND claim = %s AND state <> ALL (%s)",
            [claim.job_id, claim.number, list(claim.model.ENDED)],
        )
        if cursor.rowcount != 1:
            raise ClaimLost(str(claim))
    return claim.model._base_manager.get(pk=claim.job_id)


def release(claim: Claim, error: str = "") -> None:
    """Let others claim the job. After an `error` its count of stalls stays as it is."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {claim.model._meta.db_table} SET heartbeat_at = NULL, error = %s,"
            " stalls = CASE WHEN %s THEN 0 ELSE stalls END"
            " WHERE id = %s AND claim = %s AND state <> ALL (%s)",
            [error, not error, claim.job_id, claim.number, list(claim.model.ENDED)],
        )


def end(model: type[Job], job_id: int, state: str, error: str = "") -> bool:
    """Put the job into a final `state` and void any claim; False when it had ended already."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {model._meta.db_table} SET state = %s, error = %s, claim = claim + 1,"
            " heartbeat_at = NULL, finished_at = clock_timestamp()"
            " WHERE id = %s AND state <> ALL (%s)",
            [str(state), error, job_id, list(model.ENDED)],
        )
        return cursor.rowcount == 1


def unheld() -> Q:
    """The condition on jobs that no live worker holds."""
    stale = timezone.now() - timedelta(seconds=settings.IMPORT_STALE_SECONDS)
    return Q(heartbeat_at=None) | Q(heartbeat_at__lt=stale)

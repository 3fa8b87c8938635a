"""Who works on an import: claimed by conditional UPDATE, proved again in every step.

Each claim raises the import's `claim` number. A step's transaction first writes the
heartbeat WHERE the number is still its own; a frozen worker that wakes up after
another has taken over changes 0 rows and gives up (ClaimLost).
"""

import logging
from dataclasses import dataclass

from django.conf import settings
from django.db import connection, transaction

from products.models import Import, ImportState

logger = logging.getLogger(__name__)

SILENT_TIMES = 4  # of IMPORT_STALE_SECONDS: as long as nobody parses one part


class ClaimLost(Exception):
    """Somebody else works on this import now, or it has ended."""


@dataclass(frozen=True)
class Claim:
    """The right to work on an import until it is released or gone stale."""

    job_id: int
    number: int
    stalls: int  # claims in a row, this one included, without any step done


def take(job_id: int) -> Claim | None:
    """Claim the import, unless it has ended or its holder's heartbeat is fresh."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            # A holder in the middle of a step keeps the row locked: don't queue up behind it.
            "UPDATE products_import SET claim = claim + 1, stalls = stalls + 1,"
            " heartbeat_at = clock_timestamp()"
            " WHERE id = (SELECT id FROM products_import WHERE id = %s FOR UPDATE SKIP LOCKED)"
            " AND state <> ALL (%s) AND (heartbeat_at IS NULL"
            " OR heartbeat_at < clock_timestamp() - make_interval(secs => %s))"
            " RETURNING claim, stalls",
            [job_id, list(Import.ENDED), settings.IMPORT_STALE_SECONDS],
        )
        row = cursor.fetchone()
    return Claim(job_id, *row) if row else None


def hold(claim: Claim) -> Import:
    """The import, locked for this step's transaction; ClaimLost when it is not ours any more."""
    with connection.cursor() as cursor:
        # A step that hangs between two statements is ended by the server, so that a
        # frozen worker does not keep its locks.
        cursor.execute(
            "SELECT set_config('idle_in_transaction_session_timeout', %s, true)",
            [f"{int(settings.IMPORT_STALE_SECONDS * 1000)}ms"],
        )
        cursor.execute(
            "UPDATE products_import SET heartbeat_at = clock_timestamp(), stalls = 0"
            " WHERE id = %s AND claim = %s AND state <> ALL (%s)",
            [claim.job_id, claim.number, list(Import.ENDED)],
        )
        if cursor.rowcount != 1:
            raise ClaimLost(f"import {claim.job_id} claim {claim.number}")
    return Import.objects.select_related("upload").get(pk=claim.job_id)


def release(claim: Claim, error: str = "") -> None:
    """Let others claim the import. After an `error` its count of stalls stays as it is."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE products_import SET heartbeat_at = NULL, error = %s,"
            " stalls = CASE WHEN %s THEN 0 ELSE stalls END"
            " WHERE id = %s AND claim = %s AND state <> ALL (%s)",
            [error, not error, claim.job_id, claim.number, list(Import.ENDED)],
        )


def end_frozen_holders() -> int:
    """Cut off workers and web processes that went silent inside a transaction; returns how many.

    Stopped, or lost with their machine, they keep the row of their import or upload locked.
    In the middle of a COPY neither idle_in_transaction_session_timeout nor statement_timeout
    ends them. A COPY may also wait for one who parses a nasty part: hence SILENT_TIMES.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a"
            " WHERE a.datname = current_database() AND a.usename = current_user"
            " AND a.state IN ('active', 'idle in transaction') AND a.wait_event_type = 'Client'"
            " AND a.state_change < clock_timestamp() - make_interval(secs => %s)"
            " AND EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.granted"
            "   AND l.relation IN ('products_import'::regclass, 'products_upload'::regclass)"
            "   AND l.mode = 'RowExclusiveLock')",
            [settings.IMPORT_STALE_SECONDS * SILENT_TIMES],
        )
        if cursor.rowcount:
            logger.warning("ended %s frozen inside a transaction", cursor.rowcount)
        return cursor.rowcount


def end(job_id: int, state: ImportState, error: str = "") -> bool:
    """Put the import into a final `state` and void any claim; False when it had ended already."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE products_import SET state = %s, error = %s, claim = claim + 1,"
            " heartbeat_at = NULL, finished_at = clock_timestamp()"
            " WHERE id = %s AND state <> ALL (%s)",
            [state.value, error, job_id, list(Import.ENDED)],
        )
        return cursor.rowcount == 1

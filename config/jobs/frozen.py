"""Ends those who went silent inside a transaction. Called by the sweeps of jobs."""

import logging
from collections.abc import Sequence

from django.conf import settings
from django.db import connection

logger = logging.getLogger(__name__)

SILENT_TIMES = 4  # of IMPORT_STALE_SECONDS: as long as nobody thinks between two statements


def end_holders(tables: Sequence[str]) -> int:
    """Cut off workers and web processes that hold rows of `tables` and went silent; how many.

    Stopped, or lost with their machine, they keep the row of their job or upload locked. In the
    middle of a COPY neither idle_in_transaction_session_timeout nor statement_timeout ends them.
    A COPY may also wait for one who parses a nasty part: hence SILENT_TIMES.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a"
            " WHERE a.datname = current_database() AND a.usename = current_user"
            " AND a.state IN ('active', 'idle in transaction') AND a.wait_event_type = 'Client'"
            " AND a.state_change < clock_timestamp() - make_interval(secs => %s)"
            " AND EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.granted"
            "   AND l.relation = ANY (%s::regclass[]) AND l.mode = 'RowExclusiveLock')",
            [settings.IMPORT_STALE_SECONDS * SILENT_TIMES, list(tables)],
        )
        ended: int = cursor.rowcount
    if ended:
        logger.warning("ended %s frozen inside a transaction", ended)
    return ended

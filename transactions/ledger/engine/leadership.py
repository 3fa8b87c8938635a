"""One instance leads, others wait: a lock that ends with the leader's session of Postgres.

A frozen process keeps its session, so the leader gives a sign of life each few seconds; whoever
waits ends the session of one that does not.
"""

import logging
from typing import Any

import psycopg2

logger = logging.getLogger(__name__)

LOCK = 5_061_910_002
SIGN_SECONDS = 5.0
# Longer than any wait of a leader that is alive.
SILENT_SECONDS = 45
CONNECT_SECONDS = 5
# A leader whose machine is gone without a word is given up by Postgres after about this.
KEEPALIVE = {"keepalives": 1, "keepalives_idle": 5, "keepalives_interval": 5, "keepalives_count": 3}

HOLDER = """
SELECT pid FROM pg_locks
WHERE locktype = 'advisory' AND granted AND objsubid = 1
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND ((classid::bigint << 32) | objid::bigint) = %s
"""
END_SILENT = f"""
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid IN ({HOLDER}) AND state <> 'active'
  AND state_change < clock_timestamp() - make_interval(secs => %s)
"""


class NotLeading(Exception):
    """Another instance leads, or the session that held the lock is gone."""


def connect(url: str, name: str) -> Any:
    """A session of the ledger's database. Raises psycopg2.Error."""
    return psycopg2.connect(
        url,
        connect_timeout=CONNECT_SECONDS,
        application_name=f"stockroom-ledger-{name}",
        client_encoding="UTF8",
        # A statement that is compiled first would be late at the minute.
        options="-c lock_timeout=10s -c statement_timeout=120s -c jit=off",
        **KEEPALIVE,
    )


def take(connection: Any) -> None:
    """Lead as long as this session lasts. Raises NotLeading."""
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        if cursor.fetchone()[0]:
            return
        cursor.execute(END_SILENT, [LOCK, SILENT_SECONDS])
        if cursor.rowcount:
            logger.warning("ledger: the leader was silent for %d s, its lock ends", SILENT_SECONDS)
    raise NotLeading("another instance leads")


def sign(connection: Any) -> None:
    """Show that the leader is alive; to be called each SIGN_SECONDS. Raises psycopg2.Error."""
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT")


def is_led(connection: Any) -> bool:
    """Whether any instance leads, this one or another. Raises psycopg2.Error."""
    with connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS ({HOLDER})", [LOCK])
        return bool(cursor.fetchone()[0])

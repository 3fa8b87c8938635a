"""Statements that are better left out than waited for. Used by the catalogue and by imports.

A reader such as pg_dump keeps its lock on a table for minutes. Who waits for an exclusive one
behind it keeps all later readers waiting as well.
"""

from django.db import OperationalError, connection, transaction

LOCK_NOT_AVAILABLE = "55P03"


def run_within(milliseconds: int, statement: str) -> bool:
    """Run `statement`; False, and nothing is done, where a lock takes longer than this.

    A transaction around it goes on either way, with its own lock_timeout.
    """
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('lock_timeout')")
            (before,) = cursor.fetchone()
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{milliseconds}ms"])
            cursor.execute(statement)
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [before])
    except OperationalError as error:
        if getattr(error.__cause__, "pgcode", "") != LOCK_NOT_AVAILABLE:
            raise
        return False
    return True

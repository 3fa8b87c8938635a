"""`manage.py migrate`, which waits for a lock so long only that others hardly notice.

A statement that waits for a table's lock keeps all behind it waiting too. So each migration that
runs in a transaction gives up after MIGRATE_LOCK_SECONDS, is rolled back, and is tried again.
"""

import time
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import DEFAULT_DB_ALIAS, DatabaseError, OperationalError, connections

LOCK_NOT_AVAILABLE, DEADLOCK = "55P03", "40P01"
PAUSE_SECONDS = 2.0  # in which those who were held up go on
OTHERS = """
SELECT pid, coalesce(nullif(application_name, ''), '?'),
       extract(epoch FROM clock_timestamp() - xact_start)::int, left(query, 100)
FROM pg_stat_activity
WHERE xact_start < clock_timestamp() - interval '1 second' AND pid <> pg_backend_pid()
      AND datname = current_database() AND backend_type = 'client backend'
ORDER BY xact_start LIMIT 3
"""


class Command(migrate.Command):
    _present = ""

    def handle(self, *args: Any, **options: Any) -> None:
        database = options.get("database") or DEFAULT_DB_ALIAS
        self._connection = connections[database]
        tries = settings.MIGRATE_LOCK_TRIES
        for number in range(1, tries + 1):
            try:
                super().handle(*args, **options)
                return
            except OperationalError as error:
                if getattr(error.__cause__, "pgcode", "") not in (LOCK_NOT_AVAILABLE, DEADLOCK):
                    raise
                text = self._refusal(error)
                if number == tries:
                    raise CommandError(text) from error
                self.stderr.write(f"{text} Trying again ({number + 1} of {tries}).")
                time.sleep(PAUSE_SECONDS)
            finally:
                with suppress(DatabaseError):  # a broken connection has no setting to reset
                    self._set("")

    def migration_progress_callback(
        self, action: str, migration: Any = None, fake: bool = False
    ) -> None:
        if action == "apply_start":
            self._present = str(migration)
            # What is built concurrently keeps nobody waiting, and half built it would stay invalid.
            self._set(f"{settings.MIGRATE_LOCK_SECONDS}s" if migration.atomic else "")
        super().migration_progress_callback(action, migration, fake)

    def _set(self, timeout: str) -> None:
        connection = self._connection
        if connection.vendor == "postgresql" and connection.connection is not None:
            with connection.cursor() as cursor:
                if timeout:
                    cursor.execute("SELECT set_config('lock_timeout', %s, false)", [timeout])
                else:
                    cursor.execute("RESET lock_timeout")

    def _refusal(self, error: OperationalError) -> str:
        """What is in the way, as far as PostgreSQL tells."""
        with self._connection.cursor() as cursor:
            cursor.execute(OTHERS)
            others = [
                f"  process {pid} ({name}), for {seconds} s: {query}"
                for pid, name, seconds, query in cursor.fetchall()
            ]
        lines = [
            f"{self._present} needs a table that others have in use; waiting longer than"
            f" {settings.MIGRATE_LOCK_SECONDS} s would hold everybody up. Nothing of it was done.",
            *(["Open transactions:", *others] if others else []),
            "Run it again; end what is long first (SELECT pg_terminate_backend(pid)).",
        ]
        return "\n".join(lines)

"""How a kept connection is looked at before its next use: mostly without asking the server.

Django names this module: a backend's `base` with a `DatabaseWrapper`.
"""

import select
import time
from typing import Any

from django.db.backends.postgresql import base

# After so long without a use, something between here and the server may have forgotten it. Short,
# as a server that vanishes without a word is found out by the first statement of a request.
IDLE_SECONDS = 2.0


class DatabaseWrapper(base.DatabaseWrapper):
    """Asks `SELECT 1` before a request only where the connection was idle or is not quiet.

    Django asks before each. That is one round trip of the five that a request of the API makes. A
    server that ends a connection closes its socket, which can be seen from here.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._usable_at = float("-inf")  # monotonic seconds

    def is_usable(self) -> bool:
        """Whether a statement can be sent."""
        now = time.monotonic()
        recently = now - self._usable_at < IDLE_SECONDS
        if recently and not self.errors_occurred and _is_quiet(self.connection):
            usable = True
        else:
            usable = super().is_usable()
        self._usable_at = now if usable else float("-inf")
        return usable

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        made = super().get_new_connection(conn_params)
        self._usable_at = time.monotonic()
        return made


def _is_quiet(connection: Any) -> bool:
    """Whether nothing has come that nobody asked for: neither words of the server nor its end."""
    if connection is None or connection.closed:
        return False
    try:
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN | select.POLLPRI)
        return not poll.poll(0)
    except (base.Database.Error, OSError, ValueError):
        return False

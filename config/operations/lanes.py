"""Calls of engines that may hang, each engine's in a thread of its own. Used by who takes samples.

A call that has not come back in time is left alone, and none is made beside it: a frozen engine
costs one thread, however long it stays so.
"""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from django.db import connection


class Lane:
    """The calls of one engine, one after the other."""

    def __init__(self, name: str, *, in_database: bool = False, statement_ms: int = 1_000) -> None:
        """`in_database`: its calls use Django's connection, which ends with each turn, since ten
        seconds without use are dearer to a small database than a new one is to us."""
        self.name = name
        self._in_database, self._statement_ms = in_database, statement_ms
        self._thread: threading.Thread | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a turn has not come back."""
        return self._thread is not None and self._thread.is_alive()

    def begin(self, call: Callable[[], None]) -> bool:
        """Run `call`, which must not raise, in a thread. False where one has not come back."""
        if self.is_busy:
            return False
        run = self._with_database if self._in_database else _just
        # A daemon: one that hangs must not keep the process.
        self._thread = threading.Thread(
            target=run, args=(call,), name=f"operations.{self.name}", daemon=True
        )
        self._thread.start()
        return True

    def wait(self, seconds: float) -> bool:
        """Whether it has come back within `seconds`."""
        if self._thread is not None:
            self._thread.join(max(0.0, seconds))
        return not self.is_busy

    def _with_database(self, call: Callable[[], None]) -> None:
        # This thread's connection only.
        given: dict[str, Any] = connection.settings_dict
        options = dict(given.get("OPTIONS", {}))
        limit = f"-c statement_timeout={self._statement_ms}"
        options |= {
            "connect_timeout": 2,  # libpq's least
            "application_name": "stockroom-operations",
            "options": f"{options.get('options', '')} {limit}".strip(),
        }
        connection.settings_dict = {**given, "OPTIONS": options}
        try:
            call()
        finally:
            connection.close()


def _just(call: Callable[[], None]) -> None:
    call()


def wait_for(lanes: Iterable[Lane], seconds: float) -> None:
    """Until all have come back, `seconds` at most."""
    deadline = time.monotonic() + seconds
    for lane in lanes:
        lane.wait(deadline - time.monotonic())

"""How long a check may go on, and what it says meanwhile. Made by running.py, asked by checks."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import OperationalError, connection, transaction

from .findings import NotChecked

CANCELLED = "57014"  # PostgreSQL: by statement_timeout


class Lost(Exception):
    """Somebody else runs this check now, or it was ended: give up."""


class Watch:
    """The bounds of one run. `seconds`: None for as long as it takes."""

    def __init__(self, seconds: float | None = None, *, reuse_seconds: float = 0) -> None:
        """`reuse_seconds`: how old the outcome of another's comparison may be to be taken."""
        self.seconds = seconds
        self.reuse_seconds = reuse_seconds
        self.until = math.inf if seconds is None else time.monotonic() + seconds
        self.words = ""  # how far it is; shown while it runs
        self.lost = False

    def over(self) -> bool:
        """Whether the time is up. Raises Lost."""
        if self.lost:
            raise Lost
        return time.monotonic() >= self.until

    def say(self, words: str) -> None:
        """How far it is."""
        self.words = words

    def left(self) -> float | None:
        """Seconds, None for as many as it takes."""
        return None if self.seconds is None else max(0.001, self.until - time.monotonic())

    def deadline(self) -> float | None:
        """By time.monotonic(), None for none."""
        return None if self.seconds is None else self.until

    @contextmanager
    def cursor(self) -> Iterator[Any]:
        """A cursor of one snapshot whose statements end with the time. Raises NotChecked."""
        self.over()
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                if not connection.savepoint_ids:  # it is the outermost
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                left = self.left()
                milliseconds = 0 if left is None else max(1, round(1000 * left))
                cursor.execute(
                    "SELECT set_config('statement_timeout', %s, true)", [str(milliseconds)]
                )
                yield cursor
        except OperationalError as error:
            if getattr(error.__cause__, "pgcode", "") == CANCELLED:
                raise self.too_long() from error
            raise

    def too_long(self) -> NotChecked:
        """To be raised where nothing can be said of a part."""
        return NotChecked(
            f"It takes longer than {self.seconds:g} s, which is all that a worker gives it."
            " `manage.py check_data` has no such limit."
        )

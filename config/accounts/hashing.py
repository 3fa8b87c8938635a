"""How many passwords are hashed at once. Used by the login form.

A hash takes a third of a second of a processor, on purpose, and anyone may ask for it: without a
limit a flood of logins takes all processors and all threads from the pages.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

MAX_AT_ONCE = 2  # in one process
MAX_WAITING = 2  # each holds a thread of the pages
WAIT_SECONDS = 2.0

_places = threading.BoundedSemaphore(MAX_AT_ONCE + MAX_WAITING)
_processors = threading.BoundedSemaphore(MAX_AT_ONCE)


class Busy(Exception):
    """Too many want a password checked just now."""


@contextmanager
def place() -> Iterator[None]:
    """A place among those who may hash a password; raises Busy when there is none soon."""
    if not _places.acquire(blocking=False):
        raise Busy
    try:
        if not _processors.acquire(timeout=WAIT_SECONDS):
            raise Busy
        try:
            yield
        finally:
            _processors.release()
    finally:
        _places.release()

"""Keeps an outage of Redis from taking all threads of a web process: each would wait seconds."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import redis

AWAY = (redis.ConnectionError, redis.TimeoutError)


class Gate:
    """Open to all as long as Redis answers. While it does not, one at a time tries."""

    def __init__(self) -> None:
        self._trying = threading.Lock()
        self._error: redis.RedisError | None = None  # of the last try, None after an answer

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Around calls of Redis.

        Raises what the last one failed with, at once, while another tries whether Redis is back.
        """
        error = self._error
        if error is not None and not self._trying.acquire(blocking=False):
            raise type(error)(*error.args) from error
        try:
            yield
        except AWAY as failure:
            self._error = failure.with_traceback(None)
            raise
        else:
            self._error = None
        finally:
            if error is not None:
                self._trying.release()

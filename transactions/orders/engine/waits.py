"""What the consumer waits for, said once."""

import logging

import redis
from django.db import InterfaceError, InternalError, OperationalError

logger = logging.getLogger(__name__)

# Internal: a read-only replica, a session that was idle for too long.
DATABASE_AWAY = (OperationalError, InterfaceError, InternalError)
# With what it refuses (READONLY, OOM, MISCONF): no order of its own can cause that.
REDIS_AWAY = (redis.ConnectionError, redis.TimeoutError, redis.ResponseError, OSError)


class Waits:
    """By what is held up: "claims", "decisions"."""

    def __init__(self) -> None:
        self._words: dict[str, str] = {}

    def begin(self, what: str, error: Exception) -> None:
        """`what` is held up by this."""
        engine = ""
        if isinstance(error, DATABASE_AWAY):
            engine = "PostgreSQL: "
        elif isinstance(error, redis.RedisError | OSError):
            engine = "Redis (PRICES_REDIS_URL): "
        words = f"{engine}{str(error).strip() or type(error).__name__}"
        if self._words.get(what) != words:
            logger.warning("%s of orders wait for %s", what, words)
        self._words[what] = words

    def end(self, what: str) -> None:
        """`what` goes on."""
        if self._words.pop(what, None):
            logger.info("%s of orders go on", what)

    def __contains__(self, what: str) -> bool:
        return what in self._words

    def words(self) -> list[str]:
        """For people, without repetitions."""
        return list(dict.fromkeys(self._words.values()))

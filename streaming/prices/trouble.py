"""What keeps prices waiting, in words for operators."""

from urllib.parse import urlsplit

import redis
from django.conf import settings

from streaming.kafka_log import KafkaError, connection


def in_words(error: Exception) -> str:
    """What is wrong and what to do about it."""
    if isinstance(error, redis.RedisError):
        return _redis_in_words(error)
    if isinstance(error, (KafkaError, OSError)):
        return connection.in_words(error)
    return str(error)


def _redis_in_words(error: redis.RedisError) -> str:
    parts = urlsplit(settings.PRICES_REDIS_URL)
    where = f"Redis at {parts.hostname}:{parts.port or 6379}"
    said = str(error).rstrip(".")[:300]
    match error:
        case redis.AuthenticationError() | redis.exceptions.NoPermissionError():
            return f"{where} refuses our user or password ({said}). Correct PRICES_REDIS_URL."
        case redis.BusyLoadingError():
            return f"{where} is loading its data. Work goes on by itself once it has."
        case redis.exceptions.OutOfMemoryError():
            return (
                f"{where} is full ({said}). Raise its maxmemory, or bound the histories by "
                "PRICES_HISTORY_KEPT."
            )
        case redis.ReadOnlyError():
            return (
                f"{where} is a copy that takes no writes. Let PRICES_REDIS_URL lead to its master."
            )
        case redis.ConnectionError() | redis.TimeoutError():
            reason = _reason(error)
            return (
                f"{where} can't be reached: {reason}. Start it, or correct PRICES_REDIS_URL. Work "
                "goes on by itself once it answers."
            )
    return f"{where} could not do what was asked ({said or type(error).__name__})."


def _reason(error: redis.RedisError) -> str:
    said = str(error)
    if isinstance(error, redis.TimeoutError) or "imed out" in said:
        return "no answer in time"
    if "refused" in said:
        return "connection refused"
    if "closed by server" in said or "reset" in said:
        return "it ends our connections"
    return said[:300] or "the connection was lost"

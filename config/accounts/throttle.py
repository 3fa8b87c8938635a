"""Failed logins, counted per account and address. Called by the login form."""

import hashlib
import logging

from django.core.cache import cache
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 10
WINDOW_SECONDS = 300


def attempt(account: str, address: str) -> bool:
    """Count a login attempt; False when there were too many in the last minutes.

    It counts before the password is looked at, so that attempts sent at the same
    time can't slip through together. Without Redis logins go on, unthrottled.
    """
    key = _key(account, address)
    try:
        cache.add(key, 0, WINDOW_SECONDS)
        allowed = cache.incr(key) <= MAX_ATTEMPTS
    except ValueError:  # the window ended between the two calls
        return True
    except RedisError as error:
        logger.warning("login attempts are not throttled, the cache is away: %s", error)
        return True
    if not allowed:
        logger.warning("too many failed logins from %s for one account", address)
    return allowed


def forget(account: str, address: str) -> None:
    """A login succeeded: start counting anew."""
    try:
        cache.delete(_key(account, address))
    except RedisError as error:
        logger.warning("login attempts could not be reset, the cache is away: %s", error)


def _key(account: str, address: str) -> str:
    # Hashed: names may hold characters that keys may not, and logs of keys stay anonymous.
    who = hashlib.sha256(f"{account.casefold()}\0{address}".encode()).hexdigest()
    return f"login-attempts:{who}"

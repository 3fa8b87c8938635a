"""Failed logins, counted per account, address and pair of both. Called by the login form."""

import hashlib
import logging
from contextlib import suppress

from django.core.cache import cache
from redis.exceptions import RedisError

from config import counters

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 10  # on one account from one address
MAX_FROM_ADDRESS = 100  # an office may share one
MAX_ON_ACCOUNT = 50  # from many addresses
WINDOW_SECONDS = 300
KEY_PREFIX = "login-attempts"


def attempt(account: str, address: str) -> bool:
    """Count a login attempt; False when there were too many in the last minutes.

    It counts before the password is looked at, so that attempts sent at the same
    time can't slip through together. Without Redis logins go on, unthrottled.
    """
    # In this order, and not beyond a refusal: nobody locks an account, or the office that they
    # share an address with, by attempts that are refused anyway.
    try:
        for key, most in _limits(account, address):
            if counters.count(key, WINDOW_SECONDS).count > most:
                logger.warning("too many failed logins from %s for one account", address)
                return False
    except RedisError as error:
        logger.warning("login attempts are not throttled, the cache is away: %s", error)
    return True


def forget(account: str, address: str) -> None:
    """A login succeeded: it was no failure, and the pair's count begins anew."""
    (pair, _), *others = _limits(account, address)
    try:
        cache.delete(pair)
        for key, _ in others:
            _uncount(key)
    except RedisError as error:
        logger.warning("login attempts could not be reset, the cache is away: %s", error)


def _limits(account: str, address: str) -> list[tuple[str, int]]:
    account = account.casefold()
    return [
        (_key("pair", account, address), MAX_ATTEMPTS),
        (_key("address", address), MAX_FROM_ADDRESS),
        (_key("account", account), MAX_ON_ACCOUNT),
    ]


def _uncount(key: str) -> None:
    with suppress(ValueError):  # the window has ended
        cache.decr(key)


def _key(*who: str) -> str:
    # Hashed: names may hold characters that keys may not, and logs of keys stay anonymous.
    digest = hashlib.sha256("\0".join(who).encode()).hexdigest()
    return f"{KEY_PREFIX}:{digest}"

"""A minute of performance: asked for at its beginning, each calculation at most once within it.

Called by `tasks.py`. A calculation that is late, fails, or dies without a word is made again in the
next minute, which the store sees to: what it finds open it gives out again.
"""

import logging
import time
from collections.abc import Iterable
from datetime import UTC, datetime

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings

from . import performance
from .calculations import Asked
from .stocks import Stock
from .store import Store

logger = logging.getLogger(__name__)

MINUTE = 60
# Clocks of machines differ: what is asked so little before a minute is meant for it.
SKEW_SECONDS = 1.0
# So many minutes without anybody who asks: then nobody does.
SILENT_MINUTES = 2
WHO_ASKS = "the processes `beat` and `performance` do that each minute."


def current(now: float) -> int:
    """The Unix minute that is asked for at this instant."""
    return int((now + SKEW_SECONDS) // MINUTE)


def last_start(minute: int) -> float:
    """The instant after which no calculation of this minute begins: it might not end within it."""
    seconds: float = settings.PRICES_PERFORMANCE_SECONDS
    return (minute + 1) * MINUTE - seconds


def ask(store: Store, minute: int, now: float) -> list[Asked]:
    """What is to be calculated in this minute; nothing the second time, or when it is too late.

    Asked too late, all of it would go down as not begun, and the next minute is near.
    """
    if now > last_start(minute):
        logger.info("minute %d was asked for too late", minute)
        return []
    asked = store.ask(minute)
    if asked:
        logger.info("performance of %d stocks is asked for", len(asked))
    return asked


def calculate(store: Store, asked: Asked, now: float) -> bool:
    """Calculate what was asked for and store the outcome; whether a result was stored.

    Nothing happens a second time for the same stock and minute, or when it is too late to begin.
    Whatever the function does ends as a failure in the store, unless it ends this process.
    """
    if now > last_start(asked.minute):
        logger.info("%s of minute %d would begin too late", asked.stock, asked.minute)
        return False
    try:
        return store.begin(asked) and _finish(store, asked)
    except SoftTimeLimitExceeded:
        # Which may have come between a command and its answer: that is not to answer the next.
        store.client.connection_pool.disconnect()
        return _fail(store, asked, _over_run())


def _finish(store: Store, asked: Asked) -> bool:
    began = time.perf_counter()
    try:
        token = performance.result(settings.PRICES_PERFORMANCE, asked.price)
    except performance.Failure as failure:
        return _fail(store, asked, str(failure))
    seconds = time.perf_counter() - began
    if not store.finish(asked, token, seconds):
        logger.warning("result for %s came after %.1f s, too late", asked.stock, seconds)
        return False
    logger.info("%s at %s: %s in %.1f s", asked.stock, asked.price, token, seconds)
    return True


def _fail(store: Store, asked: Asked, words: str) -> bool:
    logger.warning("%s at %s has no performance: %s", asked.stock, asked.price, words)
    store.fail(asked, words)
    return False


def _over_run() -> str:
    return f"The calculation took longer than {settings.PRICES_PERFORMANCE_SECONDS:g} s."


def trouble(asked_minute: int | None, stocks: Iterable[Stock], now: float) -> str:
    """What people should know about calculations, "" when all is well.

    `asked_minute` is the last minute that was asked for, None for none ever.
    """
    stocks = list(stocks)
    waiting = [each for each in stocks if each.latest not in ("", each.calculated_price)]
    if waiting and asked_minute is None:
        return f"Nobody has asked for performance yet: {WHO_ASKS}"
    if waiting and asked_minute is not None and current(now) - asked_minute > SILENT_MINUTES:
        last = datetime.fromtimestamp(asked_minute * MINUTE, UTC)
        return f"Nobody has asked for performance since {last:%Y-%m-%d %H:%M} UTC: {WHO_ASKS}"
    failed = [each for each in stocks if each.failure]
    if not failed:
        return ""
    newest = max(failed, key=lambda each: each.failed_at or 0.0)
    count = f"{len(failed)} of {len(stocks)} stocks"
    return f"No new performance of {count}, the last of {newest.name}: {newest.failure}"

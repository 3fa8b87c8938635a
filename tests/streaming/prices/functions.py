"""Functions for PRICES_PERFORMANCE whose price says what they do, and what tells how they fared."""

import os
import signal
import sys
import time
from collections.abc import Callable

import redis

from streaming.prices.performance import calculate_performance

CALLS, RELEASE = "test:calls", "test:release"
# Prices that have something done; every other is doubled.
RAISES, NAN, TEXT, SLEEPS, DEAF, DIES, EXITS, HELD = 10, 11, 12, 13, 14, 15, 16, 17
LONG_SECONDS = 60.0

hook: Callable[[int | float], object] = abs
"""What `hooked` does; for tests in one process."""


def by_price(stock_price: int | float) -> object:
    """Tell of the call (`price pid`), then do as the price says."""
    # Without a time-out, which would end the wait of HELD.
    with redis.Redis.from_url(os.environ["PRICES_REDIS_URL"], socket_timeout=None) as client:
        client.rpush(CALLS, f"{stock_price} {os.getpid()}")
        if stock_price == RAISES:
            raise ValueError(f"no use for {stock_price}\nat all \udc80")
        if stock_price == NAN:
            return float("nan")
        if stock_price == TEXT:
            return "much"
        if stock_price == SLEEPS:
            time.sleep(LONG_SECONDS)
        if stock_price == DEAF:
            deaf(LONG_SECONDS)
        if stock_price == DIES:
            os.kill(os.getpid(), signal.SIGKILL)
        if stock_price == EXITS:
            sys.exit(3)
        if stock_price == HELD:
            client.blpop([RELEASE], LONG_SECONDS)
        return stock_price * 2


def deaf(seconds: float) -> None:
    """Hear of no time-out."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            time.sleep(seconds)
        except Exception:
            continue


def hooked(stock_price: int | float) -> object:
    return hook(stock_price)


NOT_CALLABLE = 7


def counted(stock_price: int | float) -> int | float:
    """Tell of the call (`price time pid`), take as long as the specification's, give the price."""
    with redis.Redis.from_url(os.environ["PRICES_REDIS_URL"]) as client:
        client.rpush(CALLS, f"{stock_price} {time.time()} {os.getpid()}")
    calculate_performance(stock_price)
    return stock_price

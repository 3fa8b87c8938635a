"""Celery tasks of prices: one bounded call each, safe to run twice.

Only prefork ends a calculation that overruns. In `-P threads` and `-P solo` it holds its thread as
long as it likes; its result is dropped where its minute is over.
"""

import time
from datetime import UTC, datetime

from django.conf import settings

from config.celery import app

from . import minute as minutes
from .calculations import Asked
from .store import Store

# For a function that can't hear its time-out: its process is killed, which the next minute sees.
GRACE_SECONDS = 2


@app.task
def ask(minute: int | None = None) -> None:
    """Have performance calculated of the stocks whose price has changed; beat sends it each minute.

    `minute` is a Unix minute, by default that of now.
    """
    now = time.time()
    minute = minutes.current(now) if minute is None else minute
    expires = datetime.fromtimestamp(minutes.last_start(minute), UTC)
    for asked in minutes.ask(Store.from_settings(), minute, now):
        calculate.apply_async(tuple(asked), expires=expires)


@app.task(
    soft_time_limit=settings.PRICES_PERFORMANCE_SECONDS,
    time_limit=settings.PRICES_PERFORMANCE_SECONDS + GRACE_SECONDS,
)
def calculate(stock: str, price: str, minute: int) -> None:
    """Calculate the performance of one stock in one minute, once."""
    minutes.calculate(Store.from_settings(), Asked(stock, price, minute), time.time())

"""What the instances of `ledger` show of themselves: a snapshot each, in Redis.

The consumer publishes within `shown`, from a thread of its own; pages and API read. Open pages are
told by the channel `ledger`, at most once in SNAPSHOT_SECONDS, when anything has changed.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import redis

from config.live.board import Board
from config.live.rates import Rates

logger = logging.getLogger(__name__)

SNAPSHOT_SECONDS = 1.0
RENEW_SECONDS = 3.0
END_SECONDS = 3.0
GROUP = "ledger"

BOARD = Board("ledger", lambda: RENEW_SECONDS)
CHANNEL = BOARD.name

snapshots = BOARD.snapshots


def instance() -> str:
    """The name of this process."""
    return f"{os.environ.get('DYNO') or socket.gethostname()}.{os.getpid()}"


@contextmanager
def shown(health: Callable[[], dict[str, Any]]) -> Iterator[None]:
    """What `health` says (LedgerConsumer.health) is on the board as long as the block lasts."""
    stop = threading.Event()
    thread = threading.Thread(target=_run, args=(health, stop), name="ledger.show", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(END_SECONDS)
        with suppress(redis.RedisError):
            BOARD.remove(GROUP, instance())


def _run(health: Callable[[], dict[str, Any]], stop: threading.Event) -> None:
    rates, away = Rates(), False
    newest: dict[str, Any] = {}
    renew_at = 0.0
    while True:
        now = time.monotonic()
        found = health()
        (rate,) = rates.add(now, found["rows"] + found["repeated"] + found["rejected"])
        found = {**found, "rate": rate}
        if found != newest or now >= renew_at:
            newest, renew_at = found, now + RENEW_SECONDS
            try:
                publish(found)
            except redis.RedisError as error:
                if not away:
                    logger.warning("ledger can't show how things are: %s", error)
                away, newest = True, {}
            else:
                away = False
        if stop.wait(SNAPSHOT_SECONDS):
            return


def publish(health: dict[str, Any]) -> None:
    """Put this instance on the board. Raises redis.RedisError."""
    name = {"group": GROUP, "instance": instance()}
    process = {"host": socket.gethostname(), "pid": os.getpid()}
    BOARD.publish({**name, **process, "at": time.time(), **health})

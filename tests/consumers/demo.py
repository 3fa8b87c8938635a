"""The demonstration consumer of these tests: moves items of one Redis list to another."""

import os
import signal
import threading
from typing import Any

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from config.consumers import host

POLL_SECONDS = 0.05
# How long a signal that comes again counts as the same one, where that is not the default.
if repeat_seconds := os.environ.get("DEMO_REPEAT_SECONDS"):
    host.REPEAT_SECONDS = float(repeat_seconds)


class Demo:
    """Moves `<DEMO_KEY>:in` to `<DEMO_KEY>:out` in the Redis of DEMO_URL, in order.

    Items that are orders to itself: `crash` raises, `return` returns unasked, `hold` makes it wait
    after the stop until something is in `<DEMO_KEY>:release`, `sick` makes `health()` raise,
    `signal` is a SIGTERM that wakes no other thread than this one.
    """

    def __init__(self) -> None:
        self.moved = 0
        self.holding = False
        self.sick = False

    def run(self, stop: threading.Event) -> None:
        key = os.environ["DEMO_KEY"]
        client = redis.Redis.from_url(
            os.environ["DEMO_URL"], retry=Retry(ConstantBackoff(POLL_SECONDS), 100)
        )
        while not stop.is_set():
            item = client.blmove(f"{key}:in", f"{key}:out", POLL_SECONDS, "LEFT", "RIGHT")
            if item is None:
                continue
            self.moved += 1
            if item == b"crash":
                raise RuntimeError("ordered to crash")
            if item == b"return":
                return
            if item == b"signal":
                signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
            self.holding = self.holding or item == b"hold"
            self.sick = item == b"sick"
        client.rpush(f"{key}:out", "stopping")
        while self.holding and client.lpop(f"{key}:release") is None:
            threading.Event().wait(POLL_SECONDS)
        client.rpush(f"{key}:out", "drained")
        client.close()

    def health(self) -> dict[str, Any]:
        if self.sick:
            raise ValueError("not well")
        return {"moved": self.moved}

"""Full minutes of the system's clock. Pure but for the waiting, whose clock can be replaced."""

import threading
import time
from collections.abc import Callable

MINUTE = 60
# A clock that is set meanwhile is noticed this soon.
LOOK_SECONDS = 0.25


def next_minute(now: float) -> int:
    """The first full minute after `now`, both in unix seconds."""
    return (int(now // MINUTE) + 1) * MINUTE


def wait_until(at: float, stop: threading.Event, clock: Callable[[], float] = time.time) -> bool:
    """Until the clock shows `at`; False where `stop` is set before, or the clock was set back.

    A clock that was set back by more than a minute shows another next minute than that.
    """
    while not stop.is_set():
        left = at - clock()
        if left <= 0:
            return True
        if left > MINUTE:
            return False
        stop.wait(min(left, LOOK_SECONDS))
    return False

"""Lets a command finish what it holds when it is told to end (Ctrl-C, SIGTERM)."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interruption:
    """Whether the end was asked for."""

    # A plain attribute: an Event's lock may be held by the very code that the signal interrupts.
    asked: bool = False

    def __call__(self) -> bool:
        return self.asked


@contextmanager
def noticed() -> Iterator[Interruption]:
    """Within the block a first signal is only noted; a second one raises KeyboardInterrupt.

    Only in the main thread.
    """
    interruption = Interruption()

    def note(number: int, frame: FrameType | None) -> None:
        interruption.asked = True
        for each in before:
            signal.signal(each, signal.default_int_handler)

    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    for each in before:
        signal.signal(each, note)
    try:
        yield interruption
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)

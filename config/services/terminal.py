"""A terminal that may take nothing (Ctrl-S, a pager, a hung ssh) and then stops nobody."""

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

HELD_CHARACTERS = 1024 * 1024


class Terminal:
    """Lines are written by one thread of its own; its methods may be called from any thread."""

    def __init__(self, stream: TextIO, left_out: Callable[[int], str]) -> None:
        """`left_out` says in a line how many lines were not shown, once some can be again."""
        self._stream = stream
        self._left_out = left_out
        self._lines: deque[str] = deque()
        self._held = 0
        self._dropped = 0
        self._writing = False
        self._changed = threading.Condition()
        threading.Thread(target=self._write, name="terminal", daemon=True).start()

    def show(self, line: str) -> None:
        """Show a line, or leave it out when HELD_CHARACTERS wait. Returns at once."""
        with self._changed:
            # Once lines are left out, all are until what waits is shown: then how many they were.
            if self._dropped or self._held > HELD_CHARACTERS:
                self._dropped += 1
                return
            self._lines.append(line)
            self._held += len(line)
            self._changed.notify_all()

    def flush(self, seconds: float) -> bool:
        """Wait until all is shown, at most `seconds`. Returns whether it is."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while self._lines or self._writing:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def _write(self) -> None:
        while True:
            line = self._next()
            # A closed terminal must stop no process.
            with suppress(OSError, ValueError):
                self._stream.write(f"{line}\n")
                self._stream.flush()

    def _next(self) -> str:
        with self._changed:
            self._writing = False
            self._changed.notify_all()
            while not self._lines and not self._dropped:
                self._changed.wait()
            self._writing = True
            if self._lines:
                line = self._lines.popleft()
                self._held -= len(line)
                return line
            dropped, self._dropped = self._dropped, 0
            return self._left_out(dropped)

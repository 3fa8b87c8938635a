"""Lines of many processes in one terminal, each with its process's name, and in a log file each."""

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from config.services.terminal import Terminal

FILE_LIMIT_BYTES = 10 * 1024 * 1024
COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
NAME_WIDTH = 10


class Output:
    """Shared by all processes of a stack; its methods may be called from any thread."""

    def __init__(self, log_dir: Path, terminal: TextIO | None) -> None:
        """Lines go to `<log_dir>/<name>.log` and to `terminal` (None: nowhere).

        A log is moved to `<name>.log.1` past FILE_LIMIT_BYTES, so each holds at most twice that.
        A terminal that takes no more misses lines, and is told how many once it does again.
        Names are coloured when `terminal` is one and NO_COLOR is unset.
        """
        log_dir.mkdir(parents=True, exist_ok=True)
        self._log_dir = log_dir
        self._coloured = terminal is not None and terminal.isatty() and "NO_COLOR" not in os.environ
        self._colours: dict[str, int] = {}
        self._lock = threading.Lock()
        self._terminal = None if terminal is None else Terminal(terminal, self._left_out)

    def line(self, name: str, text: str, *, log: bool = True) -> None:
        """Show one line of process `name`; with `log` also append it to its file."""
        with self._lock:
            if log:
                # A full disk must stop no process.
                with suppress(OSError):
                    self._append(self._log_dir / f"{name}.log", text)
            prefix = self._prefix(name)
        if self._terminal is not None:
            self._terminal.show(f"{prefix} {text}")

    def flush(self, seconds: float) -> bool:
        """Wait until the terminal has all lines, at most `seconds`. Returns whether it has."""
        return self._terminal is None or self._terminal.flush(seconds)

    def _left_out(self, lines: int) -> str:
        return f"… {lines} lines left out: the terminal took none. They are in {self._log_dir}"

    def _prefix(self, name: str) -> str:
        prefix = f"{name:<{NAME_WIDTH}} |"
        if not self._coloured:
            return prefix
        colour = self._colours.setdefault(name, COLOURS[len(self._colours) % len(COLOURS)])
        return f"\x1b[{colour}m{prefix}\x1b[0m"

    @staticmethod
    def _append(path: Path, text: str) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(text + "\n")
            full = file.tell() > FILE_LIMIT_BYTES
        if full:
            path.replace(path.with_suffix(".log.1"))

"""Lines of many processes in one terminal, each with its process's name, and in a log file each."""

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import TextIO

FILE_LIMIT_BYTES = 10 * 1024 * 1024
COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
NAME_WIDTH = 10


class Output:
    """Shared by all processes of a stack; its methods may be called from any thread."""

    def __init__(self, log_dir: Path, terminal: TextIO | None) -> None:
        """Lines go to `terminal` (None: nowhere) and to `<log_dir>/<name>.log`.

        A log is moved to `<name>.log.1` past FILE_LIMIT_BYTES, so each holds at most twice that.
        Names are coloured when `terminal` is one and NO_COLOR is unset.
        """
        log_dir.mkdir(parents=True, exist_ok=True)
        self._log_dir = log_dir
        self._terminal = terminal
        self._coloured = terminal is not None and terminal.isatty() and "NO_COLOR" not in os.environ
        self._colours: dict[str, int] = {}
        self._lock = threading.Lock()

    def line(self, name: str, text: str, *, log: bool = True) -> None:
        """Show one line of process `name`; with `log` also append it to its file."""
        with self._lock:
            if self._terminal is not None:
                # A closed terminal or a full disk must stop no process.
                with suppress(OSError, ValueError):
                    self._terminal.write(f"{self._prefix(name)} {text}\n")
                    self._terminal.flush()
            if log:
                with suppress(OSError):
                    self._append(self._log_dir / f"{name}.log", text)

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

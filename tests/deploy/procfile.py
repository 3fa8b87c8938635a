"""The lines of the Procfile, and the processes they start: as Heroku does, by bash, in a group."""

import os
import re
import signal
import subprocess
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]


def lines() -> dict[str, str]:
    """Command by name of the process type."""
    found = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
    assert all(re.fullmatch("[A-Za-z0-9_-]{1,30}", name) for name in found)
    return found


class Dyno:
    """One started line, all its processes in a group of their own."""

    def __init__(self, name: str, command: str, environment: dict[str, str], folder: Path) -> None:
        self.name = name
        self._log = folder / f"{name}.log"
        with self._log.open("wb") as output:
            self.child = subprocess.Popen(
                ["bash", "-c", command],
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def says(self, text: str) -> bool:
        """Whether its output has `text`; AssertionError when it has ended."""
        found = text in self.log
        assert found or self.child.poll() is None, f"{self.name} has ended:\n{self.log}"
        return found

    def processes(self) -> list[psutil.Process]:
        """It and its children."""
        try:
            leader = psutil.Process(self.child.pid)
            return [leader, *leader.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def memory_bytes(self) -> int:
        """What its processes hold together; what they share is counted once."""
        total = 0
        for process in self.processes():
            try:
                total += process.memory_full_info().pss
            except psutil.Error:
                continue  # it has just ended
        return total

    def stop(self) -> None:
        """SIGTERM to all of them at once, as a dyno gets it."""
        os.killpg(self.child.pid, signal.SIGTERM)

    def kill(self) -> None:
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.child.wait()

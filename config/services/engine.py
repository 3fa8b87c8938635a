"""What the four engines have in common; `postgres.py`, `valkey.py`, `kafka.py`, `rabbitmq.py`."""

import logging
import os
import signal
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar

from config.services.spawn import CommandError, kill_tree, run, spawn

logger = logging.getLogger(__name__)

LOG_LIMIT_BYTES = 10 * 1024 * 1024
TAIL_BYTES = 2000
POLL_SECONDS = 0.05
TELL_SECONDS = 30.0


class EngineError(RuntimeError):
    """An engine can't be had or did not start. The text is for the user and says what to do."""


class Engine(ABC):
    """A server run as a foreground child of this process, on loopback, with its data in a folder.

    Its addresses are known from construction on and stay the same through `kill` and `start`, so
    that a test can take the server away under a running client. All methods may be called from any
    thread.
    """

    name: ClassVar[str]
    provides: ClassVar[tuple[str, ...]]
    """Names of the environment variables of `variables()`."""

    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    stop_seconds: ClassVar[float] = 30.0
    ready_seconds: ClassVar[float] = 900.0
    """How long a start may take that does not say it recovers: Kafka checks its files silently."""

    death_signal: ClassVar[signal.Signals] = signal.SIGKILL

    def __init__(self, var_dir: Path) -> None:
        """`var_dir` gets this engine's data (`<var_dir>/<name>`) and log (`log/<name>.log`)."""
        self.var_dir = var_dir.resolve()
        self.data_dir = self.var_dir / self.name
        self.log_path = self.var_dir / "log" / f"{self.name}.log"
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.RLock()
        self._cancelled = threading.Event()
        self._log_offset = 0

    @abstractmethod
    def variables(self) -> dict[str, str]:
        """Environment variables by which the application finds this engine."""

    @abstractmethod
    def _prepare(self) -> None:
        """Make the data folder and configuration; raise EngineError when something is missing."""

    @abstractmethod
    def _command(self) -> list[str]:
        """The server's command line."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Whether the running child serves clients."""

    def _is_recovering(self) -> bool:
        """Whether the running child says that it reads its data: then it is waited for."""
        return False

    def _environment(self) -> Mapping[str, str]:
        return os.environ

    def _user(self) -> str | None:
        """System user the server runs as, None for ours."""
        return None

    @property
    def running(self) -> bool:
        """Whether the server's process is alive."""
        child = self._child
        return child is not None and child.poll() is None

    @property
    def pid(self) -> int | None:
        """Process id of the running server, else None."""
        child = self._child
        return child.pid if child is not None and child.poll() is None else None

    def start(self) -> None:
        """Start the server and return when it serves; nothing happens when it already runs.

        Raises EngineError with the command to install what is missing, or with the end of the
        server's log when it exits or, without saying that it recovers, is not ready in time. Each
        TELL_SECONDS of waiting are a line of this module's logger.
        """
        with self._lock:
            if self.running:
                return
            if self._child is not None:
                self._end(self._child)
            self._prepare()
            logger.info("starting %s", self.name)
            self._child = self._spawn(self._command())
            self._wait_until_ready(self._child)

    def stop(self) -> None:
        """Stop the server gracefully, by force when it takes longer than `stop_seconds`.

        A start that is going on in another thread is given up.
        """
        with self._exclusively():
            if self._child is not None:
                self._end_orderly(self._child)

    def kill(self) -> None:
        """SIGKILL the server, as a crash would. `start` recovers on the same address and data."""
        with self._exclusively():
            if self._child is not None:
                self._end(self._child)

    def close(self) -> None:
        """Stop, and give the engine's ports back."""
        self.stop()

    @contextmanager
    def _exclusively(self) -> Iterator[None]:
        """Hold the lock, cutting short a start that holds it."""
        self._cancelled.set()
        with self._lock:
            self._cancelled.clear()
            yield

    def bound_log(self) -> None:
        """Keep the log within LOG_LIMIT_BYTES, and as much of what was before in `.log.1`.

        The server goes on appending to the same file. What it writes between the copy and the cut
        is lost.
        """
        with self._lock:
            if not self.log_path.exists() or self.log_path.stat().st_size <= LOG_LIMIT_BYTES:
                return
            older = self.log_path.with_suffix(".log.1")
            try:
                with self.log_path.open("rb") as log, older.open("wb") as kept:
                    log.seek(-LOG_LIMIT_BYTES, os.SEEK_END)
                    kept.write(log.read(LOG_LIMIT_BYTES))
            except OSError:  # on a full disk room is worth more
                older.unlink(missing_ok=True)
            os.truncate(self.log_path, 0)
            self._log_offset = 0

    def _end_orderly(self, child: subprocess.Popen[bytes]) -> None:
        if child.poll() is None:
            child.send_signal(self.stop_signal)
            with suppress(subprocess.TimeoutExpired):
                child.wait(self.stop_seconds)
        self._end(child)

    def _end(self, child: subprocess.Popen[bytes]) -> None:
        kill_tree(child)
        self._child = None

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        self.bound_log()
        with self.log_path.open("ab") as log:
            self._log_offset = log.tell()
            return spawn(
                command,
                environment=self._environment(),
                directory=self.data_dir,
                output=log,
                user=self._user(),
                death_signal=self.death_signal,
            )

    def _wait_until_ready(self, child: subprocess.Popen[bytes]) -> None:
        began = told = time.monotonic()
        deadline = began + self.ready_seconds
        while not self._is_ready():
            code = child.poll()
            if code is not None:
                self._end(child)
                raise EngineError(
                    f"{self.name} exited with code {code} while starting:\n{self._log_tail()}"
                )
            if self._cancelled.is_set():
                # Who cancels it ends it: in an orderly way or not.
                raise EngineError(f"{self.name} was stopped while starting")
            now = time.monotonic()
            if now > told + TELL_SECONDS:
                told = now
                recovers = self._is_recovering()
                if recovers:
                    deadline = now + self.ready_seconds
                doing = f"still {'recovers its data' if recovers else 'starts'}"
                taken = now - began
                logger.warning("%s %s after %.0f s (%s)", self.name, doing, taken, self.log_path)
                self.bound_log()
            if now > deadline and not self._is_recovering():
                self._end_orderly(child)
                raise EngineError(
                    f"{self.name} was not ready after {now - began:.0f} s:\n{self._log_tail()}"
                )
            time.sleep(POLL_SECONDS)

    def _run(self, command: list[str], timeout_seconds: float, text: str = "") -> None:
        """Run a command that prepares the server. Raises EngineError with its output's end."""
        try:
            code, output, errors = run(
                command,
                environment=self._environment(),
                directory=self.var_dir,
                timeout_seconds=timeout_seconds,
                text=text,
                user=self._user(),
                cancelled=self._cancelled,
            )
        except CommandError as error:
            raise EngineError(f"{self.name} can't be prepared: {error}") from error
        output = f"{output}{errors}"
        if code != 0 or "ERROR:" in output or "FATAL:" in output:
            # Without the command's input, which may hold a password.
            raise EngineError(
                f"{self.name} can't be prepared, {Path(command[0]).name} ended with code {code}:\n"
                f"{output.strip()[-TAIL_BYTES:]}"
            )

    def _log_tail(self) -> str:
        """End of what the last start has logged, and where the rest is."""
        with self.log_path.open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(self._log_offset, log.tell() - TAIL_BYTES))
            text = log.read().decode(errors="replace").strip()
        return f"{text}\n({self.log_path})"

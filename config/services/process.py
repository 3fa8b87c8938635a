"""One supervised application process: restarted when it ends by itself, stopped gracefully."""

import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from config.logs.json_lines import note
from config.services.output import Output
from config.services.spawn import kill_tree, spawn

LINE_LIMIT_BYTES = 64 * 1024
HEALTHY_SECONDS = 30.0


class Process:
    """A command that is kept running between `start` and `stop`.

    When it ends by itself, whatever it left behind is killed and it is started again after a
    delay, which doubles from the first to the last of `backoff_seconds` and begins anew once a
    process has lived for HEALTHY_SECONDS. All methods may be called from any thread.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        directory: Path,
        output: Output,
        pass_fds: Sequence[int] = (),
        stop_signal: signal.Signals = signal.SIGTERM,
        stop_seconds: float = 30.0,
        backoff_seconds: tuple[float, float] = (0.5, 10.0),
    ) -> None:
        """`name` marks its lines of output. After `stop_signal` it has `stop_seconds` to end."""
        self.name = name
        self.command = list(command)
        self.environment = dict(environment)
        self.starts = 0
        """How often it was started, restarts included."""
        self._directory = directory
        self._output = output
        self._pass_fds = tuple(pass_fds)
        self._stop_signal = stop_signal
        self._stop_seconds = stop_seconds
        self._backoff_seconds = backoff_seconds
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._monitor: threading.Thread | None = None
        self._lock = threading.RLock()

    @property
    def running(self) -> bool:
        """Whether the process itself (the leader, not its workers) is alive at this moment."""
        child = self._child
        return child is not None and child.poll() is None

    @property
    def pid(self) -> int | None:
        """Its process id, None while it is not running."""
        child = self._child
        return child.pid if child is not None and child.poll() is None else None

    def start(self) -> None:
        """Start it and keep it running. Nothing happens when that is so already."""
        with self._lock:
            if self._monitor is not None and self._monitor.is_alive():
                return
            self._stopping.clear()
            # The first child is made here, so that `pid` is known on return.
            child = self._spawn()
            self._monitor = threading.Thread(
                target=self._watch, args=(child,), name=f"monitor {self.name}", daemon=True
            )
            self._monitor.start()

    def stop(self, *, stop_seconds: float | None = None) -> None:
        """Ask it to end, kill all of it after `stop_seconds` (its own by default), and wait."""
        with self._lock:
            self._stopping.set()
            child, monitor = self._child, self._monitor
            if monitor is None:
                return
            if child is not None and child.poll() is None:
                with suppress(ProcessLookupError):
                    child.send_signal(self._stop_signal)
                try:
                    child.wait(self._stop_seconds if stop_seconds is None else stop_seconds)
                except subprocess.TimeoutExpired:
                    self._say("did not end in time and is killed")
                    kill_tree(child)
            monitor.join()
            self._monitor = None

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send it a signal as an outsider would; when it ends of that, it is started again."""
        child = self._child
        if child is not None and child.poll() is None:
            with suppress(ProcessLookupError):
                child.send_signal(number)

    def kill_all(self) -> None:
        """Kill it and all its descendants at once, and start nothing again."""
        self._stopping.set()
        child = self._child
        if child is not None:
            kill_tree(child)

    def restart(self) -> None:
        """Stop it gracefully and start it again."""
        with self._lock:
            self.stop()
            self.start()

    def _say(self, text: str) -> None:
        if self.environment.get("LOG_FORMAT") == "json":
            self._output.line(self.name, note("supervisor", __name__, text))
        else:
            self._output.line(self.name, f"-- {text}")

    def _spawn(self) -> subprocess.Popen[bytes]:
        child = spawn(
            self.command,
            environment=self.environment,
            directory=self._directory,
            output=subprocess.PIPE,
            pass_fds=self._pass_fds,
        )
        self._child = child
        self.starts += 1
        self._say(f"started, process {child.pid}")
        return child

    def _watch(self, first_child: subprocess.Popen[bytes]) -> None:
        first, last = self._backoff_seconds
        delay = first
        child: subprocess.Popen[bytes] | None = first_child
        while True:
            began = time.monotonic()
            code = 0
            try:
                if child is None:
                    child = self._spawn()
                    if self._stopping.is_set():  # `stop` looked at the process before this one
                        kill_tree(child)
                code = self._follow(child)
                how = f"ended by itself with {_reason(code)}"
            except Exception as error:  # no fork, one that can't be killed: nobody else goes on
                how = f"could not go on ({error})"
                if child is not None:
                    with suppress(Exception):
                        kill_tree(child)
            child = None
            if self._stopping.is_set():
                self._say("stopped" if code == 0 else f"stopped with {_reason(code)}")
                return
            if time.monotonic() - began > HEALTHY_SECONDS:
                delay = first
            self._say(f"{how}, starts again in {delay:g} s")
            if self._stopping.wait(delay):
                return
            delay = min(delay * 2, last)

    def _follow(self, child: subprocess.Popen[bytes]) -> int:
        """Show its lines until it ends, kill what it left behind, and return its exit code."""
        assert child.stdout is not None
        pump = threading.Thread(target=self._pump, args=(child.stdout,), daemon=True)
        pump.start()
        code = child.wait()
        # Workers that outlive their master would hold its port, its tasks and our pipe.
        kill_tree(child)
        pump.join()
        return code

    def _pump(self, stream: IO[bytes]) -> None:
        with stream:
            while line := stream.readline(LINE_LIMIT_BYTES):
                self._output.line(self.name, line.decode(errors="replace").rstrip("\r\n"))


def _reason(code: int) -> str:
    if code >= 0:
        return f"code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"

"""Starts child processes that can't outlive this one, however it ends.

Used by the engines (`engine.py`) and the supervised application processes (`process.py`).
"""

import atexit
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple

import psutil

HERE = Path(__file__).parent
REAPER_SECONDS = 10.0
MINUTE_SECONDS = 60.0


class _Spawner:
    """One thread that forks every child, and the reaper that watches this process.

    The kernel sends a parent-death signal when the *thread* that forked ends, not the process; so
    all forks happen in one thread that lives as long as the process.
    """

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._jobs: queue.SimpleQueue[tuple[Callable[[], object], Future[object]]] = (
            queue.SimpleQueue()
        )
        self._lock = threading.Lock()
        self._reaper: subprocess.Popen[str] | None = None
        threading.Thread(target=self._run, name="spawner", daemon=True).start()
        atexit.register(self.close)

    def _run(self) -> None:
        while True:
            job, future = self._jobs.get()
            try:
                future.set_result(job())
            except BaseException as error:
                future.set_exception(error)

    def call(self, job: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        future: Future[object] = Future()
        self._jobs.put((job, future))
        child = future.result()
        assert isinstance(child, subprocess.Popen)
        self.tell(f"+{child.pid}")
        return child

    def tell(self, line: str) -> None:
        """Report a started or ended session leader to the reaper, starting it when needed."""
        if os.getpid() != self.owner:
            return
        with self._lock:
            if self._reaper is None or self._reaper.poll() is not None:
                self._reaper = subprocess.Popen(
                    [sys.executable, str(HERE / "reaper.py")],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    cwd="/",
                    start_new_session=True,
                )
            assert self._reaper.stdin is not None
            with suppress(BrokenPipeError):
                self._reaper.stdin.write(line + "\n")
                self._reaper.stdin.flush()

    def close(self) -> None:
        """Let the reaper end; what is still registered then is killed."""
        if os.getpid() != self.owner:  # a forked child runs our atexit hooks too
            return
        with self._lock:
            if self._reaper is not None:
                assert self._reaper.stdin is not None
                with suppress(OSError):
                    self._reaper.stdin.close()
                with suppress(subprocess.TimeoutExpired):
                    self._reaper.wait(REAPER_SECONDS)


_spawner: _Spawner | None = None
_spawner_lock = threading.Lock()


def _get_spawner() -> _Spawner:
    global _spawner
    with _spawner_lock:
        # Threads and the reaper's pipe don't survive a fork: a forked process gets its own.
        if _spawner is None or _spawner.owner != os.getpid():
            _spawner = _Spawner()
        return _spawner


def spawn(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    directory: Path,
    output: IO[bytes] | int,
    errors: IO[bytes] | int = subprocess.STDOUT,
    input: IO[bytes] | int = subprocess.DEVNULL,
    user: str | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start `command` as the leader of its own session and return its handle.

    Standard output goes to `output` (a file or `subprocess.PIPE`), standard error there too unless
    `errors` says otherwise; standard input is empty unless `input` is given. Its own session keeps
    a terminal's Ctrl-C away from it: stopping is our decision. `user` (only as root) is the system
    user it runs as. When this process dies, the kernel sends the child `death_signal`, and the
    reaper then kills its whole session.

    Raises OSError when it can't be forked. A command that can't be executed exits 1 with a line in
    its output.
    """
    launcher = [sys.executable, "-I", "-S", str(HERE / "launch.py")]
    launcher += [str(os.getpid()), str(int(death_signal)), user or "-"]

    def fork() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*launcher, *command],
            env=dict(environment),
            cwd=directory,
            stdin=input,
            stdout=output,
            stderr=errors,
            start_new_session=True,
            pass_fds=tuple(pass_fds),
        )

    return _get_spawner().call(fork)


class CommandError(RuntimeError):
    """A command did not end in time, or was cancelled."""


class Ended(NamedTuple):
    """What a command that was run to its end has left: exit code, standard output and error."""

    code: int
    output: str
    errors: str


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    directory: Path,
    timeout_seconds: float | None,
    text: str = "",
    user: str | None = None,
    cancelled: threading.Event | None = None,
    each_minute: Callable[[int], object] | None = None,
) -> Ended:
    """Run a command to its end with `text` as its input; return what it left.

    `each_minute` is called with the minutes it has taken so far, each time one more is over.
    Raises CommandError, after killing all of it, when it takes longer than `timeout_seconds`
    (None: no limit) or `cancelled` is set meanwhile.
    """
    began = time.monotonic()
    minutes = 0
    with (
        tempfile.TemporaryFile() as source,
        tempfile.TemporaryFile() as output,
        tempfile.TemporaryFile() as errors,
    ):
        source.write(text.encode())
        source.seek(0)
        child = spawn(
            command,
            environment=environment,
            directory=directory,
            output=output,
            errors=errors,
            input=source,
            user=user,
        )
        try:
            while child.poll() is None:
                if cancelled is not None and cancelled.is_set():
                    raise CommandError(f"{Path(command[0]).name} was cancelled")
                taken = time.monotonic() - began
                if timeout_seconds is not None and taken > timeout_seconds:
                    raise CommandError(
                        f"{Path(command[0]).name} did not end within {timeout_seconds:.0f} s"
                    )
                if each_minute is not None and taken >= (minutes + 1) * MINUTE_SECONDS:
                    minutes += 1
                    each_minute(minutes)
                with suppress(subprocess.TimeoutExpired):
                    child.wait(0.1)
        finally:
            kill_tree(child)
        output.seek(0)
        errors.seek(0)
        return Ended(
            child.returncode,
            output.read().decode(errors="replace"),
            errors.read().decode(errors="replace"),
        )


def forget(child: subprocess.Popen[bytes]) -> None:
    """Tell the reaper that this child has ended and been waited for: its number may be reused."""
    _get_spawner().tell(f"-{child.pid}")


def tree(child: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The child, all its descendants and every other member of its session that is alive."""
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError, PermissionError):
            if os.getsid(process.pid) == child.pid:
                found[process.pid] = process
                for descendant in process.children(recursive=True):
                    found[descendant.pid] = descendant
    return list(found.values())


def kill_tree(child: subprocess.Popen[bytes], *, wait_seconds: float = 10.0) -> None:
    """SIGKILL the child and all that belongs to it, and wait until they are gone.

    Raises psutil.TimeoutExpired when one is still there after `wait_seconds` (a process in
    uninterruptible disk sleep).
    """
    members = tree(child)
    for process in members:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    child.wait(wait_seconds)
    deadline = time.monotonic() + wait_seconds
    for process in members:
        while _is_alive(process):
            if time.monotonic() > deadline:
                raise psutil.TimeoutExpired(wait_seconds, pid=process.pid)
            time.sleep(0.01)
    forget(child)


def _is_alive(process: psutil.Process) -> bool:
    """Dead ones whose new parent has not fetched their exit code yet hold nothing any more."""
    try:
        return process.is_running() and bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False

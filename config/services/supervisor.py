"""`make run`: brings Stockroom up on this machine, shows its lines, takes it down on Ctrl-C."""

import fcntl
import logging
import os
import signal
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import TextIO

from config.services import env_file, install
from config.services.engine import EngineError
from config.services.engines import ENGINES
from config.services.kafka import cache_dir
from config.services.output import Output
from config.services.stack import PROJECT, Stack
from config.services.stack_error import StackError
from config.services.state_folder import writable

logger = logging.getLogger(__name__)

NAME = "stockroom"
AT_ONCE = ("postgres", "valkey")
TOOLS: dict[str, Callable[[], list[install.Tool]]] = {
    # Maven is needed only to download.
    "kafka": lambda: [install.JAVA] if cache_dir().exists() else [install.JAVA, install.MAVEN],
    "rabbitmq": lambda: [install.RABBITMQ],
}
POLL_SECONDS = 0.2
SHOW_SECONDS = 2.0
NO_ACCOUNT = """\
SECURE is on: no demo account is made.
The first admin: .venv/bin/python manage.py createsuperuser"""


class Supervisor:
    """One run of the stack: `run` returns its exit code once nothing of it is left."""

    def __init__(self, var_dir: Path, environment: Mapping[str, str], terminal: TextIO) -> None:
        """`var_dir` and `environment` as of the functions below."""
        self._var_dir = var_dir
        self._environment = environment
        self._terminal = terminal
        self._output = Output(var_dir / "log", terminal)
        self._signals = 0
        self._failed: BaseException | None = None

    def run(self) -> int:
        """Start all, wait for a signal, stop all. 0 after a signal, 1 when it could not start.

        Ends the process itself where the terminal takes nothing any more.
        """
        code = self._run()
        if not self._output.flush(SHOW_SECONDS):
            # A thread hangs in a write, with the lock of stdout that Python's end would wait for.
            os._exit(code)
        return code

    def _run(self) -> int:
        lock = self._lock()
        if lock is None:
            return 1
        with lock:
            # Of a run that was killed: its addresses are others' by now.
            (self._var_dir / "run.env").unlink(missing_ok=True)
            handler = _LineHandler(self._output)
            logging.getLogger("config.services").addHandler(handler)
            logging.getLogger("config.services").setLevel(logging.INFO)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                # nohup has it ignored, so that a logout ends nothing. Not so SIGINT, which scripts
                # have ignored for what they run with `&`: `kill -INT` is to stop it there too.
                if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                    signal.signal(number, self._on_signal)
            try:
                stack = self._make_stack()
            except (StackError, EngineError, OSError) as error:
                self._say(str(error))
                return 1
            lock.truncate(0)
            lock.write(stack.address)
            lock.flush()
            starting = self._thread(lambda: self._bring_up(stack))
            while not self._signals and self._failed is None:
                threading.Event().wait(POLL_SECONDS)
            return self._take_down(stack, starting)

    def _lock(self) -> TextIO | None:
        """The lock that keeps a second run off this folder; None, with a message, when it is held.

        The file says where the running one answers. The kernel frees the lock with its process.
        """
        path = self._var_dir / "run.lock"
        try:
            lock = path.open("a+")
        except OSError as error:  # e.g. root's, from a run with sudo
            self._say(f"{path} can't be written: {error.strerror}")
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            self._say(f"Stockroom is already running at {lock.read() or '(starting)'}")
            lock.close()
            return None
        return lock

    def _make_stack(self) -> Stack:
        names = self._environment.get("STOCKROOM_ENGINES")
        engines = [n.strip() for n in names.split(",") if n.strip()] if names else list(ENGINES)
        return Stack(self._var_dir, self._environment, engines=engines, output=self._output)

    def _bring_up(self, stack: Stack) -> None:
        """Postgres and Valkey, the database, web and workers; brokers join when they are ready."""
        self._say("starting; Ctrl-C stops it")
        stack.check_settings()
        stack.start_engines(AT_ONCE)
        stack.write_run_env()
        brokers = [n for n in stack.engines if n not in AT_ONCE]
        stack.prepare()
        stack.start_processes()
        account = demo_account(stack)  # while web starts
        stack.wait_ready()
        self._announce(stack, account)
        for name in brokers:
            self._join_broker(stack, name)

    def _join_broker(self, stack: Stack, name: str) -> None:
        try:
            install.ensure(TOOLS[name]())
            stack.start_engines([name])
        except StackError:
            pass  # stopping
        except (OSError, RuntimeError) as error:  # EngineError, no room for the download, no home
            if not self._signals:
                self._say(f"{name} is not there; all else runs. {error}")
        else:
            self._say(f"{name} is ready")

    def _announce(self, stack: Stack, account: str) -> None:
        lines = [f"Stockroom is running at {stack.address}", ""]
        lines += [line for line in account.strip().splitlines() if line]
        lines += ["", f"Logs: {self._var_dir / 'log'}", "Ctrl-C stops it"]
        width = max(len(line) for line in lines)
        box = [f"╭{'─' * (width + 4)}╮"]
        box += [f"│  {line:<{width}}  │" for line in lines]
        box += [f"╰{'─' * (width + 4)}╯"]
        for line in box:
            # On the terminal only: the account's password and token belong in no log.
            self._output.line(NAME, line, log=False)

    def _take_down(self, stack: Stack, starting: threading.Thread) -> int:
        if self._failed is not None:
            self._say(str(self._failed))
        self._say("stopping; Ctrl-C again stops it at once")
        asked = self._signals
        stopping = self._thread(stack.stop)
        while stopping.is_alive() or starting.is_alive():
            if self._signals > asked:
                # Not joined: a thread may hang in the very thing that is to be cut short. The
                # reaper kills what this leaves.
                killing = self._thread(stack.kill)
                killing.join(5.0)
                self._say("stopped at once")
                self._output.flush(SHOW_SECONDS)
                os._exit(130)
            threading.Event().wait(POLL_SECONDS)
        self._say("stopped")
        return 1 if self._failed is not None else 0

    def _thread(self, job: Callable[[], object]) -> threading.Thread:
        """Run `job` in a daemon thread; its error ends the run."""

        def run() -> None:
            try:
                job()
            except (StackError, EngineError, OSError) as error:
                if self._failed is None and not self._signals:
                    self._failed = error
            except BaseException as error:
                self._failed = error
                raise

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1

    def _say(self, text: str) -> None:
        for line in text.splitlines():
            self._output.line(NAME, line)


class _LineHandler(logging.Handler):
    """Shows what config.services logs among the processes' lines."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._lines = output

    def emit(self, record: logging.LogRecord) -> None:
        for line in record.getMessage().splitlines():
            self._lines.line(NAME, line)


def demo_account(stack: Stack) -> str:
    """Lines for people on the demo account, made where it is missing; none where SECURE is on."""
    return NO_ACCOUNT if stack.secure else stack.manage("ensure_demo")


def with_env_file(environment: Mapping[str, str], path: Path = PROJECT / ".env") -> dict[str, str]:
    """`environment` with the variables of `.env` beneath it. Raises StackError."""
    try:
        return {**env_file.read(path), **environment}
    except (OSError, UnicodeDecodeError) as error:
        raise StackError(f"{path} can't be read: {error}") from error


def var_dir(environment: Mapping[str, str]) -> Path:
    """The state folder: STOCKROOM_VAR, by default `var`, from the project on; made when missing.

    Raises StackError when it can't be made or written to.
    """
    return writable(PROJECT / (environment.get("STOCKROOM_VAR") or "var"))

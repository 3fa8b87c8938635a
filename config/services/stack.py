"""A whole Stockroom on this machine: engines and application processes.

Used by `supervisor.py` (`make run`), by tests and by bench/.
"""

import http.client
import logging
import re
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from marshmallow.fields import Boolean

from config.services import env_file
from config.services.engine import Engine
from config.services.engines import ENGINES
from config.services.output import Output
from config.services.ports import LOOPBACK, listen
from config.services.process import Process
from config.services.processes import ROLES, roles
from config.services.secret_file import secret
from config.services.spawn import CommandError, Ended, run
from config.services.stack_error import CommandFailed, StackError
from config.services.state_folder import writable
from config.services.static_files import StaticFiles
from config.services.watch import Watch

logger = logging.getLogger(__name__)

PROJECT = Path(__file__).resolve().parents[2]
COMMAND_SECONDS = 600.0
# How long these take is a matter of how much data there is; a cut one begins anew.
UNLIMITED_COMMANDS = {"migrate", "reconcile_orders"}
READY_SECONDS = 240.0  # on a machine that does much else
MAX_WEB_PROCESSES = 64
WEBHOOKS_HERE = {
    "WEBHOOK_ALLOW_HTTP": "1",
    "WEBHOOK_PORTS": "",
    "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8,::1/128",
}
"""Receivers that are tried out on this machine, on any port; not where others reach Stockroom."""
# No proxy of the environment (http_proxy) leads to this machine's loopback.
DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Stack:
    """Engines that the environment gives no address for, and processes of the roles asked for.

    Everything is built at construction, so all addresses are known; nothing runs before
    `start_engines` and `start_processes`, or `start` for all in order. Use it as a context manager
    to have it closed.
    """

    def __init__(
        self,
        var_dir: Path,
        environment: Mapping[str, str],
        *,
        roles: Sequence[str] = ROLES,
        engines: Iterable[str] = tuple(ENGINES),
        port: int | None = None,
        output: Output | None = None,
    ) -> None:
        """`environment` is what the processes get, with our addresses and defaults added to it.

        An empty variable counts as not given, but for those of webhooks: empty means none there.
        `roles` may name a role more than once. `port` is that of web: 0 for any free one, None for
        PORT in `environment`, else 8000 or the next free. Raises StackError when it can't be had,
        an engine's name is unknown, WEB_CONCURRENCY is wrong or `var_dir` can't be written to;
        ValueError for an unknown role.
        """
        self.var_dir = writable(var_dir)
        self.output = output or Output(self.var_dir / "log", None)
        self._base = {
            name: value for name, value in environment.items() if value or name in WEBHOOKS_HERE
        }
        self.secure = self._base.get("SECURE", "0") not in Boolean.falsy
        self.engines: dict[str, Engine] = {}
        self._stopping = threading.Event()
        self._watch = Watch(self._stopping)
        self._whole_number("WEB_CONCURRENCY", MAX_WEB_PROCESSES)
        try:
            wanted_port = port if port is not None else self._whole_number("PORT", 65535)
            self._listener = listen(wanted_port)
        except OSError as error:
            raise StackError(f"Web can't listen: {error.strerror}. Set PORT to another.") from error
        self._make_engines(engines)
        self.address = f"http://{LOOPBACK}:{self._listener.getsockname()[1]}"
        self.environment = self._complete_environment()
        self.processes = self._make_processes(roles)

    def _whole_number(self, name: str, highest: int) -> int | None:
        """The number in variable `name`, None without one; StackError when not in 1..highest."""
        value = self._base.get(name)
        if value is None:
            return None
        if not re.fullmatch("[0-9]{1,9}", value) or not 0 < int(value) <= highest:
            raise StackError(f"{name} is {value!r}, but must be a number from 1 to {highest}")
        return int(value)

    def _make_engines(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in ENGINES:
                raise StackError(
                    f"There is no engine {name!r}; STOCKROOM_ENGINES knows {', '.join(ENGINES)}"
                )
            engine = ENGINES[name](self.var_dir)
            if all(variable in self._base for variable in engine.provides):
                engine.close()
            else:
                self.engines[name] = engine

    def _complete_environment(self) -> dict[str, str]:
        given = {}
        for engine in self.engines.values():
            given.update(engine.variables())
        return {
            "SECRET_KEY": secret(self.var_dir, "SECRET_KEY"),
            "DEBUG": "0",
            "SECURE": "0",  # plain http on this machine
            "ALLOWED_HOSTS": "localhost,127.0.0.1",
            **({} if self.secure else WEBHOOKS_HERE),
            "DJANGO_SETTINGS_MODULE": "config.settings",
            **given,
            **self._base,
            "STOCKROOM_VAR": str(self.var_dir),
            "PYTHONUNBUFFERED": "1",
        }

    def _make_processes(self, names: Sequence[str]) -> dict[str, Process]:
        known = roles(self.var_dir, self.environment, self._listener.fileno())
        processes: dict[str, Process] = {}
        for name in names:
            if name not in known:
                raise ValueError(f"unknown role {name!r}")
            index = 1
            while f"{name}.{index}" in processes:
                index += 1
            role = known[name]
            processes[f"{name}.{index}"] = Process(
                f"{name}.{index}",
                [part.replace("{index}", str(index)) for part in role.command],
                environment=self.environment,
                directory=PROJECT,
                output=self.output,
                pass_fds=[self._listener.fileno()] if role.listens else [],
                stop_seconds=role.stop_seconds,
            )
        return processes

    def __enter__(self) -> "Stack":
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start all engines, migrate, collect static files, start all processes, wait for web.

        Raises EngineError and StackError.
        """
        self.check_settings()
        self.start_engines()
        self.prepare()
        self.start_processes()
        self.wait_ready()

    def start_engines(self, names: Iterable[str] | None = None) -> None:
        """Start these engines (all by default) at the same time and return when they are ready.

        From then on one that dies is started again on the same address and data. Raises the first
        EngineError; names of engines that the environment gave are passed over.
        """
        wanted = [n for n in (self.engines if names is None else names) if n in self.engines]
        with ThreadPoolExecutor(max_workers=len(self.engines) or 1) as pool:
            for future in [pool.submit(self._start_engine, name) for name in wanted]:
                future.result()

    def _start_engine(self, name: str) -> None:
        self._refuse_when_stopping()
        self.engines[name].start()
        if self._stopping.is_set():
            self.engines[name].stop()
            raise StackError("Stopping")
        self._watch.over(self.engines[name])

    def leave_engine(self, name: str) -> Engine:
        """Stop watching an engine and return it: a test that kills it decides when it is back."""
        self._watch.leave(self.engines[name])
        return self.engines[name]

    def manage(self, *arguments: str) -> str:
        """Run `manage.py` to its end and return its standard output.

        Raises CommandFailed with all it printed when it fails; StackError when it takes longer than
        COMMAND_SECONDS (none of UNLIMITED_COMMANDS does), or the stack stops.
        """
        limit = None if arguments[0] in UNLIMITED_COMMANDS else COMMAND_SECONDS
        code, output, errors = self._run_python(
            f"manage.py {arguments[0]}", ["manage.py", *arguments], limit
        )
        if code != 0:
            text = (output + errors).strip()
            raise CommandFailed(f"manage.py {arguments[0]} failed with code {code}:\n{text}", code)
        return output

    def _run_python(self, name: str, arguments: Sequence[str], limit: float | None) -> Ended:
        """Raises StackError when it takes longer than `limit` seconds, or the stack stops."""
        self._refuse_when_stopping()
        try:
            return run(
                [sys.executable, *arguments],
                environment=self.environment,
                directory=PROJECT,
                timeout_seconds=limit,
                cancelled=self._stopping,
                each_minute=lambda minutes: logger.warning(
                    "%s is at work for %d min", name, minutes
                ),
            )
        except CommandError as error:
            raise StackError(f"{name}: {error}") from error

    def check_settings(self) -> None:
        """Raise StackError with the one line that matters when a variable has a wrong value.

        All addresses are known before any engine runs, so a typing error need not wait for them.
        """
        code, _, errors = self._run_python(
            "config.settings", ["-c", "import config.settings"], COMMAND_SECONDS
        )
        if code != 0:
            last = (errors.strip().splitlines() or ["config.settings can't be loaded"])[-1]
            raise StackError(last.removeprefix("django.core.exceptions.ImproperlyConfigured: "))

    def prepare(self) -> None:
        """Bring the database's tables and the static files up to date. Raises StackError."""
        # Static files need no database, and two processes use two cores.
        _all_at_once([self._migrate, self._collect_static])

    def _migrate(self) -> None:
        self.manage("migrate", "--noinput", "-v", "0")

    def _collect_static(self) -> None:
        files = StaticFiles(PROJECT, self.var_dir)
        if not files.are_current():
            self.manage("collectstatic", "--noinput", "-v", "0")
            files.mark_current()

    def start_processes(self, names: Iterable[str] | None = None) -> None:
        """Start these processes, e.g. `web.1` (all by default), and keep them running."""
        for name in list(self.processes if names is None else names):
            self._refuse_when_stopping()
            self.processes[name].start()
            if self._stopping.is_set():
                self.processes[name].stop()

    def wait_ready(self, timeout_seconds: float = READY_SECONDS) -> None:
        """Wait until web answers on /healthz. Raises StackError when it does not in time."""
        deadline = time.monotonic() + timeout_seconds
        answer = "nothing"
        while time.monotonic() < deadline:
            self._refuse_when_stopping()
            try:
                with DIRECTLY.open(f"{self.address}/healthz", timeout=5) as response:
                    if response.status == 200:
                        return
                    answer = str(response.status)
            except urllib.error.HTTPError as error:
                answer = str(error.code)
            except (OSError, http.client.HTTPException) as error:
                answer = str(error)
            self._stopping.wait(0.25)
        raise StackError(f"Web did not get ready at {self.address}: {answer}")

    def write_run_env(self) -> None:
        """Write `<var_dir>/run.env`, by which `manage.py` in another terminal finds the engines."""
        names = ["SECRET_KEY", "SECURE", "DEBUG", "ALLOWED_HOSTS"]
        for engine in ENGINES.values():
            names += engine.provides
        env_file.write(
            self.var_dir / "run.env",
            {name: self.environment[name] for name in names if name in self.environment},
        )

    def stop(self) -> None:
        """Stop all gracefully: processes first, then engines. May be called more than once."""
        self._stopping.set()
        _all_at_once([process.stop for process in self.processes.values()])
        _all_at_once([engine.close for engine in self.engines.values()])
        self._finish()

    def kill(self) -> None:
        """End all at once, without grace."""
        self._stopping.set()
        _all_at_once([process.kill_all for process in self.processes.values()])
        _all_at_once([engine.kill for engine in self.engines.values()])
        self._finish()

    def _finish(self) -> None:
        self._listener.close()
        with suppress(FileNotFoundError):
            (self.var_dir / "run.env").unlink()

    def _refuse_when_stopping(self) -> None:
        if self._stopping.is_set():
            raise StackError("Stopping")


def _all_at_once(jobs: Sequence[Callable[[], None]]) -> None:
    """Run the jobs in a thread each; raise the first error once all are done."""
    if jobs:
        with ThreadPoolExecutor(max_workers=len(jobs)) as pool:
            for future in [pool.submit(job) for job in jobs]:
                future.result()

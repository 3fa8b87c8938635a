"""RabbitMQ: the machine's program as a private node, a foreground child with its own epmd."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from config.services.engine import POLL_SECONDS, Engine, EngineError
from config.services.install import RABBITMQ
from config.services.ports import LOOPBACK, Port, is_answering
from config.services.secret_file import secret
from config.services.spawn import kill_tree, spawn

USER = "stockroom"
NODE = "stockroom@localhost"
PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"
EPMD_SECONDS = 10.0
# Debian's /usr/sbin/rabbitmq-server changes to its own user and folder; this is the program.
DEBIAN_PROGRAM = "/usr/lib/rabbitmq/bin/rabbitmq-server"


class RabbitMQ(Engine):
    """One node whose client, distribution and epmd ports are all on loopback."""

    name = "rabbitmq"
    provides = ("AMQP_URL",)

    def __init__(self, var_dir: Path, *, settings: Mapping[str, str] | None = None) -> None:
        """`settings` are lines of rabbitmq.conf beside our own."""
        super().__init__(var_dir)
        self.settings = dict(settings or {})
        self._port = Port()
        self._distribution = Port()
        self._epmd_port = Port()
        self._epmd: subprocess.Popen[bytes] | None = None
        self._password = secret(self.var_dir, "RABBITMQ_PASSWORD")

    @property
    def port(self) -> int:
        """TCP port of the loopback interface."""
        return self._port.number

    def variables(self) -> dict[str, str]:
        return {"AMQP_URL": f"amqp://{USER}:{self._password}@{LOOPBACK}:{self.port}/"}

    def stop(self) -> None:
        with self._exclusively():
            super().stop()
            if self._epmd is not None:
                kill_tree(self._epmd)
                self._epmd = None

    def close(self) -> None:
        super().close()
        for port in (self._port, self._distribution, self._epmd_port):
            port.close()

    def _environment(self) -> Mapping[str, str]:
        # RABBITMQ_* of the user's own broker are not meant for this one.
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("RABBITMQ_", "ERL_"))
        }
        folder = self.data_dir
        return {
            **kept,
            "HOME": str(folder / "home"),  # holds the cookie
            "ERL_EPMD_PORT": str(self._epmd_port.number),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "RABBITMQ_NODENAME": NODE,
            "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK,
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution.number),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": str(folder / "node.pid"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_SCHEMA_DIR": str(folder / "schema"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
            # Schedulers that spin while idle would take the other processes' cores.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-kernel inet_dist_use_interface {127,0,0,1} "
                "+sbwt none +sbwtdcpu none +sbwtdio none"
            ),
            # The start script then replaces itself by the server instead of waiting for it as a
            # parent, so signals reach the server itself.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def _prepare(self) -> None:
        program()
        home = self.data_dir / "home"
        home.mkdir(parents=True, exist_ok=True)
        _write(home / ".erlang.cookie", secret(self.var_dir, "ERLANG_COOKIE"))
        settings = {
            "listeners.tcp.1": f"{LOOPBACK}:{self.port}",
            "default_user": USER,
            "default_pass": self._password,
            "log.console": "true",
            "log.console.level": "warning",
            "log.file": "false",
            **self.settings,
        }
        _write(
            self.data_dir / "rabbitmq.conf",
            "".join(f"{key} = {value}\n" for key, value in settings.items()),
        )
        _write(self.data_dir / "rabbitmq-env.conf", "")
        _write(self.data_dir / "enabled_plugins", "[].\n")
        self._start_epmd()

    def _start_epmd(self) -> None:
        """Start Erlang's port mapper ourselves: one started by the node would outlive it."""
        if self._epmd is not None:
            if self._epmd.poll() is None:
                return
            kill_tree(self._epmd)
            self._epmd = None
        found = shutil.which("epmd")
        if found is None:
            raise EngineError("Erlang's epmd is missing: reinstall the package erlang-base")
        with self.log_path.open("ab") as log:
            self._epmd = spawn(
                [found, "-address", LOOPBACK, "-port", str(self._epmd_port.number)],
                environment=self._environment(),
                directory=self.data_dir,
                output=log,
            )
        deadline = time.monotonic() + EPMD_SECONDS
        while not is_answering(self._epmd_port.number):
            if self._epmd.poll() is not None or time.monotonic() > deadline:
                kill_tree(self._epmd)
                self._epmd = None
                raise EngineError(f"Erlang's epmd did not start ({self.log_path})")
            time.sleep(POLL_SECONDS)

    def _command(self) -> list[str]:
        return [program()]

    def _is_ready(self) -> bool:
        # The node opens its listener last; a server that speaks AMQP answers with a method frame.
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=2.0) as connection:
                connection.sendall(PROTOCOL_HEADER)
                return connection.recv(1) == b"\x01"
        except OSError:
            return False


def program() -> str:
    """Path of the server's start script. Raises EngineError with the command to install it."""
    if Path(DEBIAN_PROGRAM).exists():
        return DEBIAN_PROGRAM
    return RABBITMQ.require()


def _write(path: Path, text: str) -> None:
    """Replace a file that only we may read: passwords are in some of them."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)

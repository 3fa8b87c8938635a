"""A Stockroom of its own for the import benches: real processes, a tus client, a watch on imports.

Used by products_import.py. Django is set up in the bench's own process too, for what has no page.
"""

import http.client
import json
import os
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from config.services.postgres import binary
from config.services.stack import Stack

PART_BYTES = 8 * 1024**2  # of one PATCH: what the page sends in about a second
POLL_SECONDS = 0.05
ENDED = ("done", "failed", "cancelled")
ENGINES = ("postgres", "valkey")


@dataclass(frozen=True)
class Run:
    """One import, in seconds. All but `upload` count from the first byte of the last part."""

    job_id: int
    rows: int
    upload: float
    received: float
    read: float
    duplicates: float
    done: float
    wal_bytes: int
    cpu: float  # of the whole stack, also from the last part on

    @property
    def phases(self) -> dict[str, float]:
        """What the time from the last part to the end was spent on."""
        return {
            "last part": self.received,
            "read": self.read - self.received,
            "duplicates": self.duplicates - self.read,
            "merge": self.done - self.duplicates,
        }


@dataclass(frozen=True)
class Sent:
    """An upload: its import, when its first and last part began (Unix time), CPU at the last."""

    job_id: int
    began_at: float
    last_part_at: float
    cpu: float


class Bench:
    """The running stack and the ways to use it."""

    def __init__(self, stack: Stack) -> None:
        from django.db import connection

        self.stack = stack
        self.connection = connection
        self._host = urlsplit(stack.address).netloc
        self.user, self._token = _account()
        self.mbit = 0.0  # speed of uploads, 0 for as fast as it goes

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement in the bench's own connection; values only where it returns some."""
        with self.connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def psql(self, *commands: str) -> None:
        """Run commands in one psql of the wheel's."""
        database = self.connection.settings_dict
        arguments = [part for command in commands for part in ("-c", command)]
        environment = {
            "PGHOST": database["HOST"],
            "PGPORT": str(database["PORT"]),
            "PGUSER": database["USER"],
            "PGPASSWORD": database["PASSWORD"],
            "PGDATABASE": database["NAME"],
        }
        process = psutil.Popen(
            [str(binary("psql")), "-X", "-q", "-v", "ON_ERROR_STOP=1", *arguments], env=environment
        )
        if process.wait() != 0:
            raise SystemExit(f"psql failed: {commands}")

    def wal(self) -> int:
        """The position in the write-ahead log, in bytes."""
        return int(self.sql("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")[0][0])

    def cpu(self) -> float:
        """CPU seconds of the whole stack so far, whoever else keeps the machine busy."""
        total = 0.0
        for process in psutil.Process().children(recursive=True):
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue
            total += times.user + times.system + times.children_user + times.children_system
        return total

    def clear(self) -> None:
        """An empty catalogue."""
        self.sql("TRUNCATE products_product")
        self.sql("VACUUM ANALYZE products_product")

    def settle(self) -> None:
        """Let the ANALYZE that follows an import and what else is queued come to their end."""
        busy = (
            "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND state = 'active' AND backend_type IN ('client backend', 'autovacuum worker')"
        )
        quiet = 0
        deadline = time.monotonic() + 60
        while quiet < 5 and time.monotonic() < deadline:
            quiet = quiet + 1 if self.sql(busy)[0][0] == 0 else 0
            time.sleep(0.1)

    def upload(self, path: Path) -> "Sent":
        """Send a file by tus, at `mbit` megabits a second or as fast as it goes."""
        size = path.stat().st_size
        name = b64encode(path.name.encode()).decode()
        client = http.client.HTTPConnection(self._host)
        headers = {"Authorization": f"Bearer {self._token}", "Tus-Resumable": "1.0.0"}
        began = time.time()
        created = _send(
            client,
            "POST",
            "/api/uploads/",
            None,
            {**headers, "Upload-Length": str(size), "Upload-Metadata": f"filename {name}"},
        )
        address = urlsplit(created.headers["Location"]).path
        cpu, last = self.cpu(), began
        with path.open("rb") as file:
            for offset in range(0, size, PART_BYTES):
                if self.mbit:
                    time.sleep(max(0.0, began + 8e-6 * offset / self.mbit - time.time()))
                if offset + PART_BYTES >= size:
                    cpu, last = self.cpu(), time.time()
                _send(
                    client,
                    "PATCH",
                    address,
                    file.read(PART_BYTES),
                    {
                        **headers,
                        "Upload-Offset": str(offset),
                        "Content-Type": "application/offset+octet-stream",
                    },
                )
        client.close()
        return Sent(int(created.headers["Stockroom-Import"]), began, last, cpu)

    def run(self, path: Path) -> Run:
        """Upload a file and wait until it is imported."""
        wal = self.wal()
        sent = self.upload(path)
        job_id, last = sent.job_id, sent.last_part_at
        duplicates_at = self._follow(job_id)
        row = self.sql(
            "SELECT state, error, rows, extract(epoch FROM received_at),"
            " extract(epoch FROM read_at), extract(epoch FROM finished_at)"
            " FROM products_import WHERE id = %s",
            job_id,
        )[0]
        state, error, rows, received, read, finished = row
        if state != "done":
            raise SystemExit(f"import {job_id} of {path.name} {state}: {error}")
        return Run(
            job_id=job_id,
            rows=rows,
            upload=float(received) - sent.began_at,
            received=max(0.0, float(received) - last),
            read=max(0.0, float(read) - last),
            duplicates=duplicates_at - last,
            done=float(finished) - last,
            wal_bytes=self.wal() - wal,
            cpu=self.cpu() - sent.cpu,
        )

    def _follow(self, job_id: int) -> float:
        """Wait for the end; returns when the duplicates were known."""
        known = 0.0
        while True:
            state, duplicates = self.sql(
                "SELECT state, duplicates FROM products_import WHERE id = %s", job_id
            )[0]
            if duplicates is not None and not known:
                known = time.time()
            if state in ENDED:
                return known or time.time()
            time.sleep(POLL_SECONDS)

    def get(self, client: http.client.HTTPConnection, path: str, cookie: str) -> bytes:
        """A page as the signed-in user sees it."""
        return _send(client, "GET", path, None, {"Cookie": cookie}).body

    def client(self) -> http.client.HTTPConnection:
        """A connection to web that is kept alive."""
        return http.client.HTTPConnection(self._host)

    def cookie(self) -> str:
        """The header that makes a request the user's, without the login page."""
        from django.conf import settings
        from django.test import Client

        client = Client()
        client.force_login(self.user)
        return (
            f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"
        )

    def workers(self) -> list[psutil.Process]:
        """The prefork children that run the tasks."""
        worker = psutil.Process(self.stack.processes["worker.1"].pid)
        return worker.children(recursive=True)


@dataclass(frozen=True)
class _Answer:
    headers: http.client.HTTPMessage
    body: bytes


def _send(
    client: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes | None,
    headers: dict[str, str],
) -> _Answer:
    client.request(method, path, body, headers)
    response = client.getresponse()
    text = response.read()
    if response.status >= 300:
        raise SystemExit(f"{method} {path}: {response.status} {text[:500]!r}")
    return _Answer(response.headers, text)


def _account() -> tuple[Any, str]:
    from django.contrib.auth import get_user_model

    from config.accounts import scopes, tokens

    user, _ = get_user_model().objects.get_or_create(username="bench")
    return user, tokens.issue(user, "bench", scopes.ALL)[1]


@contextmanager
def running(var_dir: Path) -> Iterator[Bench]:
    """A stack with its data in `var_dir`, and Django set up here with its settings."""
    environment = {"LOG_LEVEL": "WARNING", **os.environ}
    with Stack(var_dir, environment, engines=ENGINES, port=0) as stack:
        stack.start()
        os.environ.update(stack.environment)
        import django

        django.setup()
        bench = Bench(stack)
        print(_machine(bench), flush=True)
        yield bench


def _machine(bench: Bench) -> str:
    version = bench.sql("SHOW server_version")[0][0]
    return json.dumps(
        {
            "cpus": psutil.cpu_count(),
            "load": [round(load, 1) for load in psutil.getloadavg()],
            "postgresql": version,
        }
    )

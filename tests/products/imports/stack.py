"""A running Stockroom to be disturbed: real processes and engines, driven over HTTP.

The database is read beside it, to see how far an import is and to hold it there.
"""

import base64
import http.client
import io
import os
import re
import signal
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg2
import requests
from tusclient.client import TusClient
from tusclient.uploader import Uploader

from config.services.stack import Stack
from tests.services.waiting import until

from . import import_oracle
from .import_oracle import Expected, Stored

SECONDS = 90.0  # for anything that has to happen, on a machine that does much else
ENDED = ("done", "failed", "cancelled")
AT_HAND = "worker.2"
KEPT = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV")


@contextmanager
def running_stockroom(
    *, extra_roles: Sequence[str] = (), **variables: str
) -> Iterator["RunningStockroom"]:
    """One that has been started; `variables` are those of `.env.example`."""
    # Not in pytest's folder, which other runs close to PostgreSQL's system user.
    with TemporaryDirectory(prefix="stockroom-running-") as folder:
        stockroom = RunningStockroom(Path(folder), variables, extra_roles)
        try:
            stockroom.start()
            yield stockroom
        finally:
            stockroom.close()


class RunningStockroom:
    """Web, beat and a worker on PostgreSQL and Valkey of their own; AT_HAND waits for a start.

    Beside them run processes of `extra_roles`, a role as often as it is named.
    """

    def __init__(
        self, folder: Path, variables: Mapping[str, str], extra_roles: Sequence[str] = ()
    ) -> None:
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        self.stack = Stack(
            folder,
            {**environment, **variables},
            roles=("web", "worker", "worker", "beat", *extra_roles),
            engines=("postgres", "valkey"),
            port=0,
        )
        self._database: Any = None
        self._headers: dict[str, str] = {}

    def start(self) -> None:
        self.stack.start_engines()
        for name in self.stack.engines:
            self.stack.leave_engine(name)  # the test that kills one starts it again
        self.stack.manage("migrate", "--noinput", "-v", "0")
        self.stack.manage("collectstatic", "--noinput", "-v", "0")
        account = self.stack.manage("ensure_demo")
        found = re.search(r"API token\s+(\S+)", account)
        assert found is not None, account
        self._headers = {"Authorization": f"Bearer {found[1]}"}
        self.stack.start_processes([name for name in self.stack.processes if name != AT_HAND])
        self.stack.wait_ready()

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
        self.stack.stop()

    def said(self, name: str) -> str:
        """All that the process of this name has written, its earlier runs included."""
        path = self.stack.var_dir / "log" / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def log(self) -> str:
        """What the processes have said, for the message of a test that fails."""
        folder = self.stack.var_dir / "log"
        return "\n".join(
            f"== {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-40:])
            for path in sorted(folder.glob("*.log"))
        )

    # Database

    def connect(self) -> Any:
        """A new database connection."""
        return psycopg2.connect(self.stack.environment["DATABASE_URL"])

    def query(self, statement: str, *values: Any) -> list[tuple]:
        """Rows of a statement in a transaction of its own; waits for a database that restarts."""

        def ask() -> list[list[tuple]]:
            try:
                if self._database is None or self._database.closed:
                    self._database = self.connect()
                    self._database.autocommit = True
                with self._database.cursor() as cursor:
                    cursor.execute(statement, values)
                    return [cursor.fetchall() if cursor.description else []]
            except (psycopg2.OperationalError, psycopg2.InterfaceError):
                self._database = None
                return []

        return until(ask, SECONDS)[0]

    def job(self, job_id: int) -> dict[str, Any]:
        """The import's row and, where it has no such column, its upload's."""
        ((job, upload),) = self.query(
            "SELECT to_jsonb(i), to_jsonb(u) FROM products_import i"
            " JOIN products_upload u ON u.id = upload_id WHERE i.id = %s",
            job_id,
        )
        return {**upload, **job}

    def wait(
        self, job_id: int, what: Callable[[dict[str, Any]], bool], seconds: float = SECONDS
    ) -> dict[str, Any]:
        """The import's row once `what` holds for it; fails when it ended without."""

        def look() -> dict[str, Any] | None:
            job = self.job(job_id)
            if what(job):
                return job
            assert job["state"] not in ENDED, f"{job}\n{self.log}"
            return None

        try:
            return until(look, seconds)
        except AssertionError:
            raise AssertionError(f"{self.job(job_id)}\n{self.log}") from None

    def end(self, job_id: int, seconds: float = SECONDS) -> dict[str, Any]:
        """The import's row once it has ended."""
        return self.wait(job_id, lambda job: job["state"] in ENDED, seconds)

    def set_catalogue(self, products: dict[str, Stored]) -> None:
        """Exactly these products, as if they had always been there."""
        text = io.StringIO()
        for product in products.values():
            fields = [
                field.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
                for field in product[:3]
            ]
            text.write("\t".join((*fields, "t" if product.active else "f")) + "\n")
        text.seek(0)
        with closing(self.connect()) as database, database, database.cursor() as cursor:
            cursor.execute("TRUNCATE products_product")
            cursor.copy_expert(
                "COPY products_product (sku, name, description, active) FROM STDIN", text
            )

    def catalogue(self) -> dict[str, Stored]:
        return import_oracle.by_key(
            self.query("SELECT sku, name, description, active FROM products_product")
        )

    def check(self, job_id: int, expected: Expected) -> None:
        """The import has ended, with these products and counts, and has left nothing behind."""
        job = self.end(job_id)
        assert (job["state"], job["error"]) == ("done", ""), f"{job}\n{self.log}"
        assert {name: job[name] for name in expected.counts} == expected.counts
        assert import_oracle.differences(self.catalogue(), expected.products) == []
        lines = self.query(
            "SELECT line FROM products_importreject WHERE job_id = %s ORDER BY 1", job_id
        )
        assert [line for (line,) in lines] == expected.rejected_lines
        written = self.query(
            "SELECT count(*) FROM products_product WHERE last_import_id = %s", job_id
        )
        assert written == [(expected.created + expected.updated,)]
        assert self.query("SELECT FROM products_stagedpart WHERE job_id = %s", job_id) == []
        tables = self.query(
            "SELECT relname FROM pg_class WHERE relname LIKE %s", f"products_staging_{job_id}%"
        )
        assert tables == []

    @contextmanager
    def gate(self, table: str) -> Iterator["Gate"]:
        """Until the end of the block whoever writes to `table` has to wait there."""
        with closing(self.connect()) as connection:
            with connection.cursor() as cursor:
                cursor.execute(f"LOCK TABLE {table} IN SHARE MODE")
            yield Gate(self, connection)
            with suppress(psycopg2.Error):  # where the test has killed the server
                connection.rollback()

    @contextmanager
    def gate_at(self, sku: str) -> Iterator["Gate"]:
        """Until the end of the block a merge has to wait at this new SKU, inside its statement."""
        with closing(self.connect()) as connection:
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO products_product (sku, name) VALUES (%s, '-')", (sku,))
            yield Gate(self, connection)
            with suppress(psycopg2.Error):
                connection.rollback()

    # HTTP

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """The answer to a request with our token. Raises for an error."""
        address = path if path.startswith("http") else f"{self.stack.address}{path}"
        headers = {**self._headers, **options.pop("headers", {})}
        answer = requests.request(method, address, headers=headers, timeout=60, **options)
        answer.raise_for_status()
        return answer

    def create(self, size: int, **metadata: str) -> tuple[int, str]:
        """A new upload: the id of its import and its address."""
        pairs = {"filename": "products.csv", **metadata}
        answer = self.request(
            "POST",
            "/api/uploads/",
            headers={
                "Tus-Resumable": "1.0.0",
                "Upload-Length": str(size),
                "Upload-Metadata": ",".join(
                    f"{key} {base64.b64encode(value.encode()).decode()}"
                    for key, value in pairs.items()
                ),
            },
        )
        return int(answer.headers["Stockroom-Import"]), answer.headers["Location"]

    def uploader(self, address: str, data: bytes, chunk: int | None = None) -> Uploader:
        """A third-party client that goes on at the offset which the server tells it."""
        client = TusClient(f"{self.stack.address}/api/uploads/", headers=self._headers)
        options = {} if chunk is None else {"chunk_size": chunk}
        return client.uploader(file_stream=io.BytesIO(data), url=address, **options)

    def upload(self, data: bytes, **metadata: str) -> int:
        """A new import whose file is sent as a whole; its id."""
        job_id, address = self.create(len(data), **metadata)
        self.uploader(address, data).upload()
        return job_id

    @contextmanager
    def half_sent(self, address: str, data: bytes, start: int, stop: int) -> Iterator[None]:
        """Within the block a PATCH from `start` to the end is under way, sent as far as `stop`."""
        url = urlsplit(address)
        assert url.hostname is not None
        with closing(http.client.HTTPConnection(url.hostname, url.port, timeout=60)) as connection:
            connection.putrequest("PATCH", url.path)
            headers = {
                **self._headers,
                "Tus-Resumable": "1.0.0",
                "Upload-Offset": str(start),
                "Content-Type": "application/offset+octet-stream",
                "Content-Length": str(len(data) - start),
            }
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            connection.send(data[start:stop])
            yield
            with suppress(OSError):
                if connection.sock is not None:
                    connection.sock.shutdown(socket.SHUT_RDWR)

    # Processes

    def processes(self, name: str) -> list[psutil.Process]:
        """The process of this name and all its descendants, its own first; none when it is down."""
        pid = self.stack.processes[name].pid
        if pid is None:
            return []
        try:
            leader = psutil.Process(pid)
            return [leader, *leader.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def kill_group(self, name: str) -> None:
        """SIGKILL the process and all its children; it is started again."""
        starts = self.stack.processes[name].starts
        self.signal(self.processes(name), signal.SIGKILL)
        until(lambda: self.stack.processes[name].starts > starts, SECONDS)

    def signal(self, processes: Sequence[psutil.Process], number: int) -> None:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def restart_engine(self, name: str) -> None:
        """SIGKILL an engine and start it again."""
        self.stack.engines[name].kill()
        self.stack.engines[name].start()


class Gate:
    """Where a test makes the import wait, by a lock in the database."""

    def __init__(self, stockroom: RunningStockroom, connection: Any) -> None:
        self._stockroom = stockroom
        self._connection = connection

    def reached(self) -> int:
        """Wait until somebody waits here; the client port of the first one."""
        own = self._connection.get_backend_pid()

        def look() -> list[tuple]:
            return self._stockroom.query(
                "SELECT client_port FROM pg_stat_activity"
                " WHERE %s = ANY (pg_blocking_pids(pid)) LIMIT 1",
                own,
            )

        try:
            return until(look, SECONDS)[0][0]
        except AssertionError:
            raise AssertionError(f"nobody waits here\n{self._stockroom.log}") from None

    def open(self) -> None:
        """Let those who wait go on."""
        with suppress(psycopg2.Error):
            self._connection.rollback()

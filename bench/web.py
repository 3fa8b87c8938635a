"""Requests per second and latency of the web process next to gthread WSGI, in the same run.

`python -m bench.web [--seconds 4] [--rounds 3]`; starts its own engines. Two pages, each through
both servers with the same number of threads, in turns: a bare view with one SELECT, and the list of
products as a signed-in user sees it. Then both once more on our server with 200 streams open.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.report_figure import tell
from config.services.postgres import Postgres
from config.services.valkey import Valkey
from tests.web.event_streams import Stream
from tests.web.servers import ROOT, Server

CONNECTIONS = 16
VIEWERS = 200
ASGI = ("-k", "uvicorn_worker.UvicornWorker")
GTHREAD = ("-k", "gthread", "--threads", "8")


@dataclass(frozen=True)
class Page:
    name: str
    path: str
    asgi: str
    wsgi: str


PAGES = (
    Page("one SELECT", "/page", "bench.web_app:asgi", "bench.web_app:wsgi"),
    Page("products", "/products/", "config.asgi:application", "config.wsgi:application"),
)


@dataclass
class Load:
    """What one run of the clients saw. Seconds."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds

    def percentile(self, percent: int) -> float:
        return statistics.quantiles(self.latencies, n=100)[percent - 1]


class Client(asyncio.Protocol):
    """One keep-alive connection that asks again as soon as it is answered."""

    def __init__(self, request: bytes, load: Load, stop_at: float) -> None:
        self._request, self._load, self._stop_at = request, load, stop_at
        self._buffer = b""
        self._left = -1
        self._asked_at = 0.0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._asked_at = time.perf_counter()
        if self._asked_at > self._stop_at:
            self._transport.close()
            self.done.set_result(None)
            return
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._left < 0:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            fields = head.lower().split(b"\r\n")
            if b" 200 " not in fields[0]:
                self._fail(head.decode())
                return
            size = next(line for line in fields if line.startswith(b"content-length:"))
            self._left, self._buffer = int(size[15:]), rest
        if len(self._buffer) >= self._left:
            self._load.latencies.append(time.perf_counter() - self._asked_at)
            self._left, self._buffer = -1, b""
            self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        self._fail("the connection ended")

    def _fail(self, what: str) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(what))


async def _run(server: Server, path: str, cookie: str, seconds: float) -> Load:
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n".encode()
    load = Load()
    began = time.perf_counter()
    loop = asyncio.get_running_loop()
    clients = []
    for _ in range(CONNECTIONS):
        connecting = loop.create_connection(
            lambda: Client(request, load, began + seconds), *server.address
        )
        clients.append((await connecting)[1])
    await asyncio.gather(*(client.done for client in clients))
    load.seconds = time.perf_counter() - began
    return load


def load(server: Server, path: str, cookie: str, seconds: float) -> Load:
    """Ask for `path` over CONNECTIONS connections for `seconds`."""
    return asyncio.run(_run(server, path, cookie, seconds))


@contextmanager
def site() -> Iterator[tuple[Mapping[str, str], str]]:
    """Engines of our own: the environment that leads to them, and a signed-in user's cookie."""
    with tempfile.TemporaryDirectory(prefix="stockroom-bench-") as folder:
        engines = [Postgres(Path(folder)), Valkey(Path(folder))]
        environment = {
            "SECRET_KEY": "bench-only-key-of-no-worth-but-long-enough-for-the-checks",
            "SECURE": "0",
            "STOCKROOM_VAR": folder,
            "DJANGO_SETTINGS_MODULE": "config.settings",
        }
        try:
            for engine in engines:
                engine.start()
                environment |= engine.variables()
            prepared = subprocess.run(
                [sys.executable, "-m", "tests.web.prepare"],
                env={**os.environ, **environment},
                cwd=ROOT,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            yield environment, f"sessionid={prepared.stdout.strip()}"
        finally:
            for engine in engines:
                engine.close()


def show(name: str, loads: list[Load]) -> float:
    """Print the middle round; returns its requests per second."""
    middle = sorted(loads, key=lambda load: load.per_second)[len(loads) // 2]
    times = [f"p{percent} {middle.percentile(percent) * 1000:6.1f} ms" for percent in (50, 99)]
    print(f"  {name:<24}{middle.per_second:7.0f}/s   {'   '.join(times)}", flush=True)
    return middle.per_second


def compare(
    page: Page, environment: Mapping[str, str], cookie: str, seconds: float, rounds: int
) -> None:
    print(f"{page.name} ({CONNECTIONS} connections, 8 threads, one worker process)")
    with ExitStack() as stack:
        ours = stack.enter_context(Server(page.asgi, environment=environment, arguments=ASGI))
        plain = stack.enter_context(Server(page.wsgi, environment=environment, arguments=GTHREAD))
        for server in (ours, plain):
            load(server, page.path, cookie, 1.0)  # opens its database connections
        turns = [
            [load(server, page.path, cookie, seconds) for server in (plain, ours)]
            for _ in range(rounds)
        ]
        bare = show("gthread WSGI", [turn[0] for turn in turns])
        mine = show("config.asgi", [turn[1] for turn in turns])
        print(f"  ratio {mine / bare:.2f}")
        plain_rates = [turn[0].per_second for turn in turns]
        beside = {"more": True, "baseline": "gthread WSGI", "bare": plain_rates}
        tell(page.name, [turn[1].per_second for turn in turns], "requests/s", **beside)
        if page.wsgi != "config.wsgi:application":
            return
        before = ours.worker.memory_info().rss
        streams = [stack.enter_context(Stream(ours, cookie)) for _ in range(VIEWERS)]
        for stream in streams:
            stream.wait_for("stream-open")
        grown = (ours.worker.memory_info().rss - before) / VIEWERS / 1024
        loaded = [load(ours, page.path, cookie, seconds) for _ in range(rounds)]
        watched = show(f"with {VIEWERS} streams", loaded)
        rates = [each.per_second for each in loaded]
        tell(f"{page.name}, {VIEWERS} streams open", rates, "requests/s", **beside)
        print(f"  ratio to gthread {watched / bare:.2f}; {grown:.0f} KiB a stream")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of one round")
    parser.add_argument("--rounds", type=int, default=3, help="rounds per server; odd")
    options = parser.parse_args()
    with site() as (environment, cookie):
        environment = {**environment, "LOG_LEVEL": "WARNING", "WEB_THREADS": "8"}
        for page in PAGES:
            compare(page, environment, cookie, options.seconds, options.rounds)


if __name__ == "__main__":
    main()

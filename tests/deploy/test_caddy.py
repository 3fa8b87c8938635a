"""deploy/Caddyfile in a real Caddy, before a small server."""

import gzip
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest
import requests

from config.services.ports import LOOPBACK, Port, is_answering
from tests.debian import program
from tests.services.waiting import until

CADDYFILE = Path(__file__).resolve().parents[2] / "deploy/Caddyfile"
PAGE = "<p>all is well</p>" * 1000
SECONDS = 60


class Behind(BaseHTTPRequestHandler):
    """A page, the headers that arrived, and a stream that stands open after its first event."""

    protocol_version = "HTTP/1.1"
    closed = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/events/":
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(b"data: first\n\n")
            self.wfile.flush()
            self.closed.wait(SECONDS)
            self.close_connection = True
        elif self.path == "/headers":
            self.answer("application/json", json.dumps(dict(self.headers)))
        else:
            self.answer("text/html; charset=utf-8", PAGE)

    def answer(self, kind: str, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args: object) -> None:
        pass


class Caddy:
    """Of the project's file, with other addresses; the server behind it listens when told to."""

    def __init__(self, folder: Path) -> None:
        self.port, self.behind = Port(), Port()
        self.address = f"http://{LOOPBACK}:{self.port.number}"
        text = CADDYFILE.read_text()
        for written, real in (
            ("stockroom.example.com", self.address),
            ("127.0.0.1:8000", f"{LOOPBACK}:{self.behind.number}"),
        ):
            assert text.count(written) == 1
            text = text.replace(written, real)
        (folder / "Caddyfile").write_text("{\n\tadmin off\n}\n" + text)
        self.process = subprocess.Popen(
            [program("caddy", "caddy"), "run", "--config", "Caddyfile"],
            cwd=folder,
            env={**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder)},
            stderr=(folder / "said").open("wb"),
        )
        until(lambda: is_answering(self.port.number), SECONDS)

    def serve(self) -> ThreadingHTTPServer:
        server = ThreadingHTTPServer((LOOPBACK, self.behind.number), Behind)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    def clients(self) -> int:
        """Connections that it has accepted."""
        ends = psutil.Process(self.process.pid).net_connections(kind="tcp")
        return sum(
            end.status == psutil.CONN_ESTABLISHED and end.laddr.port == self.port.number
            for end in ends
        )


@pytest.fixture(scope="module")
def caddy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caddy]:
    caddy = Caddy(tmp_path_factory.mktemp("caddy"))
    yield caddy
    Behind.closed.set()
    caddy.process.terminate()
    caddy.process.wait(SECONDS)
    for port in (caddy.port, caddy.behind):
        port.close()


@pytest.fixture
def served(caddy: Caddy) -> Iterator[Caddy]:
    server = caddy.serve()
    yield caddy
    Behind.closed.set()
    server.shutdown()
    server.server_close()
    Behind.closed.clear()


def test_caddy_finds_nothing_wrong(tmp_path: Path) -> None:
    done = subprocess.run(
        [program("caddy", "caddy"), "validate", "--adapter", "caddyfile", "--config", CADDYFILE],
        env={**os.environ, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr


def test_pages_are_packed_and_streams_are_passed_on_event_by_event(served: Caddy) -> None:
    asked = {"Accept-Encoding": "gzip"}
    page = requests.get(f"{served.address}/", headers=asked, stream=True, timeout=SECONDS)
    assert page.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(page.raw.read()).decode() == PAGE
    with requests.get(
        f"{served.address}/events/", headers=asked, stream=True, timeout=SECONDS
    ) as events:
        assert "Content-Encoding" not in events.headers
        assert next(events.iter_lines()) == b"data: first"


def test_the_client_s_address_and_protocol_arrive_and_are_not_believed_of_him(
    served: Caddy,
) -> None:
    false = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
    seen = requests.get(f"{served.address}/headers", headers=false, timeout=SECONDS).json()
    assert (seen["X-Forwarded-For"], seen["X-Forwarded-Proto"]) == (LOOPBACK, "http")
    assert seen["Host"] == served.address.removeprefix("http://")


def test_a_request_waits_while_web_begins_anew(caddy: Caddy) -> None:
    with ThreadPoolExecutor(1) as thread:
        before = caddy.clients()
        asked = thread.submit(requests.get, f"{caddy.address}/", timeout=SECONDS)
        until(lambda: caddy.clients() > before, SECONDS)
        server = caddy.serve()
        assert asked.result().text == PAGE
        server.shutdown()
        server.server_close()

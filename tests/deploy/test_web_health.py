"""Whether web lives: the health checks of image and compose, run as they stand."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
# As a company's container engine gives it to all containers.
PROXY = {"http_proxy": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1"}


def of_image() -> list[str]:
    (found,) = re.findall(r"HEALTHCHECK [^\[]*CMD (\[.*\])", (ROOT / "Dockerfile").read_text())
    return json.loads(found)


def of_compose() -> list[str]:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return compose["services"]["web"]["healthcheck"]["test"][1:]


def test_both_ask_the_same():
    assert of_image() == of_compose()


@contextmanager
def answering(status: int) -> Iterator[int]:
    """The port of a server that answers everything with `status`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(("status", "well"), [(200, True), (301, False), (503, False)])
def test_it_asks_web_itself_whatever_proxy_is_set(status, well):
    with answering(status) as port:
        assert (asked(port) == 0) is well


def test_where_nobody_listens_web_is_not_well():
    assert asked(1) != 0


def asked(port: int) -> int:
    """The exit code of the check, with web on `port`."""
    python, flag, code = of_image()
    assert (python, flag) == ("python", "-c") and code.count("8000") == 1
    done = subprocess.run(
        [sys.executable, flag, code.replace("8000", str(port))],
        env={"PATH": os.environ["PATH"], **PROXY},
        capture_output=True,
        timeout=60,
        check=False,
    )
    return done.returncode

"""Answers the webhooks of the demo's endpoint on this machine: most with 200, some with 500."""

import itertools
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlsplit

from django.core.management import CommandError

from . import seeding

FAILS_EVERY = 9  # requests: retries are seen, and the circuit stays closed
LOOK_SECONDS = 0.2
MOST_BYTES = 1024 * 1024
READ_SECONDS = 10.0


class _Answer(BaseHTTPRequestHandler):
    """One request: read to its end and thrown away."""

    timeout = READ_SECONDS
    numbers = itertools.count(1)

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        if length.isdigit():
            self.rfile.read(min(int(length), MOST_BYTES))
        failed = next(self.numbers) % FAILS_EVERY == 0
        body = b"The sample receiver fails now and then." if failed else b"Thank you."
        self.send_response(500 if failed else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the log of deliveries says it all."""


def run(ended: Callable[[], bool]) -> None:
    """Listen where the endpoint's address leads. CommandError where that can't be done."""
    endpoint = seeding.receiver()
    if endpoint is None:
        raise CommandError("The sample endpoint is not there: manage.py seed_demo makes it.")
    address = urlsplit(endpoint.url)
    if address.hostname != "127.0.0.1" or address.port is None:
        raise CommandError("The sample endpoint leads elsewhere now: nothing answers it here.")
    try:
        server = HTTPServer(("127.0.0.1", address.port), _Answer)
    except OSError as error:
        raise CommandError(f"Port {address.port} of {endpoint.url}: {error.strerror}") from None
    with server:
        server.timeout = LOOK_SECONDS
        while not ended():
            server.handle_request()

"""One log line per request with its duration, and the request's id on every line it causes.

`Exchange` is used by config/asgi.py for each request; the filter by settings.LOGGING.
"""

import logging
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from config.metrics.requests import count

logger = logging.getLogger(__name__)

request_id: ContextVar[str] = ContextVar("request_id", default="")

# What a client or router may give as its own: visible in logs, so no spaces or line breaks.
GIVEN_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,100}")
ID_BYTES = 8
ID_CHARACTERS = 100  # at most
QUIET = ("/healthz", "/readyz", "/metrics", "/static/")  # logged at DEBUG unless they fail


def current() -> str:
    """The id of the request that this is done for, "" for none. Default of rows that keep it."""
    return request_id.get()


@contextmanager
def restored() -> Iterator[None]:
    """Leave `request_id` as it was, whatever is set inside."""
    before = request_id.set(request_id.get())
    try:
        yield
    finally:
        request_id.reset(before)


class RequestIdFilter(logging.Filter):
    """Gives each record `request_id` and `request`: " [id]", both "" where there is no request."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = found = request_id.get()
        record.request = f" [{found}]" if found else ""
        return True


class Exchange:
    """A request and the response to it, as seen from the server's side."""

    def __init__(self, scope: Any, send: Any) -> None:
        self._scope = scope
        self._send = send
        self._began = time.perf_counter()
        self._status = 0
        self._bytes = 0
        self.close_connection = False
        """Set to have the response end the connection."""
        self.id = self._given_id() or secrets.token_hex(ID_BYTES)
        self._scope["request_id"] = self.id
        request_id.set(self.id)

    def _given_id(self) -> str:
        for name, value in self._scope["headers"]:
            if name == b"x-request-id" and GIVEN_ID.fullmatch(value):
                return str(value, "ascii")
        return ""

    async def send(self, message: Any) -> None:
        """Pass a message of the response on, with the request's id in its head."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = [*message.get("headers", ()), (b"x-request-id", self.id.encode())]
            if self.close_connection:
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        else:
            self._bytes += len(message.get("body", b""))
        await self._send(message)

    def log(self) -> None:
        """Count it, and write the line: method, path, status, bytes, time from first byte to last,
        client."""
        path = self._scope["path"]
        seconds = time.perf_counter() - self._began
        count(path, self._scope["query_string"], self._status, seconds)
        quiet = path.startswith(QUIET) and 0 < self._status < 400
        level = logging.DEBUG if quiet else logging.INFO
        if not logger.isEnabledFor(level):
            return
        client = self._scope.get("client")
        logger.log(
            level,
            "%s %s %s %d B %.1f ms %s",
            self._scope["method"],
            self._scope["raw_path"].decode("ascii"),  # as sent: nothing in it breaks the line
            self._status or "unanswered",
            self._bytes,
            seconds * 1000,
            client[0] if client else "-",
        )

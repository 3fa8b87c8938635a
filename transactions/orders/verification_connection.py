"""A connection to the operator's verifier, the way it is made, and how many there may be.

Used by verification_http.py. There is no guard of addresses: the verifier is the operator's own,
and mostly in a private network. HTTP is httptools over asyncio's transports: with the connections
of httpcore, 5,000 questions at once kept the loop from all else for 3 s.
"""

import asyncio
import contextlib
import logging
import re
import resource
import socket
import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

import httptools

logger = logging.getLogger(__name__)

HEAD_BYTES = 64 * 1024  # of an answer, hints before it included
BODY_BYTES = 64 * 1024
NOT_HTTP = "The verifier's answer is not HTTP."
IDLE_SECONDS = 4.0  # that a connection is kept: many servers close theirs after 5
NEXT_ADDRESS_SECONDS = 4.0  # after which the host's next address is tried
NAMES_SECONDS = 10.0  # that addresses are used before they are looked up again
SPARE_FILES = 200  # for engines, logs and the like
DEFAULT_PORTS = {"http": 80, "https": 443}


class Failed(Exception):
    """No answer of use came; `str()` says why in words that a client may see."""


class Broken(Failed):
    """The connection ended before the answer did."""


@dataclass(frozen=True)
class Answer:
    """`body` only with status 200."""

    status: int
    body: bytes = b""


class Unresolved(OSError):
    """A name without address."""


@dataclass(frozen=True)
class Place:
    """A URL taken apart: `host` as it is looked up, `path` with query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def place(url: str) -> Place:
    """Raises ValueError in words that don't repeat the URL."""
    if not re.fullmatch(r"[!-~]+", url):
        raise ValueError("has a blank, a control character or a letter outside ASCII")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("is no URL") from None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or port == 0:
        raise ValueError("is no URL like https://verifier.example/check")
    if "@" in parts.netloc:
        raise ValueError("has a user name or password: use VERIFIER_TOKEN")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Place(parts.scheme, parts.hostname, port or DEFAULT_PORTS[parts.scheme], path)


class Line(asyncio.Protocol):
    """A connection: one request at a time. httptools parses what comes and calls `on_…`."""

    def __init__(self) -> None:
        self.idle_since = 0.0  # by the loop's clock
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._begin()

    @property
    def is_connected(self) -> bool:
        """Whether it ever was."""
        return self._transport is not None

    async def connect(self, place: Place, ips: Sequence[str], tls: ssl.SSLContext | None) -> None:
        """To the first address that takes it. Raises OSError of the last one."""
        *others, last = ips
        for ip in others:
            with contextlib.suppress(OSError):
                async with asyncio.timeout(NEXT_ADDRESS_SECONDS):
                    return await self._connect(place, ip, tls)
        await self._connect(place, last, tls)

    async def _connect(self, place: Place, ip: str, tls: ssl.SSLContext | None) -> None:
        encryption: dict[str, Any] = {}
        if tls is not None:
            # The caller's time-out is the one that counts.
            encryption = {"server_hostname": place.host, "ssl_handshake_timeout": 86_400}
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, ip, place.port, ssl=tls, **encryption)

    async def ask(self, request: bytes) -> Answer:
        """The answer to these bytes. Raises Broken and Failed."""
        if self._transport is None or self._transport.is_closing():
            raise Broken("The connection to the verifier broke.")
        self._answer = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._head_bytes = 0
        self._begin()
        self._transport.write(request)
        return await self._answer

    @property
    def is_good(self) -> bool:
        """Whether another request may be sent."""
        is_open = self._transport is not None and not self._transport.is_closing()
        return is_open and self._may_go_on

    def abort(self) -> None:
        """Close at once: there is nothing left to say to the other side."""
        if self._transport is not None:
            self._transport.abort()

    # asyncio calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            self.abort()  # nobody asked for it
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(Failed(NOT_HTTP))
        if self._status < 200:
            self._head_bytes += len(data)
        if self._head_bytes > HEAD_BYTES:
            self._fail(Failed(NOT_HTTP))

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None:
            self._fail(Broken("The connection to the verifier broke."))
        elif self._status < 200:
            self._fail(Broken("The verifier closed the connection without an answer."))
        elif self._ends_with_connection:
            self._succeed()
        else:
            self._fail(Broken("The verifier closed the connection within its answer."))

    # httptools calls these.

    def on_message_begin(self) -> None:
        self._may_go_on = False  # nor after a second answer that nobody asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._ends_with_connection = False

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()
        if self._status >= 200 and self._status != 200:
            self._succeed()  # whatever its body says

    def on_body(self, data: bytes) -> None:
        self._body += data
        if len(self._body) > BODY_BYTES:
            words = f"The verifier's answer is longer than {BODY_BYTES // 1024} KB."
            self._fail(Failed(words))

    def on_message_complete(self) -> None:
        if self._status < 200:  # a hint before the answer
            self._begin()
        elif self._answer is not None and not self._answer.done():
            self._may_go_on = self._parser.should_keep_alive()
            self._succeed()

    def _begin(self) -> None:
        self._status = 0
        self._ends_with_connection = True
        self._may_go_on = False
        self._body = bytearray()

    def _succeed(self) -> None:
        if self._answer is not None and not self._answer.done():
            body = bytes(self._body) if self._status == 200 else b""
            self._answer.set_result(Answer(self._status, body))

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        self.abort()


class Names:
    """Addresses of the verifier's host: one look-up for all who wait, in a thread of its own, so
    that a name server that hangs keeps nothing else from going on.

    Old addresses are used until new ones are known.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._thread = ThreadPoolExecutor(1, "verifier-dns")
        self._known: list[str] = []
        self._until = 0.0
        self._lookup: asyncio.Future[list[str]] | None = None

    async def addresses(self) -> list[str]:
        """At least one. Raises Unresolved."""
        loop = asyncio.get_running_loop()
        if self._lookup is None and loop.time() >= self._until:
            self._lookup = loop.run_in_executor(self._thread, _addresses, self._place)
            self._lookup.add_done_callback(self._looked_up)
        if self._known or self._lookup is None:
            return self._known
        return await asyncio.shield(self._lookup)

    def _looked_up(self, lookup: "asyncio.Future[list[str]]") -> None:
        self._lookup = None
        if not lookup.cancelled() and lookup.exception() is None:
            self._known = lookup.result()
            self._until = asyncio.get_running_loop().time() + NAMES_SECONDS

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)


def _addresses(place: Place) -> list[str]:
    try:
        found = socket.getaddrinfo(
            place.host, place.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )
    except (OSError, UnicodeError) as error:
        raise Unresolved(f"{place.host} does not resolve") from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def room_for(connections: int) -> int:
    """How many of so many connections this process may have open.

    Raises its limit of open files as far as it may and as that needs.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + SPARE_FILES
    unlimited = resource.RLIM_INFINITY
    if soft != unlimited and soft < needed:
        wanted = needed if hard == unlimited else min(needed, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS has a limit beside these
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    if soft == unlimited or soft >= needed:
        return connections
    room = max(1, soft - SPARE_FILES)
    logger.warning(
        "this process may have %d files open (ulimit -n): %d verifications at once instead of %d",
        *(soft, room, connections),
    )
    return room

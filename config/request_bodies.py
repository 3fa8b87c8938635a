"""What the server takes from clients that send a body, before a thread is spent on them.

A thread that reads a body waits as long as its client likes. So bodies are collected by the event
loop first, and only uploads are read by a thread (of a pool for them), with an end to the
patience. Used by config/asgi.py.
"""

import asyncio
from http import HTTPStatus

from django.conf import settings
from django.utils.http import parse_header_parameters

from .wsgi_threads import Message, Receive, Scope

SMALL_BYTES = 64 * 1024  # what uvicorn itself holds of a body before it stops reading
# Below this rate a body is cut short in the end, however steadily it comes.
LEAST_BYTES_PER_SECOND = 1024
# Of bodies above SMALL_BYTES that this process collects at a time.
MAX_COLLECTED_BYTES = 64 * 1024**2
RETRY_SECONDS = 5
CHARSETS = ("utf-8", "utf8", "us-ascii", "iso-8859-1", "latin-1", "latin1")
DISCONNECT: Message = {"type": "http.disconnect"}


class Refused(Exception):
    """The request is answered with `status` and `text` without asking Django."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def busy(text: str) -> Refused:
    """Refusal of what would be taken a little later."""
    return Refused(HTTPStatus.SERVICE_UNAVAILABLE, f"{text} Try again in {RETRY_SECONDS} s.")


def check_type(scope: Scope) -> None:
    """Refuse a Content-Type that Django would fail on: it decodes with any codec that Python has.

    Python's codecs are not only those of text (`zlib`, `idna`), and few of them are safe.
    """
    for name, value in scope["headers"]:
        if name == b"content-type" and b";" in value:
            try:
                charset = parse_header_parameters(value.decode("latin-1"))[1].get("charset")
            except ValueError:
                raise Refused(HTTPStatus.BAD_REQUEST, "The Content-Type is malformed.") from None
            if charset and charset.strip("\"'").lower() not in CHARSETS:
                raise Refused(HTTPStatus.BAD_REQUEST, "Send text in UTF-8.")


def length(scope: Scope) -> int | None:
    """Bytes of the request's body as announced; None for a body that comes in chunks."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value)
        if name == b"transfer-encoding":
            return None
    return 0


class Body:
    """`receive` of one request, with a limit to the client's slowness and to our own life.

    We wait for UPLOAD_IDLE_SECONDS in all, and each byte that comes gives back a little of it. So
    it ends by silence, and by a rate below LEAST_BYTES_PER_SECOND; time that the application takes
    does not count.

    After either the application sees what it would see had the client hung up: the body ends
    short, and what came is kept.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._timer: asyncio.Timeout | None = None
        self._patience_seconds = settings.UPLOAD_IDLE_SECONDS
        self.cut = False
        """Whether we ended it, not the client."""

    async def receive(self) -> Message:
        if self.cut:
            return DISCONNECT
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(self._patience_seconds) as self._timer:
                message = await self._receive()
        except TimeoutError:
            self.cut = True
            return DISCONNECT
        finally:
            self._timer = None
        earned = len(message.get("body", b"")) / LEAST_BYTES_PER_SECOND
        self._patience_seconds = min(
            settings.UPLOAD_IDLE_SECONDS, self._patience_seconds - (clock() - began) + earned
        )
        return message

    def end(self) -> None:
        """Take no more of it."""
        self.cut = True
        if self._timer is not None:
            self._timer.reschedule(asyncio.get_running_loop().time())


class Collector:
    """Takes whole bodies into memory, from all clients at once within MAX_COLLECTED_BYTES."""

    def __init__(self) -> None:
        self._bytes = 0

    async def collect(self, scope: Scope, body: Body, largest: int) -> bytes | None:
        """The whole of a body of at most `largest` bytes; None when the client is gone.

        Gives a body that came in chunks its length: Django reads none without.
        Raises Refused when it is larger, or not whole within REQUEST_BODY_SECONDS.
        """
        data = bytearray()
        try:
            async with asyncio.timeout(settings.REQUEST_BODY_SECONDS):
                whole = await self._fill(data, body, largest)
        except TimeoutError:
            whole, body.cut = False, True
        finally:
            self._bytes -= len(data)
        if not whole:
            if body.cut:
                raise Refused(HTTPStatus.REQUEST_TIMEOUT, "The rest of the request never came.")
            return None
        if length(scope) is None:
            scope["headers"].append((b"content-length", str(len(data)).encode()))
        return bytes(data)

    async def _fill(self, data: bytearray, body: Body, largest: int) -> bool:
        """Whether all of it came."""
        more = True
        while more:
            message = await body.receive()
            if message["type"] == "http.disconnect":
                return False
            block = message.get("body", b"")
            data += block
            self._bytes += len(block)
            more = message.get("more_body", False)
            if len(data) > largest:
                raise Refused(HTTPStatus.LENGTH_REQUIRED, "Send this body with a Content-Length.")
            if len(data) > SMALL_BYTES and self._bytes > MAX_COLLECTED_BYTES:
                raise busy("Too many large requests are on their way.")
        return True

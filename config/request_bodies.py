"""What the server takes from clients that send a body, before a thread is spent on them.

A thread that reads a body waits as long as its client likes. So a small body is collected by the
event loop first, and only what may be large is read by a thread (of the pool for transfers), with
an end to the patience. Used by config/asgi.py.
"""

import asyncio
from http import HTTPStatus

from django.conf import settings

from .wsgi_threads import Message, Receive, Scope

SMALL_BYTES = 64 * 1024  # what uvicorn itself holds of a body before it stops reading
DISCONNECT: Message = {"type": "http.disconnect"}


class Refused(Exception):
    """The request is answered with `status` and `text` without asking Django."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def length(scope: Scope) -> int | None:
    """Bytes of the request's body as announced; None for a body that comes in chunks."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value)
        if name == b"transfer-encoding":
            return None
    return 0


class Body:
    """`receive` of one request, with a limit to the client's silence and to our own life.

    After either the application sees what it would see had the client hung up: the body ends
    short, and what came is kept.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._timer: asyncio.Timeout | None = None
        self.cut = False
        """Whether we ended it, not the client."""

    async def receive(self) -> Message:
        if self.cut:
            return DISCONNECT
        try:
            async with asyncio.timeout(settings.UPLOAD_IDLE_SECONDS) as self._timer:
                return await self._receive()
        except TimeoutError:
            self.cut = True
            return DISCONNECT
        finally:
            self._timer = None

    def end(self) -> None:
        """Take no more of it."""
        self.cut = True
        if self._timer is not None:
            self._timer.reschedule(asyncio.get_running_loop().time())


async def collect(scope: Scope, body: Body) -> bytes | None:
    """The whole of a small body; None when the client is gone.

    Gives a body that came in chunks its length: Django reads none without.
    Raises Refused when it is larger than SMALL_BYTES.
    """
    data = bytearray()
    more = True
    while more:
        message = await body.receive()
        if message["type"] == "http.disconnect":
            if body.cut:
                raise Refused(HTTPStatus.REQUEST_TIMEOUT, "The rest of the request never came.")
            return None
        data += message.get("body", b"")
        more = message.get("more_body", False)
        if len(data) > SMALL_BYTES:
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "Send this body with a Content-Length.")
    if length(scope) is None:
        scope["headers"].append((b"content-length", str(len(data)).encode()))
    return bytes(data)

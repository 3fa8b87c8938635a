"""Questions to the operator's verifier over kept connections, any number at once.

Called by verification.py. No proxy from the environment, no cookies, no redirects.
"""

import asyncio
import ssl
from collections import deque
from types import TracebackType
from typing import Self

import httpcore

from .verification_connection import (
    IDLE_SECONDS,
    Answer,
    Broken,
    Failed,
    Line,
    Names,
    Place,
    Unresolved,
)


class Service:
    """The verifier. Has as many connections as there were questions at once."""

    def __init__(self, place: Place, token: str = "") -> None:
        """`token`: printable ASCII without blanks, "" for none."""
        self._place = place
        headers = {
            "Host": place.host_header,
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            **({"Authorization": f"Bearer {token}"} if token else {}),
        }
        lines = [f"POST {place.path} HTTP/1.1", *(f"{n}: {v}" for n, v in headers.items())]
        self._head = "\r\n".join(lines).encode("ascii")
        self._tls: ssl.SSLContext | None = None
        self._names = Names(place)
        self._idle: deque[Line] = deque()  # the one used last at the right

    async def __aenter__(self) -> Self:
        if self._place.scheme == "https":
            self._tls = await asyncio.to_thread(httpcore.default_ssl_context)  # reads large files
        self._closing = asyncio.create_task(self._close_idle())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.cancel()
        self._names.close()
        while self._idle:
            self._idle.pop().abort()

    async def post(self, document: bytes) -> Answer:
        """What the verifier says to this JSON. Raises Failed; cancelled, it closes its socket."""
        request = b"%s\r\nContent-Length: %d\r\n\r\n%s" % (self._head, len(document), document)
        kept = self._kept()
        if kept is not None:
            try:
                return await self._exchange(kept, request)
            except Broken:
                # The other side closed it when we sent, or has been started anew. To ask twice is
                # harmless: it is a question.
                pass
        return await self._exchange(Line(), request)

    async def _exchange(self, line: Line, request: bytes) -> Answer:
        try:
            if not line.is_connected:
                try:
                    await line.connect(self._place, await self._names.addresses(), self._tls)
                except OSError as error:
                    raise Failed(_words(error)) from error
            return await line.ask(request)
        finally:
            if line.is_good:
                line.idle_since = asyncio.get_running_loop().time()
                self._idle.append(line)
            else:
                line.abort()

    def _kept(self) -> Line | None:
        while self._idle:
            line = self._idle.pop()
            if line.is_good:
                return line
            line.abort()
        return None

    async def _close_idle(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(IDLE_SECONDS / 4)
            while self._idle and self._idle[0].idle_since < loop.time() - IDLE_SECONDS:
                self._idle.popleft().abort()


def _words(error: OSError) -> str:
    """Why there is no connection, without names and addresses: those are in the log."""
    match error:
        case Unresolved():
            return "The verifier's name does not resolve."
        case ssl.SSLCertVerificationError():
            return "The verifier's certificate is not accepted."
        case ssl.SSLError():
            return "TLS with the verifier failed."
        case ConnectionRefusedError():
            return "The verifier refused the connection."
    return "There is no connection to the verifier."

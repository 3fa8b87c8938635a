"""How a connection hears that its web process ends: after its request, not before.

Mixed into the protocol of config/web_worker.py, before uvicorn's. A web process that is told to end
closes every connection without a request under way; one that it has just accepted has its request
in the socket's buffer, and its client would get a reset for it: seen at each reload under load.
"""

import asyncio
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# A request follows its connection at once; who has sent none by then is just connected.
GRACE_SECONDS = 1.0

if TYPE_CHECKING:
    _Protocol = HttpToolsProtocol
else:
    _Protocol = object


class Goodbye(_Protocol):
    """Serves one more request on a connection that has had none yet, then closes it."""

    _leaving = False
    _closing: asyncio.TimerHandle | None = None

    def shutdown(self) -> None:
        """Called by uvicorn for each connection when the process is to end."""
        if self.cycle is not None:
            super().shutdown()
            return
        self._leaving = True
        self._closing = self.loop.call_later(GRACE_SECONDS, self._close_unused)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if self._leaving and self.cycle is not None:
            self.cycle.keep_alive = False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._closing is not None:
            self._closing.cancel()
        super().connection_lost(exc)

    def _close_unused(self) -> None:
        if self.cycle is None:
            self.transport.close()

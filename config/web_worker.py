"""The gunicorn worker of the web process: uvicorn with limits that uvicorn does not have.

Given to gunicorn as `-k config.web_worker.WebWorker`. Limits what a client may hold before the
application sees a request (config/asgi.py), and after it has sent the response.
"""

import asyncio
import resource
import sys
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from django.apps import apps
from django.conf import settings
from gunicorn.arbiter import Arbiter
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn_worker import UvicornWorker

from config.logs import gunicorn_lines
from config.memory import set_aside
from config.web_accepting import LIVE, LIVE_WEIGHT, WEIGHT, Loads, SharingServer
from config.web_goodbye import Goodbye
from config.wsgi_threads import ABORT

HEAD_BYTES = 64 * 1024
HEAD_FIELDS = 100
# A thread that got its answer from an engine waits so long for one that calculates. A request asks
# several times, so Python's 5 ms would be most of what it takes.
SWITCH_SECONDS = 0.0005


class TooLarge(Exception):
    """The head of the request is larger than we take."""


class LimitedProtocol(Goodbye, HttpToolsProtocol):
    """One connection. Heads are limited in bytes, fields and time; a refused body in time."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.weight = WEIGHT
        self._unparsed = 0  # bytes since the last that made sense: the head's first line, mostly
        self._head_bytes = 0
        self._head_fields = 0
        self._in_body = False
        self._too_large = False
        self._patience: asyncio.TimerHandle | None = None
        self._linger: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._be_patient()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_patience()
        if self._linger is not None:
            self._linger.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unparsed += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._unparsed > HEAD_BYTES:
            self._too_large = True
            self.send_400_response("")
        elif self._unparsed and not self._in_body and self._patience is None:
            self._be_patient()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._unparsed = max(self._unparsed, 1)
        self._head_bytes = self._head_fields = 0

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_fields += 1
        self._count(len(name) + len(value) + 4)
        super().on_header(name, value)

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES or self._head_fields > HEAD_FIELDS:
            self._too_large = True
            raise TooLarge  # makes the parser fail, which calls send_400_response

    def on_headers_complete(self) -> None:
        self._end_patience()
        self._unparsed = 0
        self._in_body = True
        self.scope["extensions"] = {ABORT: self.transport.abort}
        self.weight = LIVE_WEIGHT if self.url.startswith(LIVE.encode()) else WEIGHT
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._end_patience()
        self._unparsed = 0
        self._in_body = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._end_soon()
        elif self._in_body and self._patience is None:
            self._be_patient()  # answered early: the rest of the body is read to no purpose

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, or one whose head is too large."""
        if self._too_large:
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            head = f"HTTP/1.1 {status.value} {status.phrase}\r\n"
            head += "content-length: 0\r\nconnection: close\r\n\r\n"
            self.transport.write(head.encode())
            self.transport.close()
        else:
            super().send_400_response(msg)
        self._end_soon()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._end_soon()

    def _be_patient(self) -> None:
        self._patience = self.loop.call_later(settings.REQUEST_HEAD_SECONDS, self._run_out)

    def _end_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _run_out(self) -> None:
        self._patience = None
        if self.cycle is not None and not self.cycle.response_complete:
            self._be_patient()  # the client waits for us: reading may be paused meanwhile
        else:
            self.transport.abort()

    def _end_soon(self) -> None:
        """A closed connection stays until its client has read all: not for ever."""
        if self._linger is None:
            self._linger = self.loop.call_later(
                settings.DOWNLOAD_IDLE_SECONDS, self.transport.abort
            )


class WebWorker(UvicornWorker):
    """Takes the client's address from the socket: config/proxies.py looks at what proxies say."""

    CONFIG_KWARGS = {"loop": "auto", "http": LimitedProtocol, "proxy_headers": False}

    loads: Loads

    @classmethod
    def setup(cls) -> None:
        """Called by gunicorn's first process, which has its handlers by then."""
        gunicorn_lines.set_up()
        cls.loads = Loads()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Called there too, before the fork."""
        super().__init__(*args, **kwargs)
        self._loads = self.loads  # setup() may be called again, also in this process

    def init_process(self) -> None:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        with suppress(ValueError, OSError):  # macOS has a limit below the one it tells
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        sys.setswitchinterval(SWITCH_SECONDS)
        super().init_process()

    def run(self) -> None:
        """Serve until the process is asked to end. The application is loaded."""
        # Not above: the master has no settings.
        from config.metrics.sums import Counting
        from config.operations.processes import Heartbeat

        beside: list[Any] = [Counting(), Heartbeat("web")]
        if apps.ready:  # else it is no application of Django's, and has no models
            from config.operations.sampling import Sampler

            beside.append(Sampler())
        for each in beside:
            each.start()
        set_aside()
        try:
            super().run()
        finally:
            for each in reversed(beside):
                each.end()

    async def _serve(self) -> None:
        """As UvicornWorker's, with a server that takes its share of the connections."""
        self.config.app = self.wsgi
        server = SharingServer(self.config, self._loads, self.age)
        self._install_sigquit_handler()
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)

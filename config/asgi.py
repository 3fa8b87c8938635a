"""The web process: Django's pages and REST calls in threads, what waits in the event loop.

Started by `gunicorn config.asgi:application -k config.web_worker.WebWorker`. Django's own ASGI
handler is not used: it opens a thread and a database connection per request, and a stream keeps
both. Under WSGI threads keep their connections, and a stream or a wait is a coroutine.
"""

import asyncio
import os
import re
import signal
import threading
from collections.abc import Callable
from http import HTTPStatus
from importlib import import_module

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

# First: it loads the settings and applications that all others need.
from config.wsgi import application as django

# isort: split
from django.conf import settings
from django.utils.module_loading import import_string

from config import api_errors
from config.proxies import seen_through
from config.request_bodies import (
    RETRY_SECONDS,
    SMALL_BYTES,
    Body,
    Collector,
    Refused,
    busy,
    check_type,
    length,
)
from config.request_log import Exchange
from config.wsgi_threads import (
    ASGIApplication,
    Receive,
    Scope,
    Send,
    WSGIApplication,
    WSGIThreads,
)

# Paths that are answered in the event loop, by prefix: applications that are given Django's, and
# whose `close` ends what goes on for long. An area adds its own here.
WAITING = {
    "/events/": "config.live.streams.Streams",
    "/api/orders/": "transactions.orders.waiting.Waits",
}
PROBES = ("/healthz", "/readyz")
PROBES_NEED_NOT = (b"cookie", b"host")
PROBE_THREADS = 2
# Where a body may be as large as an upload, and the setting that says how large that is. Elsewhere
# it is a form's or a JSON document's.
UPLOADS = {
    re.compile(r"POST /api/imports/|PATCH /api/uploads/[^/]+/"): "UPLOAD_MAX_BYTES",
    re.compile(r"POST (/api/stocksync/jobs/|/stocksync/new/)"): "STOCKSYNC_MAX_BYTES",
}
UPLOAD_EXTRA_BYTES = 1024**2  # beside the file, in a multipart body
UPLOADS_WAITING = 8  # for a thread; more are told to come back later
# Where errors are for programs (config.api_errors).
JSON_PATHS = ("/api/", "/events/")
# Responses of any length, read as slowly as their client likes.
DOWNLOADS = (".csv", ".jsonl", "/output", "/rejects", "/summary.json")


class Web:
    """ASGI application of one web process."""

    def __init__(
        self,
        wsgi: WSGIApplication,
        *,
        page_threads: int,
        transfer_threads: int,
        download_threads: int = 4,
    ) -> None:
        """Threads are those of this process; each holds at most one database connection.

        `transfer_threads` take uploads.
        """
        self._pages = WSGIThreads(wsgi, threads=page_threads, name="page")
        self._transfers = WSGIThreads(wsgi, threads=transfer_threads, name="upload")
        self._downloads = WSGIThreads(wsgi, threads=download_threads, name="download")
        # Of their own, so that a process whose pages wait for the database is not called dead.
        self._probes = WSGIThreads(wsgi, threads=PROBE_THREADS, name="probe")
        self._uploads: set[Body] = set()
        self._most_uploads = transfer_threads + UPLOADS_WAITING
        self._collector = Collector()
        self._waiting = {
            prefix: import_string(name)(self._pages) for prefix, name in WAITING.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        else:
            scope = seen_through(scope, settings.TRUSTED_PROXIES)
            await self._http({**scope, "headers": _headers(scope)}, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, send)
        try:
            await self._answer(scope, receive, exchange)
        except Refused as refusal:
            await _refuse(refusal, scope, exchange)
        finally:
            exchange.log()

    async def _answer(self, scope: Scope, receive: Receive, exchange: Exchange) -> None:
        path: str = scope["path"]
        size = length(scope)
        asked = f"{scope['method']} {path}"
        limit = next((name for where, name in UPLOADS.items() if where.fullmatch(asked)), None)
        largest = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if limit is not None:
            largest = getattr(settings, limit) + UPLOAD_EXTRA_BYTES
        if size is not None and size > largest:
            raise Refused(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"At most {largest:,} bytes are taken here."
            )
        check_type(scope)
        body = Body(receive)
        if limit is not None and size is not None and size > SMALL_BYTES:
            await self._transfer(scope, body, exchange)
            return
        # A body without a length may be no larger than what the server holds of it anyway.
        scope["body"] = await self._collector.collect(
            scope, body, SMALL_BYTES if size is None else largest
        )
        if scope["body"] is not None:
            await self._application(path)(scope, receive, exchange.send)

    def _application(self, path: str) -> ASGIApplication:
        for prefix, application in self._waiting.items():
            if path.startswith(prefix):
                return application
        if path in PROBES:
            return self._probe
        return self._downloads if path.endswith(DOWNLOADS) else self._pages

    async def _probe(self, scope: Scope, receive: Receive, send: Send) -> None:
        # With a browser's cookie the login middleware would ask the database who this is. Probes
        # come by address (127.0.0.1, a container's), whatever names are allowed; no answer has it.
        headers = [(name, value) for name, value in scope["headers"] if name not in PROBES_NEED_NOT]
        headers.append((b"host", _allowed_host()))
        await self._probes({**scope, "headers": headers}, receive, send)

    async def _transfer(self, scope: Scope, body: Body, exchange: Exchange) -> None:
        async def send(message):
            # What is left of a body we no longer read would be taken for the next request.
            exchange.close_connection = body.cut
            await exchange.send(message)

        if len(self._uploads) >= self._most_uploads:
            raise busy("Too many uploads are on their way.")
        self._uploads.add(body)
        try:
            await self._transfers(scope, body.receive, send)
        finally:
            self._uploads.discard(body)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        _on_stop_signal(self.close)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.close()
        for threads in (self._pages, self._transfers, self._downloads, self._probes):
            threads.close()
        await send({"type": "lifespan.shutdown.complete"})

    def close(self) -> None:
        """End what would go on for long: streams, waits, and the reading of uploads."""
        for application in self._waiting.values():
            application.close()
        for body in self._uploads:
            body.end()


def _headers(scope: Scope) -> list[tuple[bytes, bytes]]:
    """The request's headers without those that WSGI would mix up with others.

    `X_Forwarded_For` and `X-Forwarded-For` become the same variable; proxies check only the second.
    """
    return [(name, value) for name, value in scope["headers"] if b"_" not in name]


def _allowed_host() -> bytes:
    first = next(iter(settings.ALLOWED_HOSTS), "*")
    return b"localhost" if first == "*" else first.removeprefix(".").encode()


async def _refuse(refusal: Refused, scope: Scope, exchange: Exchange) -> None:
    body, kind = f"{refusal.text}\n".encode(), b"text/plain; charset=utf-8"
    if scope["path"].startswith(JSON_PATHS):
        body, kind = api_errors.response(refusal.status, refusal.text).content, b"application/json"
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    if refusal.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append((b"retry-after", str(RETRY_SECONDS).encode()))
    elif refusal.status == HTTPStatus.REQUEST_TIMEOUT:
        exchange.close_connection = True  # or its rest would be taken for the next request
    await exchange.send(
        {"type": "http.response.start", "status": refusal.status.value, "headers": headers}
    )
    await exchange.send({"type": "http.response.body", "body": body})


def _on_stop_signal(close: Callable[[], None]) -> None:
    """Call `close` in the event loop when the process is asked to stop.

    uvicorn sends lifespan.shutdown only after the last response has ended, so without this a
    single open stream held the process until gunicorn's graceful time-out (30 s) killed it.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        server = signal.getsignal(number)
        if not callable(server):
            continue

        def stop(number, frame, server=server):
            loop.call_soon_threadsafe(close)
            server(number, frame)

        signal.signal(number, stop)


# All views are loaded before the first request, and a broken one stops the start.
import_module(settings.ROOT_URLCONF)
application = Web(
    django,
    page_threads=settings.WEB_THREADS,
    transfer_threads=settings.UPLOAD_THREADS,
    download_threads=settings.DOWNLOAD_THREADS,
)

"""Runs a WSGI application in a pool of threads below an ASGI server.

Used by config/asgi.py, with pools for pages, uploads, downloads and health checks.
a2wsgi translates the request; its way of sending the response is not used: it hands every message
from thread to event loop one by one and loses a thread for ever to a failing `send`.
"""

import asyncio
import contextvars
import io
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from a2wsgi.wsgi import Body, build_environ
from django.conf import settings

from .request_log import request_id

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApplication = Callable[[Scope, Receive, Send], Awaitable[None]]
WSGIApplication = Callable[..., Iterable[bytes]]

# Key in scope["extensions"]: a function that ends the connection without sending what is left.
ABORT = "stockroom.abort"
# Of what is sent at a time. Django reads files in 4 KiB, each a turn of the event loop.
BLOCK_BYTES = 64 * 1024


class ClientGone(Exception):
    """Nobody reads this response any more; ends the loop that produces it."""


class WSGIThreads:
    """ASGI application that runs `wsgi` in at most `threads` threads of its own.

    Each thread keeps what it opens: its database connection (CONN_MAX_AGE) and, by a context of
    its own, what Django keeps in context variables. A body that the event loop has collected is in
    `scope["body"]`; any other is read from the client by the thread.
    """

    def __init__(self, wsgi: WSGIApplication, *, threads: int, name: str) -> None:
        self._wsgi = wsgi
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._of_thread = threading.local()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        collected: bytes | None = scope.get("body")
        environ: dict[str, Any] = build_environ(scope, Body(loop, receive))  # type: ignore[arg-type]
        environ["wsgi.errors"] = sys.stderr
        if collected is not None:
            environ["wsgi.input"] = io.BytesIO(collected)
        reader = _Reader(send, receive if collected is not None else None)
        response = _Response(loop, reader.send)
        try:
            await loop.run_in_executor(self._executor, self._run, environ, response)
            for message in response.held:
                await reader.send(message)
            if response.file is not None:
                await self._send_file(response.file, reader.send)
        except ClientGone:
            await abort(scope)
        finally:
            reader.close()
            if response.file is not None:
                # In a thread of ours: it ends by giving back the thread's database connection.
                loop.run_in_executor(self._executor, self._in_context, response.file.close)

    async def _send_file(self, file: Any, send: Send) -> None:
        """Holds no thread of the pool while the client reads."""
        loop = asyncio.get_running_loop()
        blocks = iter(file)
        while block := await loop.run_in_executor(None, next, blocks, b""):
            await send({"type": "http.response.body", "body": block, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    def close(self) -> None:
        """Take no more requests; threads end with the one they have."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _run(self, environ: dict[str, Any], response: "_Response") -> None:
        self._in_context(response.produce, self._wsgi, environ)

    def _in_context(self, function: Callable[..., None], *arguments: Any) -> None:
        self._context().run(function, *arguments)

    def _context(self) -> contextvars.Context:
        """The calling thread's context, the same for each of its requests.

        Django keeps its caches in context variables: with a fresh context for each request, each
        that used the cache opened a connection to Redis of its own.
        """
        context: contextvars.Context | None = getattr(self._of_thread, "context", None)
        if context is None:
            context = self._of_thread.context = contextvars.Context()
        return context


class _Response:
    """One response, produced in a thread.

    A response that is whole in memory stays in `held` until the thread is done with it, and a
    file is only opened; only one that is produced piece by piece goes out meanwhile, as fast as
    its client reads.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, send: Send) -> None:
        self._loop = loop
        self._send = send
        self.held: list[Message] = []
        self.file: Any = None
        """Django's response with a file in it, to be sent after `held` and closed."""

    def produce(self, wsgi: WSGIApplication, environ: dict[str, Any]) -> None:
        """Call the application and pass its response on. Runs in the thread."""
        request_id.set(environ["asgi.scope"].get("request_id", ""))
        chunks: Any = wsgi(environ, self._start)
        if hasattr(chunks, "block_size"):
            chunks.block_size = BLOCK_BYTES
            self.file = chunks
            return
        try:
            if isinstance(chunks, list) or getattr(chunks, "streaming", None) is False:
                self._hold(b"".join(chunks))
            else:
                self._stream(chunks)
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        lines = [
            (name.strip().lower().encode("latin-1"), value.strip().encode("latin-1"))
            for name, value in headers
        ]
        start = {"type": "http.response.start", "status": int(status[:3]), "headers": lines}
        self.held = [start]
        return self._write

    def _write(self, chunk: bytes) -> None:
        """PEP 3333's old way to send; Django does not use it."""
        raise NotImplementedError

    def _hold(self, body: bytes) -> None:
        """In blocks, so that the patience with a slow reader begins anew with each."""
        last = max(len(body) - 1, 0) // BLOCK_BYTES * BLOCK_BYTES
        for start in range(0, last, BLOCK_BYTES):
            block = body[start : start + BLOCK_BYTES]
            self.held.append({"type": "http.response.body", "body": block, "more_body": True})
        self.held.append({"type": "http.response.body", "body": body[last:]})

    def _stream(self, chunks: Any) -> None:
        for chunk in chunks:
            if chunk:
                self._pass_on({"type": "http.response.body", "body": chunk, "more_body": True})
        self.held.append({"type": "http.response.body", "body": b""})

    def _pass_on(self, message: Message) -> None:
        """Send now, and wait until the client has read enough. Raises what `send` raises."""
        held, self.held = self.held, []
        sending = self._send_all([*held, message])
        asyncio.run_coroutine_threadsafe(sending, self._loop).result()

    async def _send_all(self, messages: list[Message]) -> None:
        for message in messages:
            await self._send(message)


class _Reader:
    """The client of a response, with an end to the patience with it.

    A server's `send` does not say that nobody reads any more, so a long export would be produced
    to its end for a closed tab; and it waits for ever for a client who is there and does not read.
    """

    def __init__(self, send: Send, receive: Receive | None) -> None:
        """`receive` is None while somebody else reads the request's body."""
        self._receive = receive
        self._send = patient(send)
        self._gone: asyncio.Task[None] | None = None

    async def send(self, message: Message) -> None:
        if self._gone is None and self._receive is not None and message.get("more_body"):
            self._gone = asyncio.create_task(self._wait_until_gone())
        elif self._gone is not None and self._gone.done():
            raise ClientGone
        await self._send(message)

    async def _wait_until_gone(self) -> None:
        assert self._receive is not None
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def close(self) -> None:
        if self._gone is not None:
            self._gone.cancel()


def patient(send: Send) -> Send:
    """`send` that waits DOWNLOAD_IDLE_SECONDS at most for its client. Raises ClientGone."""

    async def patiently(message: Message) -> None:
        try:
            async with asyncio.timeout(settings.DOWNLOAD_IDLE_SECONDS):
                await send(message)
        except TimeoutError:
            raise ClientGone from None

    return patiently


async def abort(scope: Scope) -> None:
    """End the connection of a client that does not read, and drop what waits for it."""
    end = scope.get("extensions", {}).get(ABORT)
    if end is not None:
        end()
        await asyncio.sleep(0)  # the server takes note in the loop's next turn

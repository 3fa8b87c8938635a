"""Server-sent events: one coroutine per open page, no thread and no database connection.

Mounted by config/asgi.py at /events/. Django's own ASGI handler would keep a thread and its
connection for each stream (200 of each for 200 pages).
"""

import asyncio
import random

from django.conf import settings
from django_eventstream.utils import sse_encode_event
from django_eventstream.views import Listener

from config.wsgi_threads import (
    ASGIApplication,
    ClientGone,
    Receive,
    Scope,
    Send,
    abort,
    patient,
)

from .subscription import install
from .views import GRANT, Grant

RETRY_MS = 2000
KEEP_ALIVE = b"event: keep-alive\ndata:\n\n"
RESET = b"event: stream-reset\ndata:\n\n"
OPEN = b"retry: %d\nevent: stream-open\ndata:\n\n" % RETRY_MS


class Streams:
    """ASGI application of all streams of this process."""

    def __init__(self, django: ASGIApplication) -> None:
        """`django` answers whether a stream may be opened (config.live.views.events)."""
        self._django = django
        self._manager = install()
        self._open: set[Listener] = set()
        self._closing = False

    def close(self) -> None:
        """End all streams; pages come back after RETRY_MS, to another process."""
        self._closing = True
        for listener in self._open:
            listener.aevent.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._answer(scope, receive, patient(send))
        except ClientGone:
            await abort(scope)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        grant = Grant()
        answer: list = []

        async def keep(message) -> None:
            answer.append(message)

        await self._django({**scope, GRANT: grant}, receive, keep)
        if not grant.channels:
            for message in answer:
                await send(message)
            return
        start = answer[0]
        start["headers"] = [x for x in start["headers"] if x[0] != b"content-length"]
        await send(start)
        await self._stream(grant, receive, send)

    async def _stream(self, grant: Grant, receive: Receive, send: Send) -> None:
        listener = Listener()
        listener.assign_loop()
        listener.user_id, listener.channels = grant.user_id, grant.channels
        self._manager.add_listener(listener)
        self._open.add(listener)
        gone = asyncio.create_task(_disconnect(receive, listener))
        try:
            await self._follow(listener, gone, send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            gone.cancel()
            self._open.discard(listener)
            self._manager.remove_listener(listener)

    async def _follow(self, listener: Listener, gone: asyncio.Task[None], send: Send) -> None:
        # Ended from time to time, so that a page whose user was locked out or has signed out
        # does not stay open; spread, so that pages do not come back all at once.
        clock = asyncio.get_running_loop().time
        end = clock() + settings.LIVE_STREAM_SECONDS * random.uniform(0.8, 1.0)
        body = OPEN
        while True:
            if body:
                await send({"type": "http.response.body", "body": body, "more_body": True})
            if self._closing or gone.done() or clock() > end:
                return
            try:
                async with asyncio.timeout(settings.LIVE_KEEP_ALIVE_SECONDS):
                    await listener.aevent.wait()
            except TimeoutError:
                body = KEEP_ALIVE
            else:
                body = self._take(listener)

    def _take(self, listener: Listener) -> bytes:
        """What is queued for the page, or a reset where some of it was lost."""
        with self._manager.lock:
            listener.aevent.clear()
            items, listener.channel_items = listener.channel_items, {}
            lost, listener.overflow = listener.overflow, False
        if lost:
            return RESET
        return "".join(
            sse_encode_event(event.type, event.data)
            for events in items.values()
            for event in events
        ).encode()


async def _disconnect(receive: Receive, listener: Listener) -> None:
    """Returns when the page is gone, and wakes its stream."""
    while (await receive())["type"] != "http.disconnect":
        pass
    listener.aevent.set()

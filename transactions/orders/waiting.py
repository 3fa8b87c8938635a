"""GET /api/orders/<order_id>/?wait=25: an answer held back until the order is decided.

Mounted by config/asgi.py. Django is asked in an ordinary thread what it would answer; as long as
its view calls `hold`, a coroutine waits for the order's events (config/live), without a thread or
a database connection, and asks again.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from django.conf import settings
from django.http import HttpRequest
from django.urls.converters import UUIDConverter
from django_eventstream.views import Listener

from config.live.subscription import install
from config.wsgi_threads import ASGIApplication, Message, Receive, Scope, Send
from transactions.models import FINAL

from .live import channel_of

MOST_SECONDS = 25.0  # Heroku's router gives up after 30
MOST_WAITS = 5_000  # of one process; more are answered at once
KEY = "stockroom.waiting"  # in the ASGI scope: a Waiting
PATH = re.compile(rf"/api/orders/({UUIDConverter.regex})/")


@dataclass
class Waiting:
    """What Django's view and who waits tell each other."""

    open: bool = False
    """By the view: the order is not decided yet, and the asker may wait for it."""
    asked_before: bool = False
    """For the view: the same request was answered already, and counted."""


def hold(request: HttpRequest) -> None:
    """Say that this answer is of an order not decided yet. For the view, with a valid `wait`."""
    waiting: Waiting | None = request.META.get("asgi.scope", {}).get(KEY)
    if waiting is not None:
        waiting.open = True


def asked_before(request: HttpRequest) -> bool:
    """Whether the same request was let through a moment ago: it is not counted again."""
    waiting: Waiting | None = request.META.get("asgi.scope", {}).get(KEY)
    return waiting is not None and waiting.asked_before


class Waits:
    """ASGI application of all that wait in this process; other requests are Django's."""

    def __init__(self, django: ASGIApplication) -> None:
        self._django = django
        self._manager = install()
        self._waits: set[Listener] = set()
        self._closing = False
        # Thousands may want to know at once (Redis is back, the process ends): pages are served
        # beside them.
        self._turns = asyncio.Semaphore(max(1, settings.WEB_THREADS // 2))

    def close(self) -> None:
        """Answer all with the present state."""
        self._closing = True
        for listener in self._waits:
            listener.aevent.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = PATH.fullmatch(scope["path"])
        seconds = _seconds(scope["query_string"])
        if path is None or scope["method"] != "GET" or not seconds:
            await self._django(scope, receive, send)
            return
        end = asyncio.get_running_loop().time() + seconds
        # Before the first answer: what is decided after it is heard of.
        with self._listening(channel_of(path[1])) as listener:
            gone = asyncio.create_task(_disconnect(receive, listener))
            try:
                answer = await self._answer(scope, receive, listener, gone, end)
            finally:
                gone.cancel()
        for message in answer:
            await send(message)

    @contextmanager
    def _listening(self, channel: str) -> Iterator[Listener]:
        listener = Listener()
        listener.assign_loop()
        listener.channels = {channel}
        self._manager.add_listener(listener)
        self._waits.add(listener)
        try:
            yield listener
        finally:
            self._waits.discard(listener)
            self._manager.remove_listener(listener)

    async def _answer(
        self,
        scope: Scope,
        receive: Receive,
        listener: Listener,
        gone: asyncio.Task[None],
        end: float,
    ) -> list[Message]:
        """Django's last answer; none for a client who is gone."""
        clock = asyncio.get_running_loop().time
        waiting = Waiting()
        answer = await self._ask(waiting, scope, receive)
        may_wait = len(self._waits) <= MOST_WAITS
        while waiting.open and may_wait and not self._closing and clock() < end:
            await self._news(listener, gone, end)
            waiting = Waiting(asked_before=True)
            async with self._turns:
                if gone.done():
                    return []
                answer = await self._ask(waiting, scope, receive)
        return answer

    async def _ask(self, waiting: Waiting, scope: Scope, receive: Receive) -> list[Message]:
        answer: list[Message] = []

        async def keep(message: Message) -> None:
            answer.append(message)

        await self._django({**scope, KEY: waiting}, receive, keep)
        return answer

    async def _news(self, listener: Listener, gone: asyncio.Task[None], end: float) -> None:
        """Returns when the order may be decided, the client is gone, or the time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(end):
                while not (self._closing or gone.done()):
                    await listener.aevent.wait()
                    if self._may_be_decided(listener):
                        return

    def _may_be_decided(self, listener: Listener) -> bool:
        """Whether what was heard says so, or some of it was lost."""
        with self._manager.lock:
            listener.aevent.clear()
            items, listener.channel_items = listener.channel_items, {}
            lost, listener.overflow = listener.overflow, False
        return lost or any(_is_final(event.data) for heard in items.values() for event in heard)


def _seconds(query: bytes) -> float:
    """What `wait` asks for; 0 where there is none, or one that the view refuses."""
    try:
        seconds = float(parse_qs(query.decode("latin-1"))["wait"][-1])
    except (KeyError, ValueError):
        return 0.0
    return seconds if 0 < seconds <= MOST_SECONDS else 0.0


def _is_final(data: Any) -> bool:
    """Whether an event's data (transactions.orders.snapshot as JSON) is of a decided order."""
    try:
        return json.loads(data)["status"] in FINAL
    except (ValueError, TypeError, KeyError):
        return True  # not ours: look


async def _disconnect(receive: Receive, listener: Listener) -> None:
    """Returns when the client is gone, and wakes who waits for it."""
    while (await receive())["type"] != "http.disconnect":
        pass
    listener.aevent.set()

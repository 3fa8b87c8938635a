"""The web process's one subscription to Redis, which comes back after any cut.

django-eventstream's own listener ends with its connection while keep-alives go on: pages look
live and stay wrong. This one takes its place in the library's listener manager (`install`).
"""

import asyncio
import json
import logging
import random
from typing import Any

from django.conf import settings
from django_eventstream.event import Event
from django_eventstream.views import ListenerManager, get_listener_manager
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from .publishing import TOPIC

logger = logging.getLogger(__name__)

FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 2.0


class Subscription:
    """Listens for as long as its event loop runs; tells all streams to reset after each gap."""

    def __init__(self, manager: ListenerManager) -> None:
        self._manager = manager
        self._wait = FIRST_WAIT_SECONDS
        self._away = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Never returns. Called once by the library, in a task it keeps no reference to."""
        self._task = asyncio.current_task()
        while True:
            try:
                await self._listen()
            except (RedisError, OSError, TimeoutError) as error:
                if not self._away:
                    self._away = True
                    logger.warning("live pages wait for Redis: %s", type(error).__name__)
            # Several web processes must not come back in step.
            await asyncio.sleep(self._wait * random.uniform(0.5, 1.0))
            self._wait = min(self._wait * 2, LONGEST_WAIT_SECONDS)

    async def _listen(self) -> None:
        # The library would retry by itself, and come back without telling us of the gap.
        options = {**settings.EVENTSTREAM_REDIS, "retry": Retry(NoBackoff(), 0)}
        async with Redis(**options) as client, client.pubsub() as pubsub:
            await pubsub.subscribe(TOPIC)
            await self._read(pubsub)

    async def _read(self, pubsub: PubSub) -> None:
        """Hand on what arrives. A silent connection is asked; no answer means that it is cut."""
        asked = False
        while True:
            message = await pubsub.get_message(timeout=settings.LIVE_PING_SECONDS)
            if message is None:
                if asked:
                    raise TimeoutError("Redis does not answer")
                await pubsub.ping()
                asked = True
                continue
            asked = False
            if message["type"] == "subscribe":
                self._subscribed()
            elif message["type"] == "message":
                self._hand_on(message["data"])

    def _subscribed(self) -> None:
        if self._away:
            logger.info("live pages have Redis again")
        self._away = False
        self._wait = FIRST_WAIT_SECONDS
        # Whatever was sent before this moment is lost to those who already listen.
        reset_all(self._manager)

    def _hand_on(self, data: bytes) -> None:
        try:
            fields: dict[str, Any] = json.loads(data)
            event = Event(fields["channel"], fields["event_type"], fields["data"])
        except (ValueError, KeyError, TypeError):
            logger.warning("not an event, left out: %.200r", data)
            return
        self._manager.add_to_queues(event.channel, event)


def reset_all(manager: ListenerManager) -> None:
    """Make every stream of this process tell its page to read the state again."""
    with manager.lock:
        for listener in {x for found in manager.listeners_by_channel.values() for x in found}:
            listener.overflow = True
            listener.wake_threadsafe()


def install() -> ListenerManager:
    """The library's listener manager, with our subscription in place of its own."""
    manager = get_listener_manager()
    if not isinstance(manager.redis_listener, Subscription):
        manager.redis_listener = Subscription(manager)
    return manager

"""Wakes the loop when somebody calls dispatch.wake(): PostgreSQL's NOTIFY in asyncio.

A connection of its own that only listens. While it is down the loop polls.
"""

import asyncio
import logging
from collections.abc import Callable

import psycopg2
from django.db import connection

from webhooks.dispatch import CHANNEL

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 5  # nothing is sent meanwhile


class Doorbell:
    """Calls `ring` in the loop's thread after each commit that asked for it."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._listening: psycopg2.extensions.connection | None = None
        self._descriptor = -1  # of `_listening`, which does not tell it once it is broken

    async def hang_up(self) -> None:
        """Listen, unless it does already. Raises psycopg2.Error."""
        if self._listening is not None and not self._listening.closed:
            return
        self.take_down()
        self._listening = await asyncio.to_thread(_listen)
        self._descriptor = self._listening.fileno()
        asyncio.get_running_loop().add_reader(self._descriptor, self._heard)
        self._ring()  # for what was said before it listened

    def take_down(self) -> None:
        if self._listening is None:
            return
        # Also where it is broken: the next connection has the same descriptor, and the loop would
        # take it for this one, and never ask the kernel about it.
        asyncio.get_running_loop().remove_reader(self._descriptor)
        self._listening.close()
        self._listening = None

    def _heard(self) -> None:
        assert self._listening is not None
        try:
            self._listening.poll()
        except psycopg2.Error as error:
            logger.warning("webhooks: not woken by the database for now: %s", error)
            self.take_down()
            self._ring()  # so that it is hung up again at once, not after the next poll
            return
        if self._listening.notifies:
            self._listening.notifies.clear()
            self._ring()


def _listen() -> psycopg2.extensions.connection:
    parameters = connection.get_connection_params()
    listening = psycopg2.connect(**{"connect_timeout": CONNECT_SECONDS, **parameters})
    listening.autocommit = True
    with listening.cursor() as cursor:
        cursor.execute(f"LISTEN {CHANNEL}")
    return listening

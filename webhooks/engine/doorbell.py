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


class Doorbell:
    """Calls `ring` in the loop's thread after each commit that asked for it."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._listening: psycopg2.extensions.connection | None = None

    async def hang_up(self) -> None:
        """Listen, unless it does already. Raises psycopg2.OperationalError."""
        if self._listening is not None and not self._listening.closed:
            return
        self._listening = await asyncio.to_thread(_listen)
        asyncio.get_running_loop().add_reader(self._listening.fileno(), self._heard)
        self._ring()  # for what was said before it listened

    def take_down(self) -> None:
        if self._listening is None:
            return
        if not self._listening.closed:
            asyncio.get_running_loop().remove_reader(self._listening.fileno())
            self._listening.close()
        self._listening = None

    def _heard(self) -> None:
        assert self._listening is not None
        try:
            self._listening.poll()
        except psycopg2.Error as error:
            logger.warning("webhooks: not woken by the database for now: %s", error)
            self.take_down()
            return
        if self._listening.notifies:
            self._listening.notifies.clear()
            self._ring()


def _listen() -> psycopg2.extensions.connection:
    listening = psycopg2.connect(**connection.get_connection_params())
    listening.autocommit = True
    with listening.cursor() as cursor:
        cursor.execute(f"LISTEN {CHANNEL}")
    return listening

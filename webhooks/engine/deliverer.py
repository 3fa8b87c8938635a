"""The consumer `deliveries`: a loop that sends what is due, hosted by a Celery worker.

Any number of them may run. One round: record what ended, make the deliveries of new events,
claim what is due, send it; then rest until something ends, a change calls, or
WEBHOOK_POLL_SECONDS have passed. Attempts are made by asyncio: a hanging endpoint holds an
idle socket, no thread. Everything that speaks to the database does so in one other thread.
"""

import asyncio
import json
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import psycopg2
from django.conf import settings
from django.db import close_old_connections, connection, connections

from config import request_log
from config.live.throttling import throttle

from . import addresses, claims, fan_out, message, recording
from .claims import Taken
from .doorbell import Doorbell
from .recording import Ended
from .sender import Answer, Request, Sender

logger = logging.getLogger(__name__)

LIVE_CHANNEL = "webhooks"
HELD_SECONDS = 0.1  # between two tries to record what somebody else holds
# PostgreSQL's own limits of the engine's session; its transactions take milliseconds.
SESSION_LIMITS = {"lock_timeout": 2, "idle_in_transaction_session_timeout": 10}


class Deliverer:
    """Sends webhooks until it is stopped; what is under way then is awaited and recorded."""

    def __init__(self) -> None:
        self._under_way: dict[asyncio.Task[None], Taken] = {}
        self._ended: list[Ended] = []
        self._attempts = 0
        self._last_round_at: datetime | None = None
        self._away = False
        self._deaf = False  # whether there is no doorbell
        self._session: Any = None  # the connection whose limits are set
        self._untold = False  # whether viewers have not heard of what was recorded last

    def run(self, stop: threading.Event) -> None:
        """See config.consumers.registry.Consumer."""
        asyncio.run(self._run(stop))

    def health(self) -> dict[str, Any]:
        return {
            "in_flight": len(self._under_way),
            "attempts": self._attempts,
            "last_round_at": self._last_round_at,
        }

    async def _run(self, stop: threading.Event) -> None:
        self._woken = asyncio.Event()
        doorbell = Doorbell(self._woken.set)
        loop = asyncio.get_running_loop()
        threading.Thread(target=_tell, args=(stop, loop, self._woken), daemon=True).start()
        with ThreadPoolExecutor(1, "webhooks.database") as self._database:
            try:
                async with Sender(
                    addresses.Policy.from_settings(),
                    timeout_seconds=settings.WEBHOOK_TIMEOUT_SECONDS,
                    response_bytes=settings.WEBHOOK_RESPONSE_BYTES,
                ) as self._sender:
                    while not stop.is_set():
                        await self._round(doorbell)
                    await self._drain()
            finally:
                doorbell.take_down()
                await self._in_database(connections.close_all)

    async def _round(self, doorbell: Doorbell) -> None:
        """Do what there is to do, then rest."""
        self._woken.clear()
        await self._hang_up(doorbell)
        try:
            more, began, taken = await self._in_database(self._step)
        except recording.DATABASE_AWAY as error:
            self._database_away(error)
        else:
            self._last_round_at, self._away = datetime.now(UTC), False
            for one in taken:
                self._begin(one, began)
            if more:
                return
        rest = HELD_SECONDS if self._ended else settings.WEBHOOK_POLL_SECONDS
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), rest)

    async def _hang_up(self, doorbell: Doorbell) -> None:
        """Without it, e.g. since the server has no connection to spare, the loop polls."""
        try:
            await doorbell.hang_up()
        except psycopg2.Error as error:
            if not self._deaf:
                logger.warning("webhooks are only polled for now: %s", error)
            self._deaf = True
        else:
            self._deaf = False

    def _step(self) -> tuple[bool, float, list[Taken]]:
        """The round's work in the database.

        Whether there is more, what is to be sent, and the monotonic time before it was claimed.
        """
        close_old_connections()
        self._limit_session()
        self._record()
        claims.release_lost()
        more = fan_out.fan_out()
        under_way = list(self._under_way.values())
        failing = sum(taken.failing for taken in under_way)
        free = settings.WEBHOOK_IN_FLIGHT - len(under_way)
        began = time.monotonic()
        callbacks = sum(taken.endpoint.for_callbacks for taken in under_way)
        taken = claims.take(
            free,
            settings.WEBHOOK_IN_FLIGHT // 2 - failing,
            settings.WEBHOOK_IN_FLIGHT * 3 // 4 - callbacks,
        )
        return more, began, taken

    def _limit_session(self) -> None:
        """A frozen engine must not hold its locks, nor this one wait for somebody else's."""
        connection.ensure_connection()
        if connection.connection is self._session:
            return
        with connection.cursor() as cursor:
            for name, seconds in SESSION_LIMITS.items():
                cursor.execute("SELECT set_config(%s, %s, false)", [name, f"{seconds}s"])
        self._session = connection.connection

    def _record(self) -> None:
        ended = self._ended[:]
        if ended:
            left = recording.record(ended)
            # Only now: they are kept while the database is away.
            self._ended[: len(ended)] = left
            self._untold = True
        if self._untold and throttle(LIVE_CHANNEL).publish(_now):
            self._untold = False

    def _begin(self, taken: Taken, began: float) -> None:
        task = asyncio.create_task(self._attempt(taken, began))
        self._under_way[task] = taken
        task.add_done_callback(self._over)

    def _over(self, task: "asyncio.Task[None]") -> None:
        del self._under_way[task]
        self._woken.set()

    async def _attempt(self, taken: Taken, began: float) -> None:
        """Send it. `began` is the monotonic time before it was claimed."""
        request_log.request_id.set(taken.event.request_id)  # of this attempt's lines alone
        spare = settings.WEBHOOK_LEASE_SECONDS - settings.WEBHOOK_TIMEOUT_SECONDS
        if time.monotonic() - began > spare:
            # This process was frozen after the claim, and another may have it by now.
            logger.warning("delivery %s: not sent, its lease is nearly over", taken.delivery_id)
            return
        self._attempts += 1
        shown: dict[str, str] = {}
        if not taken.secrets:  # deleted in the moment of the claim
            self._ended.append(Ended(taken, shown, Answer(error="The endpoint has no secret.")))
            return
        try:
            endpoint, event = taken.endpoint, taken.event
            body = message.body(event.type, event.occurred_at, json.loads(taken.data))
            headers = message.headers(
                event.webhook_id,
                datetime.now(UTC),
                body,
                taken.secrets,
                endpoint.headers,
                taken.test,
                event.request_id,
            )
            shown = message.shown(headers, endpoint.headers)
            answer = await self._sender.send(Request(taken.url, headers, body))
            # Many receivers say what they got when they do not like it, and viewers read the log.
            answer = message.without(answer, endpoint.headers.values())
        except Exception as error:  # ours: it must not keep all others from being sent
            logger.exception("delivery %s: the attempt failed here", taken.delivery_id)
            answer = recording.failed_here(error)
        logger.debug(
            "delivery %s attempt %s: %s after %s ms",
            taken.delivery_id,
            taken.number,
            answer.status_code or answer.error,
            answer.duration_ms,
        )
        self._ended.append(Ended(taken, shown, answer))

    async def _drain(self) -> None:
        """Wait for what is under way, and record it: the time-out bounds this."""
        if self._under_way:
            await asyncio.wait(self._under_way)
        while self._ended:
            await self._in_database(self._record)
            if self._ended:
                await asyncio.sleep(HELD_SECONDS)

    async def _in_database(self, work: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._database, work)

    def _database_away(self, error: Exception) -> None:
        if not self._away:
            logger.warning("webhooks wait for the database: %s", error)
        self._away = True


def _tell(stop: threading.Event, loop: asyncio.AbstractEventLoop, woken: asyncio.Event) -> None:
    stop.wait()
    with suppress(RuntimeError):  # the loop is closed: it crashed
        loop.call_soon_threadsafe(woken.set)


def _now() -> dict[str, Any]:
    return {"at": datetime.now(UTC)}

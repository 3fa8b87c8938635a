"""Decides what was verified, in batches: written as verified, settled in Redis, written as decided.

Any step may be the last one before a kill: whoever claims the order next goes on behind what is
written. The loop runs in the consumer's event loop, each batch in a thread of its own.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from django.db import close_old_connections, connections

from streaming.prices import connection as prices_redis
from transactions.orders.verification import Outcome

from . import claims, deciding
from .held import Held
from .settling import Settling
from .waits import DATABASE_AWAY, REDIS_AWAY, Waits

logger = logging.getLogger(__name__)

BATCH = 500
REST_SECONDS = 0.5
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.1, 2.0
# Between two tries of an order whose decision fails by itself.
ASIDE_SECONDS = 10.0
AGAIN_SECONDS = 0.01
T = TypeVar("T")


@dataclass(frozen=True)
class Done:
    """What came of a batch. Orders in neither set belong to others by now."""

    decided: set[UUID]
    again: set[UUID]


class Decider:
    """The orders whose verification has ended."""

    def __init__(self, waits: Waits, over: Callable[[list[Held]], None]) -> None:
        """`over` is told of orders that are decided, or another's."""
        self._waits, self._over = waits, over
        self._ended: deque[Held] = deque()
        self._alone: deque[Held] = deque()  # of a batch that failed
        self._turn = False
        self._aside: list[Held] = []  # failed alone
        self._aside_until = 0.0
        self._delays: deque[float] = deque(maxlen=1000)
        self._woken = asyncio.Event()
        self._stopping = asyncio.Event()
        self.decided = 0

    def add(self, held: Held, outcome: Outcome) -> None:
        """Its verification has ended just now."""
        held.outcome, held.ended_at = outcome, time.monotonic()
        self._ended.append(held)
        self._woken.set()

    def stop(self) -> None:
        """Let run() end when all is decided that can be."""
        self._stopping.set()
        self._woken.set()

    @property
    def waiting(self) -> int:
        return len(self._ended) + len(self._alone)

    @property
    def set_aside(self) -> int:
        return len(self._aside)

    def delay_ms(self, share: float) -> float | None:
        """From verification's end to decision: so many of the last thousand were quicker."""
        if not self._delays:
            return None
        ordered = sorted(self._delays)
        return round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)

    async def run(self) -> None:
        """Decide until told to stop."""
        settling, wait = Settling(prices_redis.changing()), FIRST_WAIT_SECONDS
        with ThreadPoolExecutor(1, "orders.decisions") as self._thread:
            try:
                while self.waiting or not self._stopping.is_set():
                    if await self._round(settling):
                        wait = FIRST_WAIT_SECONDS
                    elif self._stopping.is_set():
                        return  # whoever claims them next goes on
                    else:
                        await _rest(self._stopping, wait)
                        wait = min(2 * wait, LONGEST_WAIT_SECONDS)
            finally:
                await self._in_thread(connections.close_all)

    async def _round(self, settling: Settling) -> bool:
        """One batch, or a rest; False where an engine is away."""
        self._woken.clear()
        batch = self._next()
        if not batch:
            await _rest(self._woken, REST_SECONDS)
            return True
        try:
            done = await self._in_thread(lambda: decide(settling, batch))
        except (*REDIS_AWAY, *DATABASE_AWAY) as error:
            # Behind the others: what needs no Redis is written of all of them.
            self._ended.extend(batch)
            self._waits.begin("decisions", error)
            return False
        except Exception as error:
            self._failed(batch, error)
            return True
        if not self._aside:
            self._waits.end("decisions")
        self._finish(batch, done)
        if len(done.again) == len(batch):  # others change the same users just now
            await asyncio.sleep(AGAIN_SECONDS)
        return True

    def _next(self) -> list[Held]:
        """A batch; between two of them one order that is tried alone."""
        if self._aside and time.monotonic() >= self._aside_until:
            self._alone.extend(self._aside)
            self._aside.clear()
        self._turn = not self._turn
        if self._alone and (self._turn or not self._ended):
            return [self._alone.popleft()]
        return [self._ended.popleft() for _ in range(min(BATCH, len(self._ended)))]

    def _failed(self, batch: list[Held], error: Exception) -> None:
        """One order that fails by itself must not keep the others from being decided."""
        if len(batch) > 1:
            self._alone.extend(batch)
            return
        if not batch[0].failed:
            logger.exception("order %s: its decision failed", batch[0].order.order_id)
        batch[0].failed = True
        self._waits.begin("decisions", error)
        self._aside += batch
        self._aside_until = time.monotonic() + ASIDE_SECONDS

    def _finish(self, batch: list[Held], done: Done) -> None:
        over: list[Held] = []
        for held in batch:
            if held.order.order_id in done.again:
                self._ended.append(held)
                continue
            over.append(held)
            if held.order.order_id in done.decided:
                self.decided += 1
                self._delays.append(time.monotonic() - held.ended_at)
        self._over(over)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def decide(settling: Settling, batch: list[Held]) -> Done:
    """Decide a batch. Raises what Redis and the database do: what is written then stays."""
    close_old_connections()
    now = time.monotonic()
    ended = [(held, held.outcome) for held in batch if held.outcome is not None]
    decided = deciding.deny(
        [(held.order, why, now - held.ended_at) for held, why in ended if not why.verified]
    )
    good = [held for held, why in ended if why.verified]
    if not good:
        return Done(decided, set())
    try:
        since = settling.time()
    except REDIS_AWAY:
        # Whoever goes on after a kill needs no second verification.
        _write_verified([held for held in good if not held.written])
        raise
    # Between the two, see settling.LATE_SECONDS.
    ours = _write_verified([held for held in good if not held.written])
    ours |= claims.still_ours([held.order for held in good if held.order.id not in ours])
    good = [held for held in good if held.order.id in ours]
    settled = settling.settle([held.wanted for held in good], since)
    decided |= deciding.decide(settled)
    return Done(decided, {held.order.order_id for held in good} - set(settled))


def _write_verified(good: list[Held]) -> set[int]:
    """The ids of those that are still ours."""
    now = time.monotonic()
    ours = claims.verified([(held.order, now - held.ended_at) for held in good]) if good else set()
    for held in good:
        held.written = True
    return ours


async def _rest(woken: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(woken.wait(), seconds)

"""Consumer `orders`: claims orders, verifies them, thousands at a time, has them decided.

Hosted by a Celery worker or `manage.py run_consumer orders`; any number of them share the work.
Verifications are coroutines: one that stalls holds nothing but itself. Claims have a thread of
their own beside that of decisions, so that signs of life never wait for a Redis that hangs.
"""

import asyncio
import itertools
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import close_old_connections, connections

from transactions.models import Order, OrderStatus, Reason
from transactions.orders.live import tell
from transactions.orders.verification import Outcome, Verifier

from . import claims
from .claims import Claimed, Worker
from .decider import Decider
from .held import Held
from .queue import Arrival, OrderQueue
from .waits import DATABASE_AWAY, Waits

# Python's 5 ms, for which the loop waits while a thread calculates, would be felt in each result.
SWITCH_SECONDS = 0.0005
MOST_VERIFICATIONS = 5  # begun and never ended: it may be the order itself that kills
ENDED_IN_VAIN = Outcome(
    False,
    Reason.VERIFICATION_FAILED.value,
    f"The verification was begun {MOST_VERIFICATIONS} times and never ended.",
)


class OrdersConsumer:
    """Orders from received to decided."""

    def __init__(self) -> None:
        self._held: dict[UUID, Held] = {}
        self._arrived: dict[UUID, Arrival] = {}  # not looked at yet
        self._later: dict[UUID, Arrival] = {}  # another worker has, or had, their orders
        self._verifying: set[asyncio.Task[None]] = set()
        self._waits = Waits()
        self._queue: OrderQueue | None = None
        self._decider: Decider | None = None

    def run(self, stop: threading.Event) -> None:
        """See config.consumers.registry.Consumer."""
        sys.setswitchinterval(SWITCH_SECONDS)
        asyncio.run(self._run(stop))

    def health(self) -> dict[str, Any]:
        """What it has in hand, and how long after the verification orders are decided.

        `waiting_for` holds orders up. Without its queue they are only decided some seconds later.
        """
        queue, decider = self._queue, self._decider
        return {
            "waiting_for": "; ".join(self._waits.words()) or None,
            "queue_trouble": (queue and queue.problem) or None,
            "held": len(self._held),
            "verifying": len(self._verifying),
            "to_decide": decider.waiting if decider else 0,
            "set_aside": decider.set_aside if decider else 0,
            "decided": decider.decided if decider else 0,
            "delay_p50_ms": decider.delay_ms(0.5) if decider else None,
            "delay_p95_ms": decider.delay_ms(0.95) if decider else None,
            "strange_messages": queue.strangers if queue else 0,
        }

    async def _run(self, stop: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._woken, self._stopping = asyncio.Event(), asyncio.Event()
        self._decider = Decider(self._waits, self._over)
        threading.Thread(target=self._tell, args=(stop,), daemon=True).start()
        async with Verifier.from_settings() as self._verifier:
            self._most = self._verifier.room(settings.ORDERS_IN_FLIGHT)
            self._queue = OrderQueue(self._most, lambda found: self._call(self._on_arrivals, found))
            deciding = asyncio.create_task(self._decider.run())
            claiming = asyncio.create_task(self._claim_until_stopped(deciding))
            self._queue.start()
            try:
                await asyncio.gather(deciding, claiming)
            finally:
                for task in (deciding, claiming, *self._verifying):
                    task.cancel()
                await asyncio.to_thread(self._queue.close)

    async def _claim_until_stopped(self, deciding: "asyncio.Task[None]") -> None:
        """Then give back what is not verified, once all else is decided."""
        assert self._decider is not None
        worker: Worker | None = None
        with ThreadPoolExecutor(1, "orders.claims") as self._thread:
            try:
                worker = await self._claim_all()
                for task in self._verifying:
                    task.cancel()
                self._decider.stop()
                await asyncio.wait([deciding])
                if worker is not None:
                    with suppress(*DATABASE_AWAY):
                        await self._in_thread(worker.release)
            finally:
                await self._in_thread(connections.close_all)

    async def _claim_all(self) -> Worker | None:
        """Claim what arrives and what nobody has; look at least at each beat."""
        worker: Worker | None = None
        beat_at = sweep_at = 0.0
        while not self._stopping.is_set():
            self._woken.clear()
            now = time.monotonic()
            beats, sweeps = now >= beat_at, now >= sweep_at
            try:
                worker = worker or await self._in_thread(_began)
                more = await self._claim(worker, beats=beats, sweeps=sweeps)
            except DATABASE_AWAY as error:
                self._waits.begin("claims", error)
                await _rest(self._stopping, claims.BEAT_SECONDS)
                continue
            self._waits.end("claims")
            beat_at = now + claims.BEAT_SECONDS if beats else beat_at
            if sweeps and not more:
                sweep_at = now + settings.ORDERS_SWEEP_SECONDS
            elif more:
                self._woken.set()
            await _rest(self._woken, beat_at - time.monotonic())
        return worker

    async def _claim(self, worker: Worker, *, beats: bool, sweeps: bool) -> bool:
        """Whether there may be more to claim at once.

        `beats`: say that it lives, and ask again for what others had a moment ago.
        """
        free = self._most - len(self._held)
        arrived = dict(itertools.islice(self._arrived.items(), claims.PORTION))
        self._arrived = {name: self._arrived[name] for name in self._arrived if name not in arrived}
        asked = {**self._later, **arrived} if beats else arrived
        held = [each.order.id for each in self._held.values()]
        if not (asked or beats or sweeps):
            return False
        try:
            taken, others = await self._in_thread(
                lambda: _taken(worker, free, held, list(asked), beats=beats, sweeps=sweeps)
            )
        except DATABASE_AWAY:
            newer, self._arrived = self._arrived, arrived
            self._on_arrivals(list(newer.values()))
            raise
        if self._arrived:
            self._woken.set()
        for order in taken:
            self._begin(order)
        begun = [_as_told(order) for order in taken if not order.verified]
        if begun:
            self._loop.run_in_executor(None, tell, begun)
        for order_id, arrival in asked.items():
            before = self._later.pop(order_id, None)
            if before is not None and before is not arrival:
                self._acknowledge([before])
            if order_id in self._held:
                self._attach(arrival)
            elif order_id in others and arrival.again:
                self._later[order_id] = arrival
            else:  # decided, never there, or by the sweep in the hands of another
                self._acknowledge([arrival])
        return sweeps and claims.PORTION <= len(taken) < free

    def _begin(self, order: Claimed) -> None:
        before = self._held.get(order.order_id)  # lost to others, and back
        held = Held(order, before.arrival if before is not None else None)
        self._held[order.order_id] = held
        arrival = self._arrived.pop(order.order_id, None)  # while it was claimed
        if arrival is not None:
            self._attach(arrival)
        assert self._decider is not None
        if order.verified:
            self._decider.add(held, Outcome(True))
        elif order.verifications > MOST_VERIFICATIONS:
            self._decider.add(held, ENDED_IN_VAIN)
        else:
            task = asyncio.create_task(self._verify(held, self._decider))
            self._verifying.add(task)
            task.add_done_callback(self._verifying.discard)

    async def _verify(self, held: Held, decider: Decider) -> None:
        decider.add(held, await self._verifier.verify(held.order.user, held.order.order_id))

    def _over(self, ended: list[Held]) -> None:
        """These are decided, or others have them."""
        for held in ended:
            # One that was lost to others may have come back: that is another claim.
            if self._held.get(held.order.order_id) is held:
                del self._held[held.order.order_id]
                if held.arrival is not None:
                    self._acknowledge([held.arrival])

    def _on_arrivals(self, batch: list[Arrival]) -> None:
        for arrival in batch:
            if arrival.order_id in self._held:  # by the sweep, or the message came again
                self._attach(arrival)
            else:
                before = self._arrived.get(arrival.order_id)
                self._arrived[arrival.order_id] = arrival
                if before is not None:
                    self._acknowledge([before])
        self._woken.set()

    def _attach(self, arrival: Arrival) -> None:
        """The newest message of an order that is held is acknowledged with its end."""
        held = self._held[arrival.order_id]
        before, held.arrival = held.arrival, arrival
        if before is not None:
            self._acknowledge([before])

    def _acknowledge(self, arrivals: list[Arrival]) -> None:
        assert self._queue is not None
        self._queue.acknowledge(arrivals)

    def _call(self, act: Callable[..., None], *given: Any) -> None:
        """From another thread: do it in the event loop."""
        with suppress(RuntimeError):  # it is closed
            self._loop.call_soon_threadsafe(act, *given)

    def _tell(self, stop: threading.Event) -> None:
        stop.wait()
        self._call(self._stop)

    def _stop(self) -> None:
        self._stopping.set()
        self._woken.set()

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        return await self._loop.run_in_executor(self._thread, work)


def _began() -> Worker:
    close_old_connections()
    return Worker()


def _taken(
    worker: Worker,
    free: int,
    held: list[int],
    order_ids: list[UUID],
    *,
    beats: bool,
    sweeps: bool,
) -> tuple[list[Claimed], set[UUID]]:
    """What is ours now, and which of `order_ids` are open and others'."""
    close_old_connections()
    if beats or sweeps:
        worker.beat()
    taken = worker.take(free, order_ids=order_ids)
    if sweeps:
        taken += worker.take(free - len(taken), held=[*held, *(each.id for each in taken)])
    left = set(order_ids) - {each.order_id for each in taken}
    return taken, claims.still_open(list(left)) if left else set()


def _as_told(order: Claimed) -> Order:
    """Its row, as far as viewers are told of it."""
    status = OrderStatus.VERIFYING
    return Order(order_id=order.order_id, user=order.user, quantity=order.quantity, status=status)


async def _rest(woken: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(woken.wait(), seconds)

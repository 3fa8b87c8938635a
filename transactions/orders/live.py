"""Tells open pages and waiting clients of orders, at once; says who may follow which order.

Called after each commit that has changed orders: `tell` by the consumer, `tell_of_news` in the web
process, where orders are new.
Channels: `order-<order_id>` carries snapshots of one order, `orders` only says that there is news.
"""

import atexit
import logging
import threading
import time
from collections.abc import Sequence
from itertools import islice
from typing import Any
from uuid import UUID

from django.conf import settings

from config.accounts.models import ApiToken, User
from config.live.publishing import publish_all
from transactions.models import Order

from . import access
from .snapshot import Snapshot, snapshot

logger = logging.getLogger(__name__)

CHANNEL = "orders"
BATCH = 500  # orders told in one round trip
KEPT = 10_000  # orders whose news is kept while Redis is away; the oldest go first
LEAST_SECONDS = 0.05  # between tries


def channel_of(order_id: UUID | str) -> str:
    return f"order-{order_id}"


def tell(orders: Sequence[Order]) -> None:
    """Send the snapshots of `orders`, as they are in memory, to who follows them.

    One round trip for up to BATCH orders, with the list's news in the same. Raises nothing: what
    can't be sent now is sent by a thread as soon as Redis is back.
    """
    if orders:
        _teller.tell({channel_of(order.order_id): snapshot(order) for order in orders})


def tell_of_news() -> None:
    """Tell the list that an order has come, in a moment and by a thread. Raises nothing."""
    _teller.tell_of_news()


def may_follow(channel: str, user: User, token: ApiToken | None) -> bool:
    """Whether `channel` is there for a reader of orders: that of an order they can't see is not.

    `token` is None for who is signed in.
    """
    if channel == CHANNEL:
        return True
    order_id = channel.removeprefix(channel_of(""))
    is_there: bool = access.visible(user, token).filter(order_id=order_id).exists()
    return is_there


class Teller:
    """Sends at once, and what it can't a little later: so the last state always goes out.

    The list's news go out at most LIVE_EVENTS_PER_SECOND times. config.live.Throttle would keep the
    last of them until the next order comes.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._snapshots: dict[str, Snapshot] = {}  # not sent yet, by channel
        self._changed_at: float | None = None  # unix seconds; the list has news
        self._list_from = float("-inf")  # monotonic seconds: then the list may be told again
        self._timer: threading.Timer | None = None

    def tell(self, snapshots: dict[str, Snapshot]) -> None:
        """Send `snapshots` by channel, each in the place of one that was not sent yet."""
        # Held through sending: of two threads the one with the newer state sends last.
        with self._lock:
            self._snapshots.update(snapshots)
            self._changed_at = time.time()
            self._send_or_wait()

    def tell_of_news(self) -> None:
        """Have the list told as soon as it may be."""
        with self._lock:
            self._changed_at = time.time()
            self._later(self._list_from - time.monotonic())

    def close(self) -> None:
        """Send what waits, for the last time."""
        with self._lock:
            self._list_from = float("-inf")
            self._send()

    def _go_on(self) -> None:
        with self._lock:
            self._timer = None
            self._send_or_wait()

    def _send_or_wait(self) -> None:
        if not self._send():
            for channel in list(self._snapshots)[:-KEPT]:
                del self._snapshots[channel]
            self._later(settings.LIVE_OUTAGE_SECONDS)
        elif self._changed_at is not None:
            self._later(self._list_from - time.monotonic())

    def _send(self) -> bool:
        """Whether all could be sent that it is time for."""
        while self._snapshots or self._list_is_due():
            batch: dict[str, dict[str, Any]] = {
                channel: dict(found) for channel, found in islice(self._snapshots.items(), BATCH)
            }
            told = list(batch)
            if list_too := self._list_is_due():
                batch[CHANNEL] = {"at": self._changed_at}
            if not publish_all(batch):
                return False
            for channel in told:
                del self._snapshots[channel]
            if list_too:
                self._changed_at = None
                self._list_from = time.monotonic() + 1 / settings.LIVE_EVENTS_PER_SECOND
        return True

    def _list_is_due(self) -> bool:
        return self._changed_at is not None and time.monotonic() >= self._list_from

    def _later(self, seconds: float) -> None:
        # A timer that is not alive is that of the process this one was forked from.
        if self._timer is None or not self._timer.is_alive():
            self._timer = threading.Timer(max(seconds, LEAST_SECONDS), self._go_on)
            self._timer.name, self._timer.daemon = "orders.live", True
            try:
                self._timer.start()
            except RuntimeError as error:  # no thread can be started: told with the next order
                logger.warning("orders can't be told live: %s", error)


_teller = Teller()
atexit.register(_teller.close)

"""Consumer `sales`: hosts the loop, waits where Kafka can't be used, shows how things are.

Hosted by a Celery worker or `manage.py run_consumer sales`; see docs/consumers.md.
"""

import logging
import os
import threading
from contextlib import suppress
from typing import Any

from django.conf import settings

from streaming.instance import slot
from streaming.kafka_log import KafkaError, connection
from streaming.kafka_log.transactions import Uncommitted
from streaming.kafka_log.watchdog import Watchdog
from streaming.loop_host import LoopHost
from streaming.show import Show

from . import board
from .loop import Loop
from .options import Options
from .preparation import Unprepared
from .snapshot import snapshot, waiting

logger = logging.getLogger(__name__)

# Longest time without progress: above what a transaction, a join or a search by time may take.
HANG_SECONDS = 90.0
CURABLE = (KafkaError, Uncommitted, Unprepared, OSError)


class SalesConsumer:
    """Rolling sums per StockCode from the input topic to the output topic, exactly once."""

    def __init__(self) -> None:
        self._host: LoopHost[Loop] | None = None
        self._slot = ""

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set, whatever happens to Kafka meanwhile."""
        options = Options.from_settings()
        slots = settings.STATE_DIR / "sales" / options.group
        with (
            slot(settings.SALES_INSTANCE, os.environ, slots) as self._slot,
            Watchdog("sales", HANG_SECONDS) as watchdog,
            Show(board.BOARD, options.snapshot_seconds, board.watched) as show,
        ):
            logger.info("sales is instance %s of group %s", self._slot, options.group)

            def picture(loop: Loop | None, why: str) -> dict[str, Any]:
                if loop is None:
                    return waiting(self._slot, options, why)
                return snapshot(loop, self._slot, show.rates, show.watched, why)

            self._host = LoopHost(
                "sales",
                lambda: Loop(options, self._slot, beat=watchdog.beat),
                curable=CURABLE,
                in_words=_in_words,
                picture=picture,
                show=show,
                watchdog=watchdog,
            )
            self._host.run(stop)
        show.gone(options.group, self._slot)

    def health(self) -> dict[str, Any]:
        """Instance, partitions, lag and what it waits for."""
        host = self._host
        told: dict[str, Any] = {"instance": self._slot}
        if host is None:
            return {**told, "waiting_for": None, "last_step_at": None}
        told |= host.health()
        loop = host.loop
        if loop is not None:
            with suppress(RuntimeError):  # the loop takes over partitions just now
                owned = list(loop.owned.values())
                told |= {
                    "partitions": len(owned),
                    "taken": loop.taken,
                    "put_out": loop.put_out,
                    "refused": loop.refused,
                    "replaying": sum(each.replaying for each in owned) or None,
                    "halted": sum(each.halted is not None for each in owned) or None,
                }
        return told


def _in_words(error: Exception) -> str:
    if isinstance(error, (KafkaError, OSError)):
        return connection.in_words(error)
    return str(error)

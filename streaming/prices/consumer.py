"""Consumer `prices`: hosts the loop, waits where an engine can't be used, shows how things are.

Hosted by a Celery worker or `manage.py run_consumer prices`; see docs/consumers.md.
"""

import logging
import os
import threading
from contextlib import suppress
from typing import Any

import redis
from django.conf import settings

from streaming.instance import slot
from streaming.kafka_log import KafkaError
from streaming.kafka_log.watchdog import Watchdog
from streaming.loop_host import LoopHost
from streaming.show import Show

from . import board
from .loop import Loop
from .options import Options
from .preparation import Unprepared
from .snapshot import snapshot
from .store import Store
from .trouble import in_words

logger = logging.getLogger(__name__)

# Longest time without progress: above what a join or a change of Redis may take.
HANG_SECONDS = 90.0
CURABLE = (KafkaError, Unprepared, redis.RedisError, OSError)


class PricesConsumer:
    """Rows of prices from a topic into the histories in Redis, each once and in order."""

    def __init__(self) -> None:
        self._host: LoopHost[Loop] | None = None
        self._slot = ""

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set, whatever happens to Kafka and Redis meanwhile."""
        options = Options.from_settings()
        slots = settings.STATE_DIR / "prices" / options.group
        store = Store.from_settings()
        with (
            slot("", os.environ, slots) as self._slot,
            Watchdog("prices", HANG_SECONDS) as watchdog,
            Show(board.BOARD, options.snapshot_seconds) as show,
        ):
            logger.info("prices is instance %s of group %s", self._slot, options.group)
            self._host = LoopHost(
                "prices",
                lambda: Loop(options, self._slot, store, beat=watchdog.beat),
                curable=CURABLE,
                in_words=in_words,
                picture=lambda loop, why: snapshot(loop, options, self._slot, show.rates, why),
                show=show,
                watchdog=watchdog,
            )
            self._host.run(stop)
        show.gone(options.group, self._slot)

    def health(self) -> dict[str, Any]:
        """Instance, partitions, counts, what halts and what it waits for."""
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
                    "added": loop.added,
                    "repeated": loop.repeated,
                    "refused": loop.refused,
                    "halted": next((each.halted.detail for each in owned if each.halted), None),
                }
        return told

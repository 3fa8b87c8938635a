"""What the last turn of the sweep came to, in Redis: for Operations."""

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import redis

from config.live import board

logger = logging.getLogger(__name__)

KEY = "stockroom:retention"


@dataclass(frozen=True)
class Outcome:
    """Of one purge."""

    name: str
    setting: str
    deleted: int
    seconds: float
    more: bool  # it stopped for want of time; the next turn goes on
    error: str  # "" where all went well


def keep(outcomes: Sequence[Outcome]) -> None:
    """Put them in the place of the former turn's. Redis away: they are in the log."""
    text = json.dumps({"at": time.time(), "purges": [asdict(each) for each in outcomes]})
    try:
        board.publishing().set(KEY, text)
    except redis.RedisError as error:
        logger.warning("retention: its outcome is not kept: %s", error)


def read() -> dict[str, Any] | None:
    """{"at": epoch, "purges": [{name, setting, deleted, seconds, more, error}…]}, None before any.

    Raises redis.RedisError.
    """
    text: Any = board.reading().get(KEY)
    return None if text is None else json.loads(text)

"""What pages show of one instance, as plain JSON values: made by the loop, kept by the board."""

import os
import socket
import time
from typing import Any

from config.live.rates import Rates

from .loop import Loop, Owned
from .options import Options
from .placement import ADVICE

VERSION = 1
NOT_JOINED = "the group to be joined: instances come or go, or Kafka does not answer"


def snapshot(
    loop: Loop | None, options: Options, instance: str, rates: Rates, waiting_for: str = ""
) -> dict[str, Any]:
    """All that is known now; of no loop while an engine can't be used."""
    owned: list[Owned] = []
    added = repeated = refused = count = 0
    ends: dict[int, int] = {}
    if loop is not None:
        owned = sorted(loop.owned.values(), key=lambda each: each.number)
        added, repeated, refused = loop.added, loop.repeated, loop.refused
        count, ends = loop.partition_count, loop.ends
        waiting_for = waiting_for or ("" if loop.joined else NOT_JOINED)
    (rate,) = rates.add(time.monotonic(), added + repeated + refused)
    return {
        "instance": instance,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "version": VERSION,
        "at": time.time(),
        "group": options.group,
        "topic": options.topic,
        "state": _state(owned, waiting_for),
        "waiting_for": waiting_for or None,
        "partition_count": count,
        "partitions": [_partition(each, ends.get(each.number)) for each in owned],
        "added": added,
        "repeated": repeated,
        "refused": refused,
        "rate": max(0.0, rate),  # counters begin anew with each loop
    }


def _state(owned: list[Owned], waiting_for: str) -> str:
    if waiting_for:
        return "waiting"
    return "halted" if any(each.halted is not None for each in owned) else "running"


def _partition(owned: Owned, end: int | None) -> dict[str, Any]:
    halted = owned.halted
    at = max(owned.position, owned.reached)
    return {
        "partition": owned.number,
        "position": owned.position,
        "end": end,
        "lag": None if end is None else max(0, end - at),
        "halted": None
        if halted is None
        else {
            "reason": halted.reason,
            "detail": halted.detail,
            "advice": ADVICE[halted.reason],
        },
        "notice": owned.notice,
    }

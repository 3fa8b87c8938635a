"""What pages show of one instance, as plain JSON values: made by the loop, kept by the board."""

import os
import socket
import time
from collections.abc import Iterable
from typing import Any

from config.live.rates import Rates as Rates

from .loop import Loop
from .options import Options
from .ownership import ADVICE, Owned
from .partition import Selling, amount_text

VERSION = 1
TOP = 50
CURVE_POINTS = 120
REFUSED_CHARACTERS = 200
SHARED_KEYS = STRAYS = 5
NOT_JOINED = "the group to be joined: instances come or go, or Kafka does not answer"


def snapshot(
    loop: Loop, instance: str, rates: Rates, watched: Iterable[str] = (), waiting_for: str = ""
) -> dict[str, Any]:
    """All that is known now. `watched`: StockCodes whose curves are wanted."""
    waiting_for = waiting_for or ("" if loop.joined else NOT_JOINED)
    options = loop.options
    rate_in, rate_out, rate_dead = rates.add(
        time.monotonic(), loop.taken, loop.put_out, loop.refused
    )
    owned = sorted(loop.owned.values(), key=lambda each: each.number)
    return {
        **_about(instance, options),
        "state": "waiting" if waiting_for else _state(owned),
        "waiting_for": waiting_for or None,
        "partition_count": loop.partition_count,
        "rate_in": rate_in,
        "rate_out": rate_out,
        "rate_dead": rate_dead,
        "taken": loop.taken,
        "put_out": loop.put_out,
        "refused": loop.refused,
        "partitions": [_partition(loop, each) for each in owned],
        "warnings": [
            *({"code": each.code, "words": each.words} for each in loop.warnings),
            *(
                {"code": "notice", "words": f"Partition {each.number}: {each.notice}."}
                for each in owned
                if each.notice
            ),
            *_strays(owned),
            *_shared_keys(loop, owned),
        ],
        "top": _top(owned),
        "selling": _selling(owned, watched),
        "curves": _curves(owned, watched),
        "recent_refusals": [
            {
                "partition": record.partition,
                "offset": record.offset,
                "reason": refusal.reason,
                "detail": refusal.detail,
                "text": (record.value or b"")[: 4 * REFUSED_CHARACTERS].decode(
                    "utf-8", "backslashreplace"
                )[:REFUSED_CHARACTERS],
            }
            for record, refusal in reversed(loop.recent_refusals)
        ],
    }


def waiting(instance: str, options: Options, words: str) -> dict[str, Any]:
    """What there is to show while Kafka can't be used."""
    return {
        **_about(instance, options),
        "state": "waiting",
        "waiting_for": words,
        "partition_count": 0,
        "rate_in": 0.0,
        "rate_out": 0.0,
        "rate_dead": 0.0,
        "taken": 0,
        "put_out": 0,
        "refused": 0,
        "partitions": [],
        "warnings": [],
        "top": [],
        "curves": {},
        "recent_refusals": [],
    }


def _about(instance: str, options: Options) -> dict[str, Any]:
    limits = options.limits
    return {
        "instance": instance,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "version": VERSION,
        "at": time.time(),
        "group": options.group,
        "topics": {
            "input": options.input_topic,
            "output": options.output_topic,
            "dead_letters": options.dead_letter_topic,
        },
        "window_seconds": limits.window_seconds,
        "lateness_seconds": limits.lateness_seconds,
        "max_skew_seconds": limits.max_skew_seconds,
    }


def _state(owned: list[Owned]) -> str:
    if any(each.halted is not None for each in owned):
        return "halted"
    return "replaying" if any(each.replaying for each in owned) else "running"


def _partition(loop: Loop, owned: Owned) -> dict[str, Any]:
    state, halted = owned.state, owned.halted
    end = loop.ends.get(owned.number)
    return {
        "partition": owned.number,
        "position": owned.position,
        "end": end,
        "lag": None if end is None else max(0, end - max(owned.position, owned.reached)),
        "watermark": state.watermark,
        "keys": state.keys,
        "events": state.events,
        "bytes": state.size_bytes(),
        "replay": None
        if not owned.replaying
        else {"from": owned.replay_from, "at": owned.position, "to": owned.live_from},
        "halted": None
        if halted is None
        else {
            "offset": halted.offset,
            "reason": halted.reason,
            "detail": halted.detail,
            "advice": ADVICE[halted.reason],
        },
    }


def _strays(owned: list[Owned]) -> list[dict[str, str]]:
    found = [(each.number, each.state.strays.notice()) for each in owned]
    told = [(number, words) for number, words in found if words]
    return [
        {"code": "partitioner", "words": f"Partition {number}: {words}."}
        for number, words in told[:STRAYS]
    ]


def _shared_keys(loop: Loop, owned: list[Owned]) -> list[dict[str, str]]:
    if loop.partition_count < 2:
        return []
    found = [
        (count, key, each.number)
        for each in owned
        for key, count in each.state.shared_keys(SHARED_KEYS)
    ]
    return [
        {
            "code": "shared_key",
            "words": f"Records of {count} StockCodes have the key "
            f"{key[:60].decode('utf-8', 'backslashreplace')!r}, so all of them are in partition "
            f"{number}: the sums are right, but more instances don't help. Let producers use the "
            "StockCode as key.",
        }
        for count, key, number in sorted(found, reverse=True)[:SHARED_KEYS]
    ]


def _top(owned: list[Owned]) -> list[dict[str, Any]]:
    selling = [
        (found, each.number)
        for each in owned
        if not each.replaying
        for found in each.state.top(TOP)
    ]
    selling.sort(key=lambda pair: (-pair[0].units, pair[0].stock_code))
    return [_sold(found, number) for found, number in selling[:TOP]]


def _sold(found: Selling, number: int) -> dict[str, Any]:
    return {
        "stock_code": found.stock_code,
        "sum": amount_text(found.units),
        "sales": found.sales,
        "last_at": found.last_time,
        "partition": number,
    }


def _selling(owned: list[Owned], watched: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Of those that somebody looks at: few of them are among the largest."""
    sold = {}
    for code in watched:
        for each in owned:
            found = None if each.replaying else each.state.selling(code)
            if found is not None:
                sold[code] = _sold(found, each.number)
                break
    return sold


def _curves(owned: list[Owned], watched: Iterable[str]) -> dict[str, list[list[Any]]]:
    curves: dict[str, list[list[Any]]] = {}
    for code in watched:
        curves[code] = []  # an answer too: nothing is known of it here
        for each in owned:
            points = each.state.curve(code, CURVE_POINTS)
            if points:
                curves[code] = [[at, amount_text(units)] for at, units in points]
                break
    return curves

"""Each stock's history in Redis against what is known of it beside it, and positions.

Lists are read in pieces, so that neither Redis nor we hold one as a whole for long; a change in
between shows in the hash beside the value, and that stock is read again.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import redis
from django.conf import settings
from django.urls import NoReverseMatch, reverse
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.checks.findings import NotChecked, Outcome, counted
from config.checks.watch import Watch
from streaming.prices import keys, placement
from streaming.prices.value import MIDDLE, NotAStock, Value

PIECE_BYTES = 1024**2
WHOLE_BYTES = 4 * 1024**2  # up to this size a value is also read as JSON
LOOKS = 5  # at a stock that changes meanwhile
REDIS_SECONDS = 10.0
STOCKS_AT_ONCE = 500
SHOWN = 200
FIELDS = (
    *("version", "length", "count", "times_start", "times_end", "prices_end"),
    *("latest", "latest_time", "cut"),
)
MEND = (
    "Stop `prices`, put the value right or delete it, and read its rows again:"
    " `manage.py seek_prices` (docs/prices.md)."
)
FOREIGN = "Write a value as docs/prices.md has it, or delete the key."
PAIR = MIDDLE.encode()


class _Moved(Exception):
    """The stock has changed while it was read."""


@dataclass
class _Read:
    """What the two lists of a value are."""

    times: int
    prices: int
    latest: str  # "" where no row has a price
    whole: bytes | None  # of a small one


def run(watch: Watch) -> Outcome:
    """Raises NotChecked."""
    outcome = Outcome()
    client = redis.Redis.from_url(
        settings.PRICES_REDIS_URL,
        socket_timeout=REDIS_SECONDS,
        socket_connect_timeout=REDIS_SECONDS,
        retry=Retry(NoBackoff(), 1),
    )
    try:
        _check(client, watch, outcome)
    except redis.RedisError as error:
        raise NotChecked(f"Redis: {error or type(error).__name__}") from error
    finally:
        client.close()
    return outcome


def _check(client: redis.Redis, watch: Watch, outcome: Outcome) -> None:
    total = int(client.zcard(keys.STOCKS))  # type: ignore[arg-type]
    looked, moving, rows = 0, 0, 0
    for name in _names(client):
        if watch.over():
            break
        looked += 1
        watch.say(f"{looked:,} of {counted(total, 'stock')}")
        for _ in range(LOOKS):
            try:
                rows += _stock(client, name, outcome)
                break
            except _Moved:
                continue
        else:
            moving += 1
    places = _positions(client, outcome)
    outcome.looked_at = looked + places
    outcome.summary = (
        f"{counted(looked - moving, 'stock')} with {counted(rows, 'row')},"
        f" {counted(places, 'position')}."
        if outcome.looked_at
        else "There are no stocks yet."
    )
    if moving:
        outcome.summary += f" {counted(moving, 'stock')} changed all the time."
    if looked < total:
        outcome.summary += f" No time for {counted(total - looked, 'more stock')}."


def _names(client: redis.Redis) -> Iterator[str]:
    start = 0
    while True:
        found: Any = client.zrange(keys.STOCKS, start, start + STOCKS_AT_ONCE - 1)
        yield from (name.decode("utf-8", "replace") for name in found)
        if len(found) < STOCKS_AT_ONCE:
            return
        start += STOCKS_AT_ONCE


def _stock(client: redis.Redis, name: str, outcome: Outcome) -> int:
    """Look at one; how many rows it has. Raises _Moved."""
    kind = client.type(name)
    if kind != b"string":
        there = "is missing" if kind == b"none" else f"holds a {bytes(kind).decode()}"  # type: ignore[arg-type]
        _add(outcome, name, f"its value {there}", MEND)
        return 0
    before = _beside(client, name)
    length = int(client.strlen(name))  # type: ignore[arg-type]
    if not before.get("version") or before.get("length") != str(length):
        if _beside(client, name) != before:
            raise _Moved
        return _foreign(client, name, length, outcome)
    read = _read(client, name, length, before)
    if _beside(client, name) != before:
        raise _Moved
    for what in _wrong(read, before):
        _add(outcome, name, what, MEND)
    return read.times


def _wrong(read: _Read, known: dict[str, str]) -> Iterator[str]:
    """What does not go together, in words."""
    if read.times != read.prices:
        yield f"{counted(read.times, 'time')}, but {counted(read.prices, 'price')}"
    if str(read.times) != known.get("count"):
        yield f"{counted(read.times, 'row')} in its lists, {known.get('count')} are counted"
    latest = known.get("latest", "")
    # All rows with a price may have been cut off.
    if read.latest != latest and (read.latest or not int(known.get("cut", "0"))):
        yield f"its newest price is {read.latest or 'none'}, kept is {latest or 'none'}"
    if read.whole is not None and read.times == read.prices:
        try:
            Value.parse(read.whole)
        except NotAStock as error:
            yield str(error)


def _read(client: redis.Redis, name: str, length: int, known: dict[str, str]) -> _Read:
    try:
        start, middle, end = (int(known[n]) for n in ("times_start", "times_end", "prices_end"))
    except (KeyError, ValueError):
        return _Read(0, 0, "", None)
    times, _ = _list(client, name, start, middle)
    prices, latest = _list(client, name, middle + len(PAIR), end)
    if client.getrange(name, middle, middle + len(PAIR) - 1) != PAIR:
        prices = -1
    whole: Any = client.get(name) if length <= WHOLE_BYTES else None
    return _Read(times, prices, latest, whole)


def _list(client: redis.Redis, name: str, start: int, end: int) -> tuple[int, str]:
    """How many elements, and the last that is not empty."""
    if start >= end:
        return 0, ""
    count, latest, rest = 1, "", b""
    for at in range(start, end, PIECE_BYTES):
        piece: Any = client.getrange(name, at, min(end, at + PIECE_BYTES) - 1)
        count += piece.count(b",")
        *whole, rest = (rest + piece).split(b",")
        latest = next((each for each in map(_text, reversed(whole)) if each), latest)
    return count, _text(rest) or latest


def _text(element: bytes) -> str:
    return element.strip(b'"').decode("utf-8", "replace")


def _foreign(client: redis.Redis, name: str, length: int, outcome: Outcome) -> int:
    """A value that others have written: right if the next row can be added to it."""
    value: Any = client.get(name)
    try:
        return len(Value.parse(value or b"").times)
    except NotAStock as error:
        _add(outcome, name, f"{counted(length, 'byte')} by others: {error}", FOREIGN)
        return 0


def _beside(client: redis.Redis, name: str) -> dict[str, str]:
    try:
        found: Any = client.hmget(keys.beside(name), list(FIELDS))
    except redis.ResponseError:
        return {}
    return {
        field: value.decode("utf-8", "replace")
        for field, value in zip(FIELDS, found, strict=True)
        if value is not None
    }


def _positions(client: redis.Redis, outcome: Outcome) -> int:
    """How far partitions and files were worked off; how many there are."""
    if client.type(keys.POSITIONS) not in (b"hash", b"none"):
        outcome.add(keys.POSITIONS, "is no hash", placement.ADVICE["bad_position"])
        return 0
    places, topics = 0, {}
    for place, text in client.hscan_iter(keys.POSITIONS, count=1_000):
        places += 1
        name, said = place.decode("utf-8", "replace"), text.decode("utf-8", "replace")
        if not name.startswith(placement.PREFIX):
            continue
        found = placement.parse(said)
        if found is None:
            what = f"is at {json.dumps(said[:100])}, which is no position"
            outcome.add(f"position {name}", what, placement.ADVICE["bad_position"])
            continue
        topic = name.rpartition(":")[0]
        other = topics.setdefault(topic, found.topic_id)
        if other != found.topic_id:
            what = f"is of a topic with id {found.topic_id}, another partition of {other}"
            outcome.add(f"position {name}", what, placement.ADVICE["topic_recreated"])
    return places


def _add(outcome: Outcome, name: str, what: str, advice: str) -> None:
    if outcome.found >= SHOWN:
        outcome.found += 1
        return
    try:
        url = reverse("streaming:stock", args=[name])
    except NoReverseMatch:
        url = ""
    outcome.add(f"stock {name}", what, advice, url)

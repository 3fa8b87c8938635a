"""Histories for readers, a part at a time: one of a million rows is never in memory as a whole.

Rows are numbered from 1 in the order they came in. Those that PRICES_HISTORY_KEPT has cut off keep
their numbers, so that what comes meanwhile shifts nothing. Used by pages and API.
"""

from dataclasses import dataclass
from typing import NamedTuple

import redis

from . import keys
from .clock import clock
from .stocks import Stocks
from .value import NotAStock

# Of one piece. A price is about half as long as a time.
TIMES_BYTES, PRICES_BYTES = 256 * 1024, 128 * 1024
LOOK_AT_MOST = 200_000  # rows that one page is looked for in
ATTEMPTS = 5


@dataclass(frozen=True)
class Between:
    """Times of day as hhmmss, both inclusive; "" leaves a side open."""

    begin: str = ""
    end: str = ""

    def __bool__(self) -> bool:
        return bool(self.begin or self.end)

    def holds(self, time: str) -> bool:
        """What is no time is in none."""
        found = time if len(time) == 6 and time.isdigit() else clock(time)
        return found is not None and self.begin <= found and (not self.end or found <= self.end)


ALWAYS = Between()


class Rows(NamedTuple):
    """Some rows, the oldest first."""

    times: list[str]
    prices: list[str]  # as JSON writes numbers, "" for none
    next: int | None  # `after` of those behind them, None at the end


class _Changed(Exception):
    """The history was cut or begun anew between two pieces."""


class Histories:
    """Reads histories. Raises redis.RedisError."""

    def __init__(self, client: redis.Redis) -> None:
        """`client` gives bytes."""
        self._stocks = Stocks(client)
        self._piece = keys.script(client, "piece")

    def rows(self, name: str, limit: int, after: int = 0, between: Between = ALWAYS) -> Rows:
        """At most `limit` rows with times in `between`, behind the row with the number `after`.

        Fewer, or none, where LOOK_AT_MOST rows had to be looked at: `next` says how to go on.
        Raises NotAStock.
        """
        for _ in range(ATTEMPTS):
            try:
                return self._rows(name, limit, after, between)
            except _Changed:
                continue
        raise redis.RedisError(f"the history of {name} changes all the time")

    def _rows(self, name: str, limit: int, after: int, between: Between) -> Rows:
        page = _Page(limit, between)
        pieces = _Pieces()
        while True:
            reply = self._piece(
                keys=[name, keys.beside(name)],
                args=[pieces.times_at, pieces.prices_at, TIMES_BYTES, PRICES_BYTES],
            )
            if reply is None:
                return self._foreign(name, page, after)
            pieces.take(*reply)
            wanted = max(0, after - pieces.cut)
            if pieces.number > wanted:
                first = max(0, wanted - pieces.before)
                page.fill(*pieces.lists(first), pieces.cut + pieces.before + first)
            ended = pieces.number >= pieces.count or pieces.number == pieces.before
            if page.stopped_at is not None:
                ended = page.stopped_at >= pieces.cut + pieces.count
                return page.rows(None if ended else page.stopped_at)
            if ended or page.looked_at >= LOOK_AT_MOST:
                return page.rows(None if ended else pieces.cut + pieces.number)

    def _foreign(self, name: str, page: "_Page", after: int) -> Rows:
        """Of a value that others wrote and nobody has brought into our form yet."""
        value = self._stocks.history(name)
        if value is None:
            return page.rows(None)
        page.fill(value.times[after:], value.prices[after:], after)
        ended = page.stopped_at is None or page.stopped_at >= len(value.times)
        return page.rows(None if ended else page.stopped_at)

    def newest(self, name: str, rows: int) -> tuple[list[str], list[str]]:
        """Times and prices of the newest rows. Raises NotAStock."""
        try:
            found = self._stocks.recent([name], rows)[name]
        except redis.ResponseError as error:
            raise NotAStock("the key holds something else") from error
        if not found[0]:
            value = self._stocks.history(name)
            return ([], []) if value is None else (value.times[-rows:], value.prices[-rows:])
        return found


class _Page:
    """Rows that were found so far."""

    def __init__(self, limit: int, between: Between) -> None:
        self.looked_at = 0
        self.stopped_at: int | None = None  # number of the last row, where it is full
        self._limit = limit
        self._between = between
        self._times: list[str] = []
        self._prices: list[str] = []

    def fill(self, times: list[str], prices: list[str], before: int) -> None:
        """Take what is wanted of rows that follow the one with the number `before`."""
        room = self._limit - len(self._times)
        if self._between:
            places = [n for n, time in enumerate(times) if self._between.holds(time)][:room]
        else:
            places = list(range(min(room, len(times))))
        self._times += [times[n] for n in places]
        self._prices += [prices[n] for n in places]
        self.looked_at += len(times)
        if len(self._times) == self._limit:
            self.stopped_at = before + (places[-1] + 1 if places else 0)

    def rows(self, next_: int | None) -> Rows:
        return Rows(self._times, self._prices, next_)


class _Pieces:
    """How far the two lists of a value are read, in rows and in bytes of each list."""

    def __init__(self) -> None:
        self.times_at = self.prices_at = 0
        self.before = self.number = 0  # rows before and behind the piece
        self.cut = self.count = 0
        self._times = self._prices = b""

    def take(
        self, cut: int, count: int, times: bytes, prices: bytes, times_whole: int, prices_whole: int
    ) -> None:
        """The next piece. Raises _Changed."""
        if self.number and (cut != self.cut or count < self.count):
            raise _Changed
        self.cut, self.count = cut, count
        times, prices = _elements(times, times_whole), _elements(prices, prices_whole)
        rows = min(times.count(b","), prices.count(b","))
        self._times, self._prices = _first(times, rows), _first(prices, rows)
        self.times_at += len(self._times)
        self.prices_at += len(self._prices)
        self.before, self.number = self.number, self.number + rows

    def lists(self, first: int) -> tuple[list[str], list[str]]:
        """Times and prices of the piece from its row `first` on."""
        return _texts(self._times)[first:], _texts(self._prices)[first:]


def _elements(piece: bytes, whole: int) -> bytes:
    """Whole elements, each with a comma behind it."""
    if whole:
        return piece + b"," if piece else b""
    return piece[: piece.rfind(b",") + 1]


def _first(elements: bytes, count: int) -> bytes:
    surplus = elements.count(b",") - count
    if surplus == 0:
        return elements
    return elements[: len(elements) - len(elements.split(b",", count)[count])]


def _texts(elements: bytes) -> list[str]:
    # The only quotes are those around times and of prices that are not there.
    return elements.decode().replace('"', "").split(",")[:-1]

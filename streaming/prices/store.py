"""Changes of prices in Redis, each one atomic, so that a crash at any line loses and doubles none.

What is known of a stock is kept in memory between two batches; the script compares its version
before it writes.
"""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import redis
from django.conf import settings

from . import connection, keys
from .adoption import ATTEMPTS, wished_id
from .calculations import Calculations
from .rows import Row

RAW_BYTES = 4 * 1024
DETAIL_CHARACTERS = 500


class Refused(NamedTuple):
    """A row that is to become a dead letter. `at` is its row in the file, or its offset."""

    at: int
    reason: str
    detail: str
    raw: bytes


class Batch(NamedTuple):
    """What comes from one place between two positions of it; rows in order, as (at, row, raw)."""

    place: str
    expected: str | None  # None: nothing of it was worked off yet
    next: str
    rows: Sequence[tuple[int, Row, bytes]]
    refused: Sequence[Refused] = ()
    topic_id: str = ""


class Applied(NamedTuple):
    """What a batch has led to. Repeated rows were there already."""

    added: int
    repeated: int
    refused: int
    stocks: frozenset[str]  # that have changed


class Moved(Exception):
    """The place is not where it was expected: another has worked on, or set it."""

    def __init__(self, place: str, found: str | None) -> None:
        super().__init__(f"{place} is at {found}")
        self.found = found


@dataclass
class _Addition:
    times: list[str] = field(default_factory=list)
    prices: list[str] = field(default_factory=list)
    latest: str = ""
    latest_time: str = ""
    sources: dict[str, int] = field(default_factory=dict)


class Store(Calculations):
    """Histories, positions and dead letters; see also `Stocks` and `Calculations`.

    Not for several threads. All methods raise redis.RedisError.
    """

    def __init__(self, client: redis.Redis, *, kept: int = 0, letters_kept: int = 10_000) -> None:
        """`kept`: rows of each history, 0 for all. `letters_kept`: newest dead letters."""
        super().__init__(client)
        self._kept = kept
        self._letters_kept = letters_kept
        self._apply, self._move = keys.script(client, "apply"), keys.script(client, "move")

    @classmethod
    def from_settings(cls) -> Self:
        """What config/variables.py says."""
        return cls(
            connection.changing(),
            kept=settings.PRICES_HISTORY_KEPT,
            letters_kept=settings.PRICES_DEAD_LETTERS_KEPT,
        )

    def apply(self, batch: Batch) -> Applied:
        """Add the rows, keep what is refused, set the position: all of it or nothing.

        A row is left out where its stock has that row of its source, or a later one, already.
        Raises Moved.
        """
        names = {row.stock for _, row, _ in batch.rows}
        for _ in range(ATTEMPTS):
            self._learn(names - self._known.keys())
            self._adopt_before_the_first(names)
            additions, letters, repeated = self._plan(batch)
            version = uuid.uuid4().hex
            reply = self._send(batch, additions, letters, version)
            if reply[0] == b"moved":
                # Histories may be those of a backup, in which rows are missing again.
                self._known.clear()
                raise Moved(batch.place, reply[1].decode() or None)
            if reply[0] == b"applied":
                changed = {name: each for name, each in additions.items() if each.times}
                self._remember(changed, version)
                added = sum(len(each.times) for each in changed.values())
                return Applied(added, repeated, len(letters), frozenset(changed))
            for name in map(bytes.decode, reply[1:]):
                self._suspects[name] = self._known.pop(name).version
        raise redis.RedisError(f"others change {b', '.join(reply[1:])!r} all the time")

    def _plan(self, batch: Batch) -> tuple[dict[str, _Addition], list[Refused], int]:
        additions: dict[str, _Addition] = {}
        letters, repeated = list(batch.refused), 0
        for at, row, raw in batch.rows:
            name, instant, price, source, number = row
            known = self._known[name]
            if known.problem:
                detail = f"{name} is no stock: {known.problem}"
                letters.append(Refused(at, "not_a_stock", detail, raw))
                continue
            addition = additions.get(name)
            if addition is None:  # also for a stock all of whose rows are repeated: is it so still?
                addition = additions[name] = _Addition()
            if source:
                if number <= addition.sources.get(source, known.sources.get(source, 0)):
                    repeated += 1
                    continue
                addition.sources[source] = number
            addition.times.append(instant)
            addition.prices.append(price)
            if price:
                addition.latest, addition.latest_time = price, instant
        letters.sort(key=lambda each: each.at)
        return additions, letters, repeated

    def _send(
        self,
        batch: Batch,
        additions: dict[str, _Addition],
        letters: Sequence[Refused],
        version: str,
    ) -> list[bytes]:
        names = [keys.POSITIONS, keys.DEAD_LETTERS, keys.DEAD_LETTERS_COUNT, keys.STOCKS]
        arguments: list[Any] = [
            *(batch.place, batch.expected or "", batch.next, time.time(), self._letters_kept),
            *(batch.topic_id, len(letters), len(additions), version),
        ]
        for at, reason, detail, raw in letters:
            arguments += (at, reason, detail[:DETAIL_CHARACTERS], raw[:RAW_BYTES], len(raw))
        for name, each in additions.items():
            names += (name, keys.beside(name))
            arguments += (
                *(name, self._known[name].version, wished_id(name), len(each.times)),
                '"' + '","'.join(each.times) + '"',
                ",".join([price or '""' for price in each.prices]),
                *(each.latest, each.latest_time, self._kept, len(each.sources)),
            )
            for source, number in each.sources.items():
                arguments += (source, number)
        reply: list[bytes] = self._apply(keys=names, args=arguments)
        return reply

    def _remember(self, changed: dict[str, _Addition], version: str) -> None:
        for name, each in changed.items():
            known = self._known[name]
            known.version = version
            known.sources |= each.sources
        # Whether a key has become a stock's is looked up again each time.
        for name in [name for name, known in self._known.items() if known.problem]:
            del self._known[name]

    def move(self, place: str, expected: str | None, next_: str) -> None:
        """Set how far a place has been worked off. Raises Moved."""
        if not self._move(keys=[keys.POSITIONS], args=[place, expected or "", next_]):
            raise Moved(place, self.position(place))

"""What is known of the stocks: reading only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import redis

from . import keys
from .value import NotAStock, Value

# Longest price and time of a row, with what stands around them.
TIME_BYTES, PRICE_BYTES = 11, 21


@dataclass(frozen=True)
class Stock:
    """A stock without its history. Prices and performance are texts of JSON, times are unix."""

    name: str
    id: int
    count: int = 0  # rows of its history
    latest: str = ""  # newest price there is, "" for none
    latest_time: str = ""
    updated_at: float | None = None
    performance: str = "0"
    calculated_price: str = ""  # "" where it was never calculated
    calculated_at: float | None = None
    calculation_seconds: float | None = None
    asked: int | None = None  # minute of unix time of a calculation under way
    asked_price: str = ""
    asked_at: float | None = None
    began_at: float | None = None
    tried_at: float | None = None  # when a calculation began last
    failure: str = ""  # of the calculation before
    failed_at: float | None = None


class Letter(NamedTuple):
    """A dead letter: a row that was refused. `at` is its row in the file, or its offset."""

    id: str  # rises with time
    place: str
    at: int
    reason: str
    detail: str
    raw: bytes  # its beginning
    raw_bytes: int  # of the whole
    topic_id: str
    refused_at: float


FIELDS: Mapping[str, type] = {
    "count": int,
    "latest": str,
    "latest_time": str,
    "updated_at": float,
    "performance": str,
    "calculated_price": str,
    "calculated_at": float,
    "calculation_seconds": float,
    "asked": int,
    "asked_price": str,
    "asked_at": float,
    "began_at": float,
    "tried_at": float,
    "failure": str,
    "failed_at": float,
}


class Stocks:
    """Reads stocks, positions and dead letters. All methods raise redis.RedisError."""

    def __init__(self, client: redis.Redis) -> None:
        """`client` gives bytes."""
        self.client = client
        self._recent = keys.script(client, "recent")

    def stocks(self) -> list[Stock]:
        """All of them, by id."""
        found: Any = self.client.zrange(keys.STOCKS, 0, -1, withscores=True)
        return self._described(found)

    def stock(self, name: str) -> Stock | None:
        """That one."""
        id_ = self.client.zscore(keys.STOCKS, name)
        return None if id_ is None else self._described([(name.encode(), id_)])[0]

    def _described(self, found: Sequence[tuple[bytes, float]]) -> list[Stock]:
        with self.client.pipeline(transaction=False) as pipe:
            for name, _ in found:
                pipe.hmget(keys.beside(name.decode()), list(FIELDS))
            rows = pipe.execute()
        return [
            Stock(
                name.decode(),
                round(id_),
                **{
                    field: kind(each.decode())
                    for (field, kind), each in zip(FIELDS.items(), row, strict=True)
                    if each is not None
                },
            )
            for (name, id_), row in zip(found, rows, strict=True)
        ]

    def history(self, name: str) -> Value | None:
        """The whole value, None where there is none. Raises NotAStock too."""
        if self.client.zscore(keys.STOCKS, name) is None:
            return None
        try:
            text = self.client.get(name)
        except redis.ResponseError as error:
            raise NotAStock("the key holds something else") from error
        return None if text is None else Value.parse(text)

    def recent(self, names: Sequence[str], rows: int) -> dict[str, tuple[list[str], list[str]]]:
        """Times and prices ("" for none) of the newest rows, about `rows`, at little cost."""
        if not names:
            return {}
        pairs = [key for name in names for key in (name, keys.beside(name))]
        found = self._recent(keys=pairs, args=[rows * TIME_BYTES, rows * PRICE_BYTES])
        return {
            name: ([], []) if each is None else _aligned(each, rows)
            for name, each in zip(names, found, strict=True)
        }

    def positions(self) -> dict[str, str]:
        """How far each place has been worked off."""
        found: Any = self.client.hgetall(keys.POSITIONS)
        return {place.decode(): text.decode() for place, text in found.items()}

    def position(self, place: str) -> str | None:
        """How far that place has been worked off."""
        found: Any = self.client.hget(keys.POSITIONS, place)
        return None if found is None else found.decode()

    def letters(self, count: int, before: str | None = None) -> list[Letter]:
        """The newest dead letters, the newest first, or those older than that id."""
        highest = "+" if before is None else f"({before}"
        found: Any = self.client.xrevrange(keys.DEAD_LETTERS, max=highest, count=count)
        return [_letter(*each) for each in found]

    def letters_count(self) -> tuple[int, int]:
        """Dead letters that are kept, and all there ever were."""
        with self.client.pipeline(transaction=False) as pipe:
            pipe.xlen(keys.DEAD_LETTERS)
            pipe.get(keys.DEAD_LETTERS_COUNT)
            kept, total = pipe.execute()
        return kept, int(total or 0)


def _aligned(found: Sequence[Any], rows: int) -> tuple[list[str], list[str]]:
    times, prices = found[0].decode().split(","), found[1].decode().split(",")
    # Where a list is cut, its first element may be.
    if not found[2]:
        del times[0]
    if not found[3]:
        del prices[0]
    if times == [""]:
        return [], []
    length = min(len(times), len(prices), rows)
    if length == 0:
        return [], []
    return (
        [each.strip('"') for each in times[-length:]],
        [each.strip('"') for each in prices[-length:]],
    )


def _letter(id_: bytes, fields: Mapping[bytes, bytes]) -> Letter:
    return Letter(
        id_.decode(),
        fields[b"place"].decode(),
        int(fields[b"at"]),
        fields[b"reason"].decode(),
        fields[b"detail"].decode("utf-8", "backslashreplace"),
        fields[b"raw"],
        int(fields[b"raw_bytes"]),
        fields[b"topic_id"].decode(),
        int(id_.partition(b"-")[0]) / 1000,
    )

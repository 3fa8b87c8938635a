"""What is known of stocks between two changes, and the adoption of values that others wrote."""

import re
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

import redis

from . import keys
from .stocks import Stocks
from .value import NotAStock, Value

# As often as this another writer may come between before a change is given up for now.
ATTEMPTS = 20
NUMBERED = re.compile(r"stock([1-9][0-9]{0,9})")


@dataclass
class Known:
    """What a change of a stock needs to know."""

    version: str = ""  # "" for a stock that is new
    sources: dict[str, int] = field(default_factory=dict)
    problem: str = ""  # why the key is no stock's

    @classmethod
    def of(cls, beside: dict[bytes, bytes]) -> Self:
        """What the hash beside a value says."""
        prefix = keys.SOURCE.encode()
        sources = {
            name.removeprefix(prefix).decode(): int(number)
            for name, number in beside.items()
            if name.startswith(prefix)
        }
        return cls(beside[b"version"].decode(), sources)


class Adoption(Stocks):
    """Keeps what it has looked up of stocks, for changes that compare the version."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(client)
        self._known: dict[str, Known] = {}
        self._suspects: dict[str, str] = {}  # versions whose values were found to be others'
        self._put, self._clear = keys.script(client, "put"), keys.script(client, "clear")

    def seed(self, name: str, text: str, *, replace: bool = False) -> bool:
        """Put a value in any layout in, for a stock that has none; else only with `replace`.

        Raises NotAStock.
        """
        value = Value.parse(text)
        found = self._text(name)
        if found is not None and not replace:
            return False
        self._known.pop(name, None)
        return bool(self._put_value(name, found, value, rows=-1))

    def clear(self, place: str) -> int:
        """Forget all histories, sources included, and how far `place` has been worked off.

        Names and ids stay, and so do dead letters. Returns the number of stocks.
        """
        names = [name.decode() for name, _ in self._ids()]
        self._known.clear()
        self._learn(names)
        cleared = self._clear(
            keys=[keys.POSITIONS, *(key for name in names for key in (name, keys.beside(name)))],
            args=[place, uuid.uuid4().hex],
        )
        self._known.clear()
        return int(cleared)

    def _learn(self, names: Iterable[str]) -> None:
        """Look up what is known of stocks; values that others wrote are brought into our form."""
        wanted = list(names)
        if not wanted:
            return
        with self.client.pipeline(transaction=False) as pipe:
            for name in wanted:
                pipe.type(name)
                pipe.strlen(name)
                pipe.hgetall(keys.beside(name))
            found = pipe.execute(raise_on_error=False)
        for name, kind, length, beside in zip(
            wanted, found[::3], found[1::3], found[2::3], strict=True
        ):
            for each in (kind, beside):
                if isinstance(each, redis.RedisError):
                    raise each
            if kind == b"none":
                self._known[name] = Known()
            elif kind != b"string":
                self._known[name] = Known(problem=f"the key holds a {kind.decode()}")
            elif beside.get(b"length") == b"%d" % length and (
                beside[b"version"].decode() != self._suspects.pop(name, None)
            ):
                self._known[name] = Known.of(beside)
            else:
                self._known[name] = self._adopt(name)

    def _adopt_before_the_first(self, names: set[str]) -> None:
        """Values of stocks that others put in have their ids before a new stock gets one."""
        if any(self._known[name] == Known() for name in names) and not self._ids():
            found = {key.decode() for key in self.client.scan_iter("stock[0-9]*", count=1000)}
            self._learn([each for each in found if NUMBERED.fullmatch(each)])

    def _adopt(self, name: str) -> Known:
        """Bring a value that others wrote into our form.

        What was known of it stays known, but where rows are missing: then it was begun anew.
        """
        for _ in range(ATTEMPTS):
            text = self._text(name)
            if text is None:
                return Known()
            try:
                value = Value.parse(text)
            except NotAStock as error:
                return Known(problem=str(error))
            version = self._put_value(name, text, value, rows=len(value.times))
            if not version:
                continue
            # As it is now: another may have added rows between our looks.
            beside: Any = self.client.hgetall(keys.beside(name))
            if beside.get(b"version") == version.encode():
                return Known.of(beside)
        raise redis.RedisError(f"others change {name} all the time")

    def _put_value(self, name: str, found: bytes | None, value: Value, *, rows: int) -> str:
        """The version it has now, "" where it is no longer `found`.

        Where `rows` are as many as there were, the sources of its rows and its calculations are
        known as before.
        """
        if value.id is None:
            value.id = self._free_id(name)
        laid, latest = value.laid(), value.latest() or ("", "")
        beside: dict[str, Any] = {
            "version": (version := uuid.uuid4().hex),
            "count": len(value.times),
            "times_start": laid.times_start,
            "times_end": laid.times_end,
            "prices_end": laid.prices_end,
            "performance": value.performance,
            "updated_at": time.time(),
            "latest": latest[1],
            "latest_time": latest[0],
        }
        fields = [each for pair in beside.items() for each in pair]
        reply = self._put(
            keys=[name, keys.beside(name), keys.STOCKS],
            args=[
                *(int(found is not None), found or b"", laid.text, name, value.id, rows),
                *fields,
            ],
        )
        return version if reply else ""

    def _free_id(self, name: str) -> int:
        taken = {round(id_): each.decode() for each, id_ in self._ids()}
        wished = wished_id(name)
        if wished and taken.get(int(wished), name) == name:
            return int(wished)
        return max(taken, default=0) + 1

    def _ids(self) -> list[tuple[bytes, float]]:
        found: Any = self.client.zrange(keys.STOCKS, 0, -1, withscores=True)
        return list(found)

    def _text(self, name: str) -> bytes | None:
        found: Any = self.client.get(name)
        return None if found is None else bytes(found)


def wished_id(name: str) -> str:
    """The 1 of stock1, by the specification's sample; "" where a name has no such number."""
    found = NUMBERED.fullmatch(name)
    return found[1] if found else ""

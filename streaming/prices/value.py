"""The value of a stock in Redis, as text in a fixed layout that others can splice: pure.

`{"id":1,"time":["090006","090010"],"price":[1734,""],"performance":0}` (format by the
specification, step 1): no spaces, this order, further fields of a foreign value behind the id.
"""

import json
import re
from dataclasses import dataclass, field
from math import isinf
from typing import Any, NamedTuple, NoReturn, Self

from .price import LENGTH

TIME = re.compile(r"[0-9:]{1,8}")
MIDDLE = '],"price":['  # between the two lists
SHOWN = 80


class NotAStock(ValueError):
    """The text is no value of a stock. The message says why."""


class _Number(str):
    """A number of JSON as it is written."""

    __slots__ = ()


class Laid(NamedTuple):
    """A value as text; numbers are bytes from its beginning."""

    text: str
    times_start: int  # behind the [ of time
    times_end: int  # before its ]
    prices_end: int  # before that of price


@dataclass
class Value:
    """All that a stock's value says. Prices and performance are texts of JSON, "" for no price."""

    id: int | None = None
    times: list[str] = field(default_factory=list)
    prices: list[str] = field(default_factory=list)
    performance: str = "0"
    others: str = ""  # further fields, each with a comma behind it

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        """What a value in any layout says; numbers stay as they are written. Raises NotAStock."""
        try:
            return cls._of(_loads(text))
        except RecursionError:
            raise NotAStock("it is too deeply nested") from None

    @classmethod
    def _of(cls, found: Any) -> Self:
        if not isinstance(found, dict) or not {"time", "price"} <= found.keys():
            raise NotAStock("it has no lists time and price")
        times, prices = found.pop("time"), found.pop("price")
        if not isinstance(times, list) or not isinstance(prices, list):
            raise NotAStock("time and price are not both lists")
        if len(times) != len(prices):
            raise NotAStock(f"{len(times)} times, but {len(prices)} prices")
        return cls(
            _id(found.pop("id", None)),
            [_time(each) for each in times],
            [_price(each) for each in prices],
            _performance(found.pop("performance", None)),
            "".join(f"{json.dumps(name)}:{_dumped(each)}," for name, each in found.items()),
        )

    def laid(self) -> Laid:
        """The value in the fixed layout. A ValueError where it has no id yet."""
        if self.id is None:
            raise ValueError("a value without id")
        head = f'{{"id":{self.id},{self.others}"time":['
        times = ",".join(f'"{each}"' for each in self.times)
        prices = ",".join(each or '""' for each in self.prices)
        times_end = len(head) + len(times)
        prices_end = times_end + len(MIDDLE) + len(prices)
        tail = f'],"performance":{self.performance}}}'
        return Laid(f"{head}{times}{MIDDLE}{prices}{tail}", len(head), times_end, prices_end)

    def latest(self) -> tuple[str, str] | None:
        """Time and price of the newest row with a price."""
        for time, price in zip(reversed(self.times), reversed(self.prices), strict=True):
            if price:
                return time, price
        return None


def _loads(text: str | bytes) -> Any:
    try:
        return json.loads(text, parse_int=_Number, parse_float=_Number, parse_constant=_constant)
    except ValueError as error:
        raise NotAStock(f"it is no JSON: {str(error)[:200]}") from None


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _id(found: Any) -> int | None:
    if found is None:
        return None
    if type(found) is not _Number or not re.fullmatch("[0-9]{1,15}", found):
        raise NotAStock("its id is not a whole number of at most 15 digits")
    return int(found)


def _time(found: Any) -> str:
    if type(found) is not str or not TIME.fullmatch(found):
        raise NotAStock(f"time {_shown(found)} is not hhmmss or HH:MM")
    return found


def _price(found: Any) -> str:
    if found is None or found == "":
        return ""
    if type(found) is not _Number or len(found) > LENGTH or isinf(float(found)):
        raise NotAStock(f"price {_shown(found)} is no number, or too large")
    return str(found)


def _performance(found: Any) -> str:
    return "0" if found is None else _dumped(found)


def _dumped(found: Any) -> str:
    """JSON on one line with the numbers as they were."""
    if type(found) is _Number:
        return str(found)
    if isinstance(found, dict):
        inner = ",".join(f"{json.dumps(name)}:{_dumped(each)}" for name, each in found.items())
        return f"{{{inner}}}"
    if isinstance(found, list):
        return f"[{','.join(map(_dumped, found))}]"
    return json.dumps(found)


def _shown(found: Any) -> str:
    return repr(str(found)[:SHOWN])

"""A trading user's value in Redis, `{"id": 1, "credit": 150000000}` (specification, step 4): pure.

Numbers keep all their digits: a float, and Lua's numbers, would change those beyond 2^53.
"""

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple, NoReturn

from transactions.ledger.engine.amounts import text

DIGITS = 100  # at most, on either side of the point
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")  # of JSON


class Unreadable(ValueError):
    """The value is no user's. The message says why."""


class _Number(str):
    """A number of JSON as it is written."""

    __slots__ = ()


class Purse(NamedTuple):
    """What a user's value says."""

    fields: dict[str, Any]
    credit: Decimal

    def with_credit(self, credit: Decimal) -> str:
        """The value with another credit, all else as it was."""
        return _dumped({**self.fields, "credit": _Number(text(credit))})


def parse(value: str | bytes) -> Purse:
    """Raises Unreadable."""
    try:
        found = json.loads(value, parse_int=_Number, parse_float=_Number, parse_constant=_constant)
        _dumped(found)  # what is too deeply nested for that is refused now
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"it is no JSON: {str(error)[:200]}") from None
    if not isinstance(found, dict) or not isinstance(found.get("credit"), _Number):
        raise Unreadable("it has no number credit")
    credit = exact(found["credit"])
    if credit is None:
        raise Unreadable("its credit is too large, or has too many digits")
    if credit < 0:
        raise Unreadable("its credit is below 0")
    return Purse(found, credit)


def number(written: str) -> Decimal:
    """A price as JSON has it. Raises Unreadable."""
    price = exact(written)
    if price is None or price < 0:
        raise Unreadable(f"the price {written[:40]!a} is no number, or has too many digits")
    return price


def exact(written: str) -> Decimal | None:
    """None for what is too large, has too many digits, or is no number of JSON."""
    if not NUMBER.fullmatch(written):
        return None
    try:
        value = Decimal(written)
    except InvalidOperation:  # as of exponents beyond those of Decimal: 1e9999999999999999999
        return None
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or value.adjusted() >= DIGITS or exponent < -DIGITS:
        return None
    return value


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _dumped(found: Any) -> str:
    """JSON as the sample is laid out, with the numbers as they were."""
    if type(found) is _Number:
        return str(found)
    if isinstance(found, dict):
        inner = ", ".join(f"{json.dumps(name)}: {_dumped(each)}" for name, each in found.items())
        return f"{{{inner}}}"
    if isinstance(found, list):
        return f"[{', '.join(map(_dumped, found))}]"
    return json.dumps(found)

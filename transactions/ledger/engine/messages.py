"""A message of the queue, by the specification `{"id": 1, "value": 600}`: pure."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple

MAX_BYTES = 64 * 1024
# 1.0 as well: a producer whose column of ids has gaps may keep it as floats.
WHOLE = re.compile(r"(-?[0-9]{1,18})(\.0+)?")
# Far beyond any amount of money, and within what Postgres keeps exactly.
NUMBER = re.compile(r"-?[0-9]{1,100}(\.[0-9]{1,100})?([eE][+-]?[0-9]{1,2})?")
SHOWN = 80


class Transaction(NamedTuple):
    """An amount of a provider, to the last digit."""

    provider: int
    value: Decimal


class Refusal(NamedTuple):
    """Why a message can't be taken."""

    reason: str
    detail: str


class _Number(str):
    """A number of JSON as it is written."""

    __slots__ = ()


def read(body: bytes) -> Transaction | Refusal:
    """What a message says. Numbers may be text, and id and value stand among other fields."""
    if len(body) > MAX_BYTES:
        return too_large(len(body))
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        return Refusal("not_utf8", f"byte {error.start} is not UTF-8")
    try:
        found = _decode(text)
    except RecursionError:
        return Refusal("not_json", "too deeply nested")
    except ValueError as error:
        return Refusal("not_json", str(error)[:200])
    if not isinstance(found, tuple):
        return Refusal("not_object", "the message is no JSON object")
    fields = dict(found)
    if len(fields) < len(found):
        return Refusal("duplicate_key", f"{_shown(_twice(found))} is given twice")
    for name in ("id", "value"):
        if name not in fields:
            return Refusal("missing_field", f"there is no {name}")
    provider = _whole(fields["id"])
    if provider is None:
        return Refusal("bad_id", f"id {_shown(fields['id'])} is no whole number")
    value = _amount(fields["value"])
    if value is None:
        return Refusal("bad_value", f"value {_shown(fields['value'])} is no number, or too long")
    return Transaction(provider, value)


def too_large(body_bytes: int) -> Refusal:
    """Of a message of more than MAX_BYTES."""
    return Refusal("too_large", f"{body_bytes} bytes, {MAX_BYTES} at most")


def _twice(pairs: Iterable[tuple[str, Any]]) -> str:
    """The first key that is given more than once."""
    return next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)


def _whole(found: Any) -> int | None:
    text = _text(found)
    whole = WHOLE.fullmatch(text) if text is not None else None
    return int(whole[1]) if whole is not None else None


def _amount(found: Any) -> Decimal | None:
    text = _text(found)
    return Decimal(text) if text is not None and NUMBER.fullmatch(text) else None


def _text(found: Any) -> str | None:
    return found.strip() if isinstance(found, str) else None


def _shown(found: Any) -> str:
    """Not what is nested, which may be deeper than can be shown."""
    if isinstance(found, list | tuple):
        return "[...]" if isinstance(found, list) else "{...}"
    return repr(str(found)[:SHOWN])


# An object comes as a tuple of its pairs: in a dict the last of two values would win unseen.
_decode = json.JSONDecoder(
    parse_int=_Number, parse_float=_Number, parse_constant=_Number, object_pairs_hook=tuple
).decode

"""An input line as an event, or why it is none. Pure.

The events and their fields are the specification's ("Input event types"); all numbers are ints
from 0 to 2^63 - 1. Keys that it does not name are left alone: a newer sender may add some.
"""

import json
import re
from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple

from . import literals
from .refusals import (
    DUPLICATE_KEY,
    MALFORMED,
    MISSING_FIELD,
    NEGATIVE,
    NOT_UTF8,
    TOO_LARGE,
    TOO_LONG,
    UNKNOWN_TYPE,
    WRONG_TYPE,
    Refused,
)

CREATED = "ProductCreated"
UPDATED = "ProductUpdated"
ENDED = "ProductEnded"
FIELDS = {
    CREATED: ("id", "timestamp", "stock", "parent_id"),
    UPDATED: ("id", "timestamp", "stock"),
    ENDED: ("id", "timestamp"),
}
MOST = (1 << 63) - 1
LINE_BYTES = 65536
NESTED = 100  # levels of a value that is left alone; the interpreter's own limit varies

SPACE = " \t\r"
# Brackets, strings, and the quote of a string that does not end.
TOKENS = re.compile(r"""[][{}]|"[^"\\]*(?:\\.[^"\\]*)*"|'[^'\\]*(?:\\.[^'\\]*)*'|["']""")


# What may follow an event on its line: space, and a comment in plain ASCII.
REST = re.compile(rb"[ \t\r]*(?://[\x00-\x7f]*)?")


class Event(NamedTuple):
    """An event whose fields are as they must be; those that it does not have are None."""

    kind: str
    product_id: int
    timestamp: int
    stock: Optional[int]
    parent_id: Optional[int]


class Known(NamedTuple):
    """As much of an event as is right by itself: "" and None stand for what is not."""

    kind: str
    product_id: Optional[int]
    timestamp: Optional[int]
    stock: Optional[int]
    parent_id: Optional[int]


NOTHING = Known("", None, None, None, None)


class Skipped(Exception):
    """A line that is none of the events: `kind` is "blank" or "comments"."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class NotAnEvent(Refused):
    """A line that is refused. `known` has those of its fields that are right by themselves."""

    def __init__(self, code: str, reason: str, known: Known = NOTHING) -> None:
        super().__init__(code, reason)
        self.known = known


def _not_json(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


scan: Any = json.JSONDecoder(parse_constant=_not_json).scan_once  # type: ignore[attr-defined]
new_event = tuple.__new__


def read(raw: bytes) -> Event:
    """The event of a line, given without its end. Raises Skipped or NotAnEvent."""
    # The way of nearly all lines; what is not quite right is looked at again with care.
    if len(raw) > LINE_BYTES:  # a number of many digits would take long
        return _read_with_care(raw)
    line = raw
    if raw.startswith(b"{'") and b'"' not in raw and b"null" not in raw:
        line = raw.replace(b"'", b'"').replace(b"None", b"null")  # as long as before
    try:
        given, end = scan(line.decode(), 0)
        if end != len(line) and not REST.fullmatch(line, end):
            return _read_with_care(raw)
        kind = given["type"]
        product_id = given["id"]
        timestamp = given["timestamp"]
        stock = parent_id = None
        if kind == UPDATED:
            stock = given["stock"]
            known = 4
        elif kind == CREATED:
            stock = given["stock"]
            parent_id = given["parent_id"]
            known = 5
        else:
            known = 3
        # A key given twice would bring more quotes, an unknown key more keys.
        if (
            len(given) == known
            and line.count(b'"', 0, end) == 2 * known + 2
            and kind in FIELDS
            and type(product_id) is int
            and type(timestamp) is int
            and 0 <= product_id <= MOST
            and 0 <= timestamp <= MOST
            and (stock is None or (type(stock) is int and 0 <= stock <= MOST))
            and (parent_id is None or (type(parent_id) is int and 0 <= parent_id <= MOST))
            and (stock is not None or known == 3)
        ):
            return new_event(Event, (kind, product_id, timestamp, stock, parent_id))
    except (ValueError, LookupError, TypeError, StopIteration, RecursionError):
        pass
    return _read_with_care(raw)


def _read_with_care(raw: bytes) -> Event:
    stripped = raw[:LINE_BYTES].lstrip(b" \t")
    if stripped.startswith(b"//"):
        raise Skipped("comments")
    if len(raw) - raw.endswith(b"\r") > LINE_BYTES:
        raise NotAnEvent(TOO_LONG, f"longer than {LINE_BYTES:,} bytes")
    if not stripped.strip(b" \t\r"):
        raise Skipped("blank")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        reason = f"not UTF-8: byte 0x{raw[error.start]:02x} at {error.start + 1}"
        raise NotAnEvent(NOT_UTF8, reason) from None
    return event(_pairs(text.strip(SPACE)))


def _pairs(text: str) -> List[Tuple[str, Any]]:
    """The event's keys and values, in the order in which they are given."""
    if _nesting(text) > NESTED:
        raise NotAnEvent(MALFORMED, f"nested more than {NESTED} levels deep")
    try:
        given, end = _scan_pairs(text, 0)
    except (ValueError, StopIteration, RecursionError) as error:
        given, end = _literal_pairs(text, error)
    if type(given) is not Pairs:
        raise NotAnEvent(MALFORMED, "not an object { … }")
    rest = text[end:].lstrip(SPACE)
    if rest and not rest.startswith("//"):
        raise NotAnEvent(MALFORMED, f"more text after the event: {rest[:40]}")
    return given


class Pairs(List[Tuple[str, Any]]):
    """A JSON object with all that was given, a key given twice too."""


_scan_pairs: Any = json.JSONDecoder(  # type: ignore[attr-defined]
    object_pairs_hook=Pairs, parse_constant=_not_json, parse_int=literals.whole
).scan_once


def _literal_pairs(text: str, error: Exception) -> Tuple[Pairs, int]:
    try:
        pairs, end = literals.read(text)
    except ValueError as other:
        if re.match(r"\{\s*u?'", text):
            raise NotAnEvent(MALFORMED, f"not a Python literal: {other}") from None
        raise NotAnEvent(MALFORMED, f"not JSON: {_in_words(error)}") from None
    return Pairs(pairs), end


def _in_words(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos + 1}"
    return str(error) if isinstance(error, ValueError) else "a value expected"


def _nesting(text: str) -> int:
    """How many levels deep brackets are open at most, from the first one until it is closed."""
    if text.count("{") + text.count("[") <= NESTED:
        return 0
    deepest = depth = 0
    for token in TOKENS.finditer(text):
        first = token.group()[0]
        if first in "{[":
            depth += 1
            deepest = max(deepest, depth)
        elif first in "}]":
            depth -= 1
        elif len(token.group()) == 1:
            break  # a string without an end
        if depth <= 0:
            break
    return deepest


def event(pairs: List[Tuple[str, Any]]) -> Event:
    """The event of these keys and values. Raises NotAnEvent for the first that is not right."""
    given = dict(pairs)
    if len(given) < len(pairs):
        raise NotAnEvent(DUPLICATE_KEY, f"key {_shown(_twice(pairs))} is given twice")
    try:
        kind = _kind(given)
        fields: Any = {name: _number(name, given) for name in FIELDS[kind]}
    except Refused as refused:
        raise NotAnEvent(refused.code, refused.reason, _known(given)) from None
    return Event(
        kind, fields["id"], fields["timestamp"], fields.get("stock"), fields.get("parent_id")
    )


def _twice(pairs: List[Tuple[str, Any]]) -> str:
    """The first key that has been given before."""
    seen: Set[str] = set()
    for key, _ in pairs:
        if key in seen:
            break
        seen.add(key)
    return key


def _kind(given: Dict[str, Any]) -> str:
    if "type" not in given:
        raise Refused(MISSING_FIELD, "type is missing")
    kind = given["type"]
    if type(kind) is not str:
        raise Refused(WRONG_TYPE, f"type must be text, not {_shown(kind)}")
    if kind not in FIELDS:
        raise Refused(UNKNOWN_TYPE, f"no such type of event: {_shown(kind)}")
    return kind


def _number(name: str, given: Dict[str, Any]) -> Optional[int]:
    if name not in given:
        raise Refused(MISSING_FIELD, f"{name} is missing")
    value: Any = given[name]
    if value is None and name == "parent_id":
        return None
    if type(value) is not int:
        raise Refused(WRONG_TYPE, f"{name} must be a whole number, not {_shown(value)}")
    if value < 0:
        raise Refused(NEGATIVE, f"{name} is below 0")
    if value > MOST:
        raise Refused(TOO_LARGE, f"{name} is above {MOST:,}")
    return int(value)


def _known(given: Dict[str, Any]) -> Known:
    numbers = [_right(given, name) for name in ("id", "timestamp", "stock", "parent_id")]
    try:
        return Known(_kind(given), *numbers)
    except Refused:
        return Known("", *numbers)


def _right(given: Dict[str, Any], name: str) -> Optional[int]:
    try:
        return _number(name, given)
    except Refused:
        return None


def _shown(value: Any) -> str:
    """A value in a reason: as JSON would write it, and short."""
    if isinstance(value, Pairs):
        return "an object"
    if isinstance(value, list):
        return "a list"
    text = json.dumps(value) if value is None or type(value) in (str, bool, int, float) else "that"
    return text if len(text) <= 40 else text[:39] + "…"

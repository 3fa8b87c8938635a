"""The oracle's part for lines: which event a line holds, or for what reason it holds none."""

import ast
import json
import re
import warnings
from dataclasses import dataclass
from typing import Any

LONGEST = 65_536  # bytes of a line
LARGEST = 2**63 - 1

# Refused for what the line holds, before anybody asks whom it is about.
OF_FIELDS = {
    "too_long",
    "not_utf8",
    "malformed",
    "duplicate_key",
    "missing_field",
    "unknown_type",
    "wrong_type",
    "negative",
    "too_large",
}

# What a number of very many digits is read as: Python may refuse to read the number itself.
VAST = 10**4000

# Python's own literals: strings (u'…' too), numbers of every form, and three words.
_STRING = r"""[uU]?(?:'(?:[^'\\\r]|\\.)*'|"(?:[^"\\\r]|\\.)*")"""
_NUMBER = r"[-+]?\.?[0-9](?:[eE][-+]|[0-9A-Za-z_.])*"
_VALUE = rf"{_STRING}|{_NUMBER}|None|True|False"
_SPACE = r"[ \t\f\r]*"
_PAIR = rf"{_SPACE}({_STRING}){_SPACE}:{_SPACE}({_VALUE}){_SPACE}"
LITERAL = re.compile(rf"\{{(?:{_PAIR}(?:,{_PAIR})*(?:,{_SPACE})?|{_SPACE})\}}")
PAIR = re.compile(_PAIR)


class Refused(Exception):
    """An event that has no effect; its argument is the code."""


class Pairs(list):
    """A JSON object as its pairs of key and value."""


@dataclass
class Event:
    line: int
    raw: str
    size: int  # bytes of the line
    kind: str = ""
    id: Any = None
    timestamp: Any = None
    stock: Any = None
    parent_id: Any = None


def lines_of(data: bytes) -> list[bytes]:
    """The file's lines without their ends."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    *lines, last = data.split(b"\n")
    lines = [line.removesuffix(b"\r") for line in lines]
    return [*lines, last] if last else lines


def read(number: int, line: bytes) -> Event | str:
    """What may be an event, without its fields yet; or "blank" or "comment"."""
    if line[:LONGEST].lstrip(b" \t").startswith(b"//"):
        return "comment"
    if len(line) <= LONGEST and not line.strip(b" \t\r"):
        return "blank"
    raw = line[:LONGEST].decode("utf-8", "backslashreplace")
    return Event(number, raw, len(line))


def pairs_of(line: bytes) -> list[tuple[str, Any]]:
    """The keys and values of the line's event; Refused for what is none."""
    if len(line) > LONGEST:
        raise Refused("too_long")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("not_utf8") from None
    try:
        pairs = _json(text)
    except (ValueError, RecursionError):
        pairs = _literal(text)
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        raise Refused("duplicate_key")
    return pairs


def _json(text: str) -> Pairs:
    def constant(name: str) -> Any:
        raise ValueError(name)

    decoder = json.JSONDecoder(
        object_pairs_hook=Pairs, parse_int=_number, parse_constant=constant, strict=True
    )
    text = text.strip(" \t\r")
    value, end = decoder.raw_decode(text)
    tail = text[end:].lstrip(" \t\r")
    if tail and not tail.startswith("//"):
        raise ValueError("text after the value")
    if not isinstance(value, Pairs):
        raise ValueError("no object")
    return value


def _literal(text: str) -> Pairs:
    found = LITERAL.match(text.lstrip(" \t\r\f"))
    if found is None:
        raise Refused("malformed")
    tail = found.string[found.end() :].strip(" \t\r")
    if tail and not tail.startswith("//"):
        raise Refused("malformed")
    inside = found.group(0)[1:-1]
    return Pairs((_python(key), _python(value)) for key, value in PAIR.findall(inside))


def _python(token: str) -> Any:
    if re.fullmatch("[-+]?(0+|[1-9][0-9]*)", token):
        return _number(token)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "\d" and the like stand for themselves
        try:
            return ast.literal_eval(token)
        except (SyntaxError, ValueError):
            raise Refused("malformed") from None


def _number(digits: str) -> int:
    if len(digits) < 1000:
        return int(digits)
    return -VAST if digits.startswith("-") else VAST


def fill(event: Event, pairs: list[tuple[str, Any]]) -> None:
    """Give the event its fields in their order; Refused with the first wrong one's code."""
    given = dict(pairs)
    if "type" not in given:
        raise Refused("missing_field")
    if not isinstance(given["type"], str):
        raise Refused("wrong_type")
    if given["type"] not in ("ProductCreated", "ProductUpdated", "ProductEnded"):
        raise Refused("unknown_type")
    event.kind = given["type"]
    names = ["id", "timestamp"]
    if event.kind != "ProductEnded":
        names.append("stock")
    if event.kind == "ProductCreated":
        names.append("parent_id")
    for name in names:
        if name not in given:
            raise Refused("missing_field")
        value = given[name]
        if name == "parent_id" and value is None:
            continue
        if type(value) is not int:
            raise Refused("wrong_type")
        if value < 0:
            raise Refused("negative")
        if value > LARGEST:
            raise Refused("too_large")
        setattr(event, name, value)

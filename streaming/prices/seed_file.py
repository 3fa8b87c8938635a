"""Initial values as the specification's sample has them, lines of `SET key 'json'`: pure."""

import json
import shlex
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, NoReturn

from config.trading_users import USER

from .rows import Refusal, from_cells
from .value import NotAStock, Value

SHOWN_CHARACTERS = 60


class Entry(NamedTuple):
    """A key and its value as it is written there."""

    line: int
    key: str
    text: str
    is_user: bool  # else a stock


class NoEntry(NamedTuple):
    """A line that can't be used."""

    line: int
    reason: str


def entries(lines: Iterable[str]) -> Iterator[Entry | NoEntry]:
    """What each line says; blank ones are passed over. Lines count from 1."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            found = _entry(line)
            if isinstance(found, str):
                yield NoEntry(number, found)
            else:
                yield Entry(number, *found)


def _entry(line: str) -> tuple[str, str, bool] | str:
    """Key, text and whether it is a user's, or what is wrong."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        return f"{error}"
    if len(words) != 3 or words[0].upper() != "SET":
        return f"not of the form SET key 'json': {_shown(line.strip())}"
    _, key, text = words
    if USER.fullmatch(key):
        wrong = _wrong_user(text)
        return wrong or (key, text, True)
    row = from_cells("000000", key, "")
    if isinstance(row, Refusal):
        return row.detail
    if row.stock != key:
        return f"{_shown(key)} is not written in small letters"
    try:
        Value.parse(text)
    except NotAStock as error:
        return f"{key} is no stock: {error}"
    return key, text, False


def _wrong_user(text: str) -> str:
    try:
        found: Any = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        return f"no JSON: {error}"
    if not isinstance(found, dict) or not {"id", "credit"} <= found.keys():
        return "a user has id and credit"
    credit = found["credit"]
    if type(found["id"]) is not int or type(credit) not in (int, float) or not credit >= 0:
        return "a user's id is a whole number, the credit a number from 0 on"
    return ""


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _shown(text: str) -> str:
    return repr(text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…")

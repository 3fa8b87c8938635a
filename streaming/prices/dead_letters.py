"""Finds dead letters of prices in Redis, newest first: for their page, its download and the API."""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from config import given

from . import stocks, words

CURSOR = re.compile(r"[0-9]{1,15}-[0-9]{1,15}")
LOOK = 500  # letters that are asked for at a time: 2 MB at most
LOOK_AT_MOST = 20_000  # for one page of a rare reason
DOWNLOAD_MOST = 10_000
DOWNLOAD_BYTES = 64 * 1024**2


@dataclass(frozen=True)
class DeadLetter:
    """A refused row: where it came from, why it was refused, and its text as far as it is kept."""

    id: str
    at: datetime
    place: str
    number: int  # of its row in the file, or its offset
    reason: str
    detail: str
    value: bytes
    value_bytes: int  # of the whole

    @property
    def cut(self) -> bool:
        """Whether it had more."""
        return self.value_bytes > len(self.value)

    @property
    def text(self) -> str | None:
        """None where it is not UTF-8."""
        return given.text_of(self.value, cut=self.cut)

    @property
    def shown(self) -> str:
        """The text for eyes."""
        return given.shown(self.value, self.text)

    @property
    def where(self) -> str:
        return words.place(self.place, self.number)


@dataclass(frozen=True)
class Page:
    """Some dead letters, newest first."""

    rows: list[DeadLetter]
    older: str | None  # cursor of those before them; None at the end
    looked_at: int
    whole: bool  # False: there were too many of other reasons to fill the page


def is_cursor(text: str) -> bool:
    """Whether it may have come from a page."""
    return CURSOR.fullmatch(text) is not None


def page(store: stocks.Stocks, before: str = "", reason: str = "", size: int = 25) -> Page:
    """The newest `size` dead letters older than `before`, of one reason or of all ("").

    Raises redis.RedisError.
    """
    rows: list[DeadLetter] = []
    looked_at = 0
    for letter in _older(store, before or None, LOOK if reason else size + 1):
        # One more than is shown tells that there are older ones.
        if len(rows) == size:
            return Page(rows, rows[-1].id, looked_at, whole=True)
        if looked_at == LOOK_AT_MOST:
            return Page(rows, before, looked_at, whole=False)
        looked_at += 1
        before = letter.id
        if not reason or letter.reason == reason:
            rows.append(_dead_letter(letter))
    return Page(rows, None, looked_at, whole=True)


def json_lines(store: stocks.Stocks, reason: str = "") -> Iterator[bytes]:
    """The newest dead letters, one a line, 10,000 or 64 MiB at most.

    Where there are more, the last line is `{"more": true, …}`. Raises redis.RedisError.
    """
    count = size = 0
    last = ""
    for letter in _older(store, None, LOOK):
        if count == DOWNLOAD_MOST or size > DOWNLOAD_BYTES:
            yield json.dumps({"more": True, "before": last}).encode() + b"\n"
            return
        last = letter.id
        if not reason or letter.reason == reason:
            line = json.dumps(as_json(_dead_letter(letter))).encode() + b"\n"
            count, size = count + 1, size + len(line)
            yield line


def as_json(letter: DeadLetter) -> dict[str, Any]:
    """A dead letter for programs; one of `value` and `value_base64` is null."""
    text = letter.text
    return {
        "id": letter.id,
        "at": letter.at.timestamp(),
        "place": letter.place,
        "number": letter.number,
        "reason": letter.reason,
        "detail": letter.detail,
        "value_bytes": letter.value_bytes,
        "value_is_cut": letter.cut,
        "value": text,
        "value_base64": base64.b64encode(letter.value).decode() if text is None else None,
    }


def _older(store: stocks.Stocks, before: str | None, look: int) -> Iterator[stocks.Letter]:
    # Redis refuses to look for ids below the lowest one.
    while before is None or before.strip("0-"):
        found = store.letters(look, before)
        yield from found
        if len(found) < look:
            return
        before = found[-1].id


def _dead_letter(letter: stocks.Letter) -> DeadLetter:
    return DeadLetter(
        id=letter.id,
        at=datetime.fromtimestamp(letter.refused_at, UTC),
        place=letter.place,
        number=letter.at,
        reason=letter.reason,
        detail=letter.detail,
        value=letter.raw,
        value_bytes=letter.raw_bytes,
    )

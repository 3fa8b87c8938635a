"""Finds rejects of the ledger, newest first: for their page, its download and the API."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from config import given

from .reading import ask

LOOK_AT_MOST = 20_000  # for one page of a rare reason
DOWNLOAD_ROWS = 200  # at a time: 13 MB at most
DOWNLOAD_MOST = 10_000
DOWNLOAD_BYTES = 64 * 1024**2

FIND = """
SELECT id, rejected_at, reason, detail, body, body_bytes, message_id
FROM (
    SELECT * FROM stockroom_ledger.rejects
    WHERE %(before)s::bigint IS NULL OR id < %(before)s ORDER BY id DESC LIMIT %(look)s
) newest
WHERE %(reason)s = '' OR reason = %(reason)s
ORDER BY id DESC LIMIT %(size)s
"""
LOWEST = """
SELECT min(id), count(*) FROM (
    SELECT id FROM stockroom_ledger.rejects
    WHERE %(before)s::bigint IS NULL OR id < %(before)s ORDER BY id DESC LIMIT %(look)s
) newest
"""


@dataclass(frozen=True)
class Reject:
    """A refused message: why, and its body as far as it is kept."""

    id: int
    at: datetime
    reason: str
    detail: str
    value: bytes
    value_bytes: int  # of the whole
    message_id: str | None

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


@dataclass(frozen=True)
class Page:
    """Some rejects, newest first."""

    rows: list[Reject]
    older: int | None  # `before` of those before them; None at the end
    looked_at: int
    whole: bool  # False: there were too many of other reasons to fill the page


def page(cursor: Any, before: int | None = None, reason: str = "", size: int = 25) -> Page:
    """The newest `size` rejects with ids below `before`, of one reason or of all ("")."""
    wanted = {"before": before, "reason": reason, "size": size + 1, "look": LOOK_AT_MOST}
    cursor.execute(FIND, wanted)
    # One more than is shown tells that there are older ones.
    found = [_reject(row) for row in cursor.fetchall()]
    rows = found[:size]
    if len(found) > size:
        return Page(rows, rows[-1].id, len(rows), whole=True)
    cursor.execute(LOWEST, wanted)
    lowest, looked_at = cursor.fetchone()
    if looked_at < LOOK_AT_MOST:
        return Page(rows, None, looked_at, whole=True)
    return Page(rows, lowest, looked_at, whole=False)


def json_lines(reason: str = "") -> Iterator[bytes]:
    """The newest rejects, one a line, 10,000 or 64 MiB at most.

    Where there are more, the last line is `{"more": true, …}`. Raises reading.Away.
    """
    count = size = 0
    before: int | None = None
    while True:
        found = _next(before, reason)
        for reject in found.rows:
            if count == DOWNLOAD_MOST or size > DOWNLOAD_BYTES:
                yield json.dumps({"more": True, "before": before}).encode() + b"\n"
                return
            line = json.dumps(as_json(reject)).encode() + b"\n"
            count, size, before = count + 1, size + len(line), reject.id
            yield line
        if found.older is None:
            return
        before = found.older


def _next(before: int | None, reason: str) -> Page:
    return ask(lambda cursor: page(cursor, before, reason, DOWNLOAD_ROWS))


def as_json(reject: Reject) -> dict[str, Any]:
    """A reject for programs; one of `body` and `body_base64` is null."""
    text = reject.text
    return {
        "id": reject.id,
        "rejected_at": reject.at.isoformat(),
        "reason": reject.reason,
        "detail": reject.detail,
        "message_id": reject.message_id,
        "body_bytes": reject.value_bytes,
        "body_is_cut": reject.cut,
        "body": text,
        "body_base64": base64.b64encode(reject.value).decode() if text is None else None,
    }


def _reject(row: tuple[Any, ...]) -> Reject:
    number, at, reason, detail, body, size, message_id = row
    return Reject(number, at, reason, detail, bytes(body), size, message_id)

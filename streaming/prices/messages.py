"""Records of the topic as the rows and refusals of a batch: pure."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from .rows import Refusal, Row, from_message, stamped
from .store import Refused


class Record(Protocol):
    """A record as it was polled."""

    @property
    def offset(self) -> int: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


def sort(records: Iterable[Record]) -> tuple[list[tuple[int, Row, bytes]], list[Refused]]:
    """The rows as (offset, row, value), and what is none; both in order."""
    rows: list[tuple[int, Row, bytes]] = []
    refused: list[Refused] = []
    for record in records:
        value = record.value
        found = from_message(value)
        if isinstance(found, Refusal):
            refused.append(Refused(record.offset, found.reason, found.detail, value or b""))
            continue
        if record.headers:
            told = dict(record.headers)
            found = stamped(found, told.get("source"), told.get("row"))
        rows.append((record.offset, found, value or b""))
    return rows, refused

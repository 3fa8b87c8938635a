"""When a record of a product file is a row, and what is kept of one that is not.

Pure (standard library only). Used by `csv_rows`, which finds the records.
"""

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from products.imports.csv_header import Header

SKU_CHARACTERS = 128
NAME_CHARACTERS = 255
DESCRIPTION_CHARACTERS = 10_000
ACTIVE_WORDS: dict[str, bool | None] = {
    "": None,
    **dict.fromkeys(("true", "t", "1", "yes", "y", "active"), True),
    **dict.fromkeys(("false", "f", "0", "no", "n", "inactive"), False),
}
# As they are mostly written, so that these need not be changed to lower case first.
ACTIVE_SPELLINGS = {
    spelling: active
    for word, active in ACTIVE_WORDS.items()
    for spelling in (word, word.upper(), word.title())
}
ENCODING_NAMES = {"utf-8": "UTF-8", "cp1252": "Windows-1252"}
# What the error handler "surrogateescape" makes of a byte that can't be decoded.
ESCAPED_BYTE = re.compile("[\udc80-\udcff]")

Row: TypeAlias = tuple[int, str, str, str | None, bool | None]
"""(first physical line, sku, name, description, active). Description is None where the file has
no such column, active also where its field is empty. A bare tuple, for speed."""


class RowError(NamedTuple):
    """A record that was refused."""

    line: int
    """Its first physical line, counted from 1 as an editor does."""
    column: str
    """'sku', 'name', 'description', 'active', or '' for the record as a whole."""
    message: str
    raw: str
    """The record as given, at most `Limits.raw_characters`, without its line end; NUL and
    undecodable bytes are shown as \\x00 and \\xff, so that a text column holds it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What is too long. Only tests give others than the defaults."""

    record_bytes: int = 1024 * 1024
    """Of a record and of a physical line, without the line end."""
    record_lines: int = 1_000
    raw_characters: int = 65_536
    """At most `record_bytes`, which are there when a line is found to be too long."""
    # Read at once, at least 3. 128 KiB to 1 MiB are equally fast; more takes memory for nothing.
    window_bytes: int = 256 * 1024


LIMITS = Limits()


@dataclass(slots=True)
class Batch:
    """What some records, one after the other, gave; rows and errors in the order of the file."""

    rows: list[Row] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)
    blank_lines: int = 0
    undecodable: int = 0
    """How many of the errors are for bytes that are not in the file's encoding."""


@dataclass(frozen=True, slots=True)
class Rules:
    """When a record is a row."""

    header: Header
    encoding: str
    limits: Limits

    def apply(self, batch: Batch, fields: list[str], lines: list[bytes], line: int) -> None:
        """Put the record into the batch as a row, an error or a blank line."""
        if not fields:
            batch.blank_lines += 1
            return
        record = b"".join(lines)
        try:
            record.decode(self.encoding)
        except UnicodeDecodeError as error:
            batch.undecodable += 1
            name = ENCODING_NAMES.get(self.encoding, self.encoding)
            found = record[error.start : error.end].decode("ascii", "backslashreplace")
            column = self._column(fields, lambda text: ESCAPED_BYTE.search(text) is not None)
            self.refuse(batch, line, column, f"bytes that are not {name}: {found}", record)
            return
        header = self.header
        fault = self._fault(fields)
        if fault is not None:
            self.refuse(batch, line, *fault, record)
            return
        description = None if header.description is None else fields[header.description]
        active = None if header.active is None else ACTIVE_WORDS[_word(fields[header.active])]
        sku, name = fields[header.sku].strip(), fields[header.name].strip()
        batch.rows.append((line, sku, name, description, active))

    def refuse(self, batch: Batch, line: int, column: str, message: str, record: bytes) -> None:
        """Put an error into the batch."""
        record = without_line_end(record)
        limit = self.limits.raw_characters
        if len(record) <= limit:
            raw = record.decode(self.encoding, "backslashreplace")
        else:
            # Incremental: a character that the limit cuts is left out, not shown as \xe2.
            decoder = codecs.getincrementaldecoder(self.encoding)("backslashreplace")
            raw = decoder.decode(record[:limit]) + "…"
        raw = raw.replace("\0", "\\x00")
        if len(raw) > limit:
            raw = raw[: limit - 1] + "…"
        batch.errors.append(RowError(line, column, message, raw))

    def _fault(self, fields: list[str]) -> tuple[str, str] | None:
        """Say which column is wrong ('' for all) and why."""
        header = self.header
        if len(fields) != header.width:
            columns = "column" if len(fields) == 1 else "columns"
            return "", f"{len(fields):,} {columns} where the header has {header.width:,}"
        if any("\0" in text for text in fields):
            return self._column(fields, lambda text: "\0" in text), "a NUL character (\\x00)"
        for column, index, characters in (
            ("sku", header.sku, SKU_CHARACTERS),
            ("name", header.name, NAME_CHARACTERS),
        ):
            length = len(fields[index].strip())
            if length == 0:
                return column, f"no {column}"
            if length > characters:
                return column, f"{length:,} characters, at most {characters:,} are allowed"
        if header.description is not None:
            length = len(fields[header.description])
            if length > DESCRIPTION_CHARACTERS:
                allowed = f"at most {DESCRIPTION_CHARACTERS:,} are allowed"
                return "description", f"{length:,} characters, {allowed}"
        if header.active is not None and _word(fields[header.active]) not in ACTIVE_WORDS:
            return "active", "neither yes nor no: write true, false, or nothing"
        return None

    def _column(self, fields: list[str], is_wrong: Callable[[str], bool]) -> str:
        """Name the first known column that is wrong; '' where it is none of them."""
        for column, index in self.header.known_columns():
            if index < len(fields) and is_wrong(fields[index]):
                return column
        return ""


def without_line_end(line: bytes) -> bytes:
    """Take off the \\n, \\r\\n or \\r at the end of a physical line."""
    return line.rstrip(b"\r\n")


def _word(text: str) -> str:
    return text.strip().lower()

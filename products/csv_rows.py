"""Bytes of a product file, in parts → rows or RowErrors.

Pure (standard library only). Called by the staging task for one part after the other; what a part
leaves undecided is its `Carry`. Rows, errors and line numbers do not depend on where the cuts are.
"""

import codecs
import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from itertools import accumulate, repeat
from typing import Any, NamedTuple, TypeAlias

from products.csv_header import FileError, Header, read_header

__all__ = (
    "Batch",
    "Carry",
    "FileError",
    "Header",
    "Limits",
    "PartReader",
    "Row",
    "RowError",
    "parse_part",
)

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
LAST_LINE_END = re.compile(rb"\r\n|\n|\r")
# A \r at the end of a part may have its \n in the next.
LINE_END = re.compile(rb"\r\n|\n|\r(?=[^\n])")
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

# Global to the process, by default 131,072. A field can be as long as a record, so that our own
# limits decide alone; never lowered for somebody who has raised it.
csv.field_size_limit(max(csv.field_size_limit(), LIMITS.record_bytes + 1))


@dataclass(frozen=True, slots=True)
class Carry:
    """What the parts before leave to the next. `Carry()` is the start of a file."""

    tail: bytes = b""
    """Bytes not decided yet: `Limits.record_bytes` and a line end at most."""
    line: int = 1
    """The physical line that the first byte of the tail (or of the next part) is in."""
    skipping: bool = False
    """Inside a physical line that was refused as too long."""
    header: Header | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give all but the tail as JSON types."""
        header = None if self.header is None else self.header.to_dict()
        return {"line": self.line, "skipping": self.skipping, "header": header}

    @classmethod
    def from_dict(cls, values: dict[str, Any], tail: bytes) -> "Carry":
        """Undo `to_dict`."""
        header = None if values["header"] is None else Header.from_dict(values["header"])
        return cls(tail, values["line"], values["skipping"], header)


@dataclass(slots=True)
class Batch:
    """What some records, one after the other, gave; rows and errors in the order of the file."""

    rows: list[Row] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)
    blank_lines: int = 0
    undecodable: int = 0
    """How many of the errors are for bytes that are not in the file's encoding."""


def parse_part(
    data: bytes, carry: Carry, *, encoding: str, final: bool, limits: Limits = LIMITS
) -> tuple[Batch, Carry]:
    """Read all of a part at once: see PartReader, which needs less memory."""
    reader = PartReader(data, carry, encoding=encoding, final=final, limits=limits)
    whole = Batch()
    for batch in reader:
        whole.rows += batch.rows
        whole.errors += batch.errors
        whole.blank_lines += batch.blank_lines
        whole.undecodable += batch.undecodable
    return whole, reader.carry


class PartReader:
    """Iterate it for the Batches of a part; then `carry` is what the next part needs.

    `data` are the part's bytes, `carry` what the part before left, `final` says that the file ends
    with them. `encoding` is 'utf-8', 'cp1252' or another that keeps ASCII as it is (else
    ValueError, or LookupError for an unknown one). Iterating raises FileError when the file can't
    be imported at all, which is known after 64 KiB.

    A batch is about `Limits.window_bytes` of the file. Worst case of memory: a file of two-byte
    lines, each refused, makes some 100 bytes of errors per byte, so don't keep many batches.
    """

    def __init__(
        self, data: bytes, carry: Carry, *, encoding: str, final: bool, limits: Limits = LIMITS
    ) -> None:
        ascii_text = "".join(map(chr, range(128)))
        ascii_bytes = ascii_text.encode("ascii")
        if (ascii_text.encode(encoding), ascii_bytes.decode(encoding)) != (ascii_bytes, ascii_text):
            raise ValueError(f"{encoding} does not keep ASCII as it is")
        self._encoding = codecs.lookup(encoding).name
        self._limits = limits
        self._buffer = carry.tail + data
        self._final = final
        self._position = 0
        self._line = carry.line
        self._skipping = carry.skipping
        self._header = carry.header

    @property
    def carry(self) -> Carry:
        """Say where the next part goes on; right once the iteration is over."""
        return Carry(self._buffer[self._position :], self._line, self._skipping, self._header)

    def __iter__(self) -> Iterator[Batch]:
        if self._header is None:
            self._header, used, lines = read_header(
                self._buffer, encoding=self._encoding, final=self._final
            )
            self._position += used
            self._line += lines
            if self._header is None:
                return
        rules = _Rules(self._header, self._encoding, self._limits)
        before = -1
        while before < self._position < len(self._buffer):
            before = self._position
            if self._skipping and not self._skip_line():
                continue
            batch = Batch()
            if not self._read_window(batch, rules):
                self._read_around_quotes(batch, rules)
            if batch != Batch():
                yield batch

    def _read_window(self, batch: Batch, rules: "_Rules") -> bool:
        """Read whole records as fast as can be, up to the first with a quote that is wrong.

        Returns whether it is worth going on like that.
        """
        window = self._buffer[self._position : self._window_end()]
        lines = window.splitlines(keepends=True)
        suspect = b"\0" in window or not _is_decodable(window, self._encoding)
        header = rules.header
        width, sku_at, name_at = header.width, header.sku, header.name
        description_at, active_at = header.description, header.active
        record_lines = self._limits.record_lines
        rows = batch.rows
        line = self._line
        description = active = None
        taken = 0
        reader = csv.reader(
            map(str, lines, repeat(self._encoding), repeat("surrogateescape")),
            delimiter=header.delimiter,
            strict=True,
        )
        try:
            for fields in reader:
                first, taken = taken, reader.line_num
                if taken - first > record_lines:
                    taken = first
                    break
                # The rules, short: what doesn't hold here is looked at one by one in rules.apply.
                if len(fields) == width and not suspect:
                    sku = fields[sku_at].strip()
                    name = fields[name_at].strip()
                    if description_at is not None:
                        description = fields[description_at]
                    if (
                        0 < len(sku) <= SKU_CHARACTERS
                        and 0 < len(name) <= NAME_CHARACTERS
                        and (description is None or len(description) <= DESCRIPTION_CHARACTERS)
                        and (active_at is None or fields[active_at] in ACTIVE_SPELLINGS)
                    ):
                        if active_at is not None:
                            active = ACTIVE_SPELLINGS[fields[active_at]]
                        rows.append((line + first, sku, name, description, active))
                        continue
                rules.apply(batch, fields, lines[first:taken], line + first)
        except csv.Error:
            # A wrong quote, or a record that goes on behind the window.
            pass
        self._position += sum(map(len, lines[:taken]))
        self._line += taken
        return taken > 0 and reader.line_num == len(lines)

    def _window_end(self) -> int:
        """Find the last line end in the window that is surely one: not a \\r whose \\n may come."""
        stop = self._position + min(self._limits.window_bytes, self._limits.record_bytes)
        if stop >= len(self._buffer):
            if self._final:
                return len(self._buffer)
            stop = len(self._buffer)
        line_feed = self._buffer.rfind(b"\n", self._position, stop)
        return max(line_feed, self._buffer.rfind(b"\r", self._position, stop - 1)) + 1

    def _read_around_quotes(self, batch: Batch, rules: "_Rules") -> None:
        """Read records one by one, from a place where a quote is wrong or a line is long."""
        # Enough to decide the first record, whatever it is.
        stop = self._position + self._limits.record_bytes + self._limits.window_bytes
        final = self._final and stop >= len(self._buffer)
        lines = self._buffer[self._position : stop].splitlines(keepends=True)
        records = _Records(lines, self._line, rules, final=final)
        index = 0
        while index < len(lines):
            fields, end, reason = records.at(index)
            if reason:
                rules.refuse(batch, self._line, "", reason, lines[index])
            elif fields is not None:
                rules.apply(batch, fields, lines[index:end], self._line)
            else:
                return
            if end > records.complete:
                self._skipping = True
                self._position += len(_without_line_end(lines[index]))
                return
            self._position += records.offsets[end] - records.offsets[index]
            self._line += end - index
            index = end

    def _skip_line(self) -> bool:
        """Pass over the rest of a refused line; False where it goes on in the next part."""
        line_end = LAST_LINE_END if self._final else LINE_END
        end = line_end.search(self._buffer, self._position)
        if end is None:
            pending = not self._final and self._buffer.endswith(b"\r")
            self._position = len(self._buffer) - pending
            return False
        self._position = end.end()
        self._line += 1
        self._skipping = False
        return True


@dataclass(frozen=True, slots=True)
class _Rules:
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
        record = _without_line_end(record)
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


class _Quotes(Enum):
    """What the quotes in some physical lines come to."""

    CLOSED = 1
    OPEN = 2
    WRONG = 3


class _Records:
    """Finds the record that starts at a given line, or the reason why there is none.

    A record that fails gives up only its first line, so each of the up to 1,000 lines read in vain
    may start the next one. To stay linear, it is remembered which lines stay inside quotes when
    they are entered inside quotes: that doesn't depend on where the quote was opened. Worst
    measured: `a","b` lines, 90,000 (0.5 MB) a second; read anew for each line they were 2,700.
    """

    def __init__(self, lines: list[bytes], line: int, rules: _Rules, *, final: bool) -> None:
        self.offsets = [0, *accumulate(map(len, lines))]
        # Lines of which the end is known.
        self.complete = len(lines) if final or lines[-1].endswith(b"\n") else len(lines) - 1
        self._lines = lines
        self._line = line
        self._rules = rules
        self._final = final
        # From where it was last asked for to here, all lines stay inside quotes …
        self._frontier = 0
        # … and this is what this one does (OPEN: not tried yet).
        self._verdict = _Quotes.OPEN

    def at(self, index: int) -> tuple[list[str] | None, int, str]:
        """Give the fields, the line behind the record, and the reason to refuse its first line.

        Neither fields nor reason: more bytes are needed.
        """
        limits = self._rules.limits
        if self._size(index, index) > limits.record_bytes:
            return None, index + 1, f"a line of more than {limits.record_bytes:,} bytes"
        if index >= self.complete:
            return None, index, ""
        last = index
        too_many_lines = False
        quotes, fields = self._split(self._text(index))
        if quotes is _Quotes.OPEN:
            stop = min(index + limits.record_lines, self.complete)
            last = self._leave_quotes(index + 1, stop)
            if last < stop:
                quotes = self._verdict
            elif stop == index + limits.record_lines:
                last = stop - 1
                too_many_lines = True
            else:
                last = len(self._lines) - 1
            if self._size(index, last) > limits.record_bytes:
                return None, index + 1, _not_closed(f"within {limits.record_bytes:,} bytes")
        if quotes is _Quotes.WRONG:
            where = f"line {self._line + last:,}"
            return None, index + 1, f"text after a closing quote, in {where}; write a quote twice"
        if quotes is _Quotes.CLOSED:
            if last > index:
                _, fields = self._split(*map(self._text, range(index, last + 1)))
            return fields, last + 1, ""
        if too_many_lines:
            return None, index + 1, _not_closed(f"within {limits.record_lines:,} lines")
        if self._final:
            return None, index + 1, _not_closed("at the end of the file")
        return None, index, ""

    def _leave_quotes(self, index: int, stop: int) -> int:
        """Find the first line from `index` on that, entered inside quotes, doesn't stay inside."""
        if self._frontier < index:
            self._frontier, self._verdict = index, _Quotes.OPEN
        while self._verdict is _Quotes.OPEN and self._frontier < stop:
            if b'"' in self._lines[self._frontier]:
                self._verdict, _ = self._split('"' + self._text(self._frontier))
            if self._verdict is _Quotes.OPEN:
                self._frontier += 1
        return min(self._frontier, stop)

    def _split(self, *text: str) -> tuple[_Quotes, list[str] | None]:
        # An empty line behind them tells an open quote (it is read) from a wrong one (it is not).
        reader = csv.reader((*text, ""), delimiter=self._rules.header.delimiter, strict=True)
        try:
            return _Quotes.CLOSED, next(reader)
        except csv.Error:
            return (_Quotes.OPEN if reader.line_num > len(text) else _Quotes.WRONG), None

    def _text(self, index: int) -> str:
        return self._lines[index].decode(self._rules.encoding, "surrogateescape")

    def _size(self, first: int, last: int) -> int:
        """Count the bytes of these lines, without the last line end."""
        end = self.offsets[last] + len(_without_line_end(self._lines[last]))
        return end - self.offsets[first]


def _not_closed(where: str) -> str:
    return f"a quote opened here is not closed {where}"


def _without_line_end(line: bytes) -> bytes:
    return line.rstrip(b"\r\n")


def _word(text: str) -> str:
    return text.strip().lower()


def _is_decodable(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True

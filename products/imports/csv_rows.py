"""Bytes of a product file, in parts → rows or RowErrors.

Pure (standard library only). Called by the staging task for one part after the other; what a part
leaves undecided is its `Carry`. Rows, errors and line numbers do not depend on where the cuts are.
"""

import codecs
import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from products.imports.csv_header import FileError, Header, read_header
from products.imports.csv_quotes import Records
from products.imports.csv_rules import (
    ACTIVE_SPELLINGS,
    DESCRIPTION_CHARACTERS,
    LIMITS,
    NAME_CHARACTERS,
    SKU_CHARACTERS,
    Batch,
    Limits,
    Row,
    RowError,
    Rules,
    without_line_end,
)

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

ERRORS_AT_ONCE = 10_000  # errors of a batch: a file of quotes would make a million of a window
LAST_LINE_END = re.compile(rb"\r\n|\n|\r")
# A \r at the end of a part may have its \n in the next.
LINE_END = re.compile(rb"\r\n|\n|\r(?=[^\n])")
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
        rules = Rules(self._header, self._encoding, self._limits)
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

    def _read_window(self, batch: Batch, rules: Rules) -> bool:
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

    def _read_around_quotes(self, batch: Batch, rules: Rules) -> None:
        """Read records one by one, from a place where a quote is wrong or a line is long."""
        # Enough to decide the first record, whatever it is.
        stop = self._position + self._limits.record_bytes + self._limits.window_bytes
        final = self._final and stop >= len(self._buffer)
        lines = self._buffer[self._position : stop].splitlines(keepends=True)
        records = Records(lines, self._line, rules, final=final)
        index = 0
        while index < len(lines) and len(batch.errors) < ERRORS_AT_ONCE:
            fields, end, reason = records.at(index)
            if reason:
                rules.refuse(batch, self._line, "", reason, lines[index])
            elif fields is not None:
                rules.apply(batch, fields, lines[index:end], self._line)
            else:
                return
            if end > records.complete:
                self._skipping = True
                self._position += len(without_line_end(lines[index]))
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


def _is_decodable(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True

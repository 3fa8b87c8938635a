"""Where a record ends when its quotes go on over lines, or are wrong.

Pure (standard library only). Used by `csv_rows` for what its fast way can't read.
"""

import csv
from enum import Enum
from itertools import accumulate

from products.imports.csv_rules import Rules, without_line_end


class Quotes(Enum):
    """What the quotes in some physical lines come to."""

    CLOSED = 1
    OPEN = 2
    WRONG = 3


class Records:
    """Finds the record that starts at a given line, or the reason why there is none.

    A record that fails gives up only its first line, so each of the up to 1,000 lines read in vain
    may start the next one. To stay linear, it is remembered which lines stay inside quotes when
    they are entered inside quotes: that doesn't depend on where the quote was opened. Worst
    measured: `a","b` lines, 90,000 (0.5 MB) a second; read anew for each line they were 2,700.
    """

    def __init__(self, lines: list[bytes], line: int, rules: Rules, *, final: bool) -> None:
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
        self._verdict = Quotes.OPEN

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
        if quotes is Quotes.OPEN:
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
        if quotes is Quotes.WRONG:
            where = f"line {self._line + last:,}"
            return None, index + 1, f"text after a closing quote, in {where}; write a quote twice"
        if quotes is Quotes.CLOSED:
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
            self._frontier, self._verdict = index, Quotes.OPEN
        while self._verdict is Quotes.OPEN and self._frontier < stop:
            if b'"' in self._lines[self._frontier]:
                self._verdict, _ = self._split('"' + self._text(self._frontier))
            if self._verdict is Quotes.OPEN:
                self._frontier += 1
        return min(self._frontier, stop)

    def _split(self, *text: str) -> tuple[Quotes, list[str] | None]:
        # An empty line behind them tells an open quote (it is read) from a wrong one (it is not).
        reader = csv.reader((*text, ""), delimiter=self._rules.header.delimiter, strict=True)
        try:
            return Quotes.CLOSED, next(reader)
        except csv.Error:
            return (Quotes.OPEN if reader.line_num > len(text) else Quotes.WRONG), None

    def _text(self, index: int) -> str:
        return self._lines[index].decode(self._rules.encoding, "surrogateescape")

    def _size(self, first: int, last: int) -> int:
        """Count the bytes of these lines, without the last line end."""
        end = self.offsets[last] + len(without_line_end(self._lines[last]))
        return end - self.offsets[first]


def _not_closed(where: str) -> str:
    return f"a quote opened here is not closed {where}"

"""Records of a CSV text with their line numbers, one at a time. Pure; called by `retail_file`.

A quote that is left open costs its own line, not the lines after it.
"""

import csv
from collections import deque
from collections.abc import Iterator
from typing import TextIO

LINE_CHARACTERS = 65_536
LINE_ENDS = "\r\n"
RECORD_LINES = 20  # a quote open for longer was not meant so


class _Broken(Exception):
    """The record that is being read can't be one."""


class _Lines:
    """The text's lines for `csv.reader`; those read in vain can be given back."""

    def __init__(self, text: TextIO, before: int) -> None:
        self.number = before
        self.record: list[str] = []  # the lines of the record that is being read
        self.ended = False
        self._read = text.readline
        self._back: deque[str] = deque()

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        if len(self.record) == RECORD_LINES:
            raise _Broken(f"a quote that is still open {RECORD_LINES} lines later")
        known = bool(self._back)
        line = self._back.popleft() if known else self._read(LINE_CHARACTERS)
        if not line:
            self.ended = True
            raise StopIteration
        self.number += 1
        self.record.append(line)
        if len(line) == LINE_CHARACTERS and line[-1] not in LINE_ENDS:
            rest = "" if known else line
            while rest and rest[-1] not in LINE_ENDS:
                rest = self._read(LINE_CHARACTERS)
            raise _Broken(f"a line of more than {LINE_CHARACTERS:,} characters")
        return line

    def give_back(self) -> None:
        """Have all lines of this record but its first read again."""
        again = self.record[1:]
        self._back.extendleft(reversed(again))
        self.number -= len(again)
        self.ended = False


def records(text: TextIO, width: int, *, before: int) -> Iterator[tuple[int, list[str] | str]]:
    """Each record's first line number with its `width` fields, or with what is wrong with it.

    `before`: how many lines of the text were read already. Empty lines are passed over.
    """
    lines = _Lines(text, before)
    reader = csv.reader(lines)
    while True:
        lines.record.clear()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except (_Broken, csv.Error) as error:
            reason = str(error)
        else:
            if lines.ended:
                reason = "a quote that is still open at the end of the file"
            elif len(lines.record) > 1 and not _strict(lines.record):
                reason = "text after a closing quote"
            elif len(fields) == width:
                yield lines.number - len(lines.record) + 1, fields
                continue
            elif not fields:
                continue
            else:
                reason = f"{len(fields)} columns instead of {width}"
        lines.give_back()
        yield lines.number, reason


def _strict(record: list[str]) -> bool:
    # Over several lines, what `csv` forgives is rather the next line's quote.
    try:
        return len(list(csv.reader(record, strict=True))) == 1
    except csv.Error:
        return False

"""A CSV file of prices: a path in, lines with their place out. Called by loading and publishing.

Memory does not grow with the file. A line is a row: no cell of prices has a line break inside, so
a quote that is left open costs its own line, not those after it.
"""

import csv
import hashlib
import json
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from .rows import FIELDS, MAX_BYTES, Refusal

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
NO_CSV = {
    b"PK\x03\x04": "an Excel or zip file: unpack it, or save it as CSV first",
    b"\x1f\x8b": "a gzip file: unpack it first",
    b"\xff\xfe": "a file in UTF-16: save it as UTF-8",
    b"\xfe\xff": "a file in UTF-16: save it as UTF-8",
}
LINE_ENDS = b"\r\n"
SHOWN_CHARACTERS = 60

Columns = tuple[int, int, int]  # where time, stock and price are in a line


class FileError(Exception):
    """The file can't be used; the text says why and what to do."""


class Position(NamedTuple):
    """The beginning of a file that was worked off."""

    bytes: int
    rows: int
    sha256: str  # of these bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """What `text` gives. Raises ValueError."""
        found = json.loads(text)
        if not isinstance(found, dict):
            raise ValueError("no object")
        place = [found.get(name) for name in cls._fields]
        if [type(each) for each in place] != [int, int, str]:
            raise ValueError("not bytes, rows and sha256")
        return cls(*place)  # type: ignore[arg-type]

    def text(self) -> str:
        """As JSON, {"bytes", "rows", "sha256"}."""
        return json.dumps(self._asdict(), separators=(",", ":"))


class Cells(NamedTuple):
    """The cells of a line, as they stand there."""

    time: str
    stock: str
    price: str


class Line(NamedTuple):
    """A line below the heading that is not blank."""

    row: int  # from 1; neither the heading nor blank lines count
    number: int  # in the file, from 1
    start: int  # byte at which it begins
    raw: bytes  # without its line end; of one that is too large the beginning
    cells: Cells | Refusal


class Start(NamedTuple):
    """Where reading begins, and what stands before."""

    bytes: int
    rows: int
    lines: int  # line ends
    sha256: "hashlib._Hash"


class Survey(NamedTuple):
    """What a reading of the whole file has found out about its bytes."""

    sha256: str
    begins_with: list[tuple[int, str]]  # files known before: their bytes and sha256, rising
    place: Start | None  # behind the position asked for; None where other bytes stand before it

    def source(self, line: Line) -> str:
        """The sha256 of the first file known, or of this one, that has the line."""
        for size, sha256 in self.begins_with:
            if line.start < size:
                return sha256
        return self.sha256


class PriceFile:
    """An open file, as long as it was when it was opened. All methods raise FileError."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        """Reads the heading."""
        self.path = path
        self.size = os.fstat(file.fileno()).st_size
        self._file = file
        self._heading = file.readline(MAX_BYTES)
        self._columns = _columns(path, self._heading)
        if self.size <= len(self._heading):
            raise FileError(f"{path} has no row below its heading.")

    def survey(self, position: Position | None = None, known: Collection[str] = ()) -> Survey:
        """Read all of it once. `known`: the sha256 of files that came before."""
        sha256, size, lines = hashlib.sha256(), 0, 0
        begins_with: list[tuple[int, str]] = []
        place = None
        if position is not None and position.bytes < len(self._heading):
            position = None  # nobody can have been there
        for piece in self._pieces(0):
            if position is not None and size < position.bytes <= size + len(piece):
                before = piece[: position.bytes - size]
                hashed = sha256.copy()
                hashed.update(before)
                if hashed.hexdigest() == position.sha256:
                    line_ends = lines + before.count(b"\n")
                    place = Start(position.bytes, position.rows, line_ends, hashed)
            content = piece.rstrip(LINE_ENDS)
            # The last line of the file before may have had no line end.
            for part in (content, piece[len(content) :]):
                sha256.update(part)
                size += len(part)
                if known and part and (digest := sha256.hexdigest()) in known:
                    begins_with.append((size, digest))
            lines += piece.endswith(b"\n")
        return Survey(sha256.hexdigest(), begins_with, place)

    def beginning(self) -> Start:
        """Behind the heading."""
        heading = self._heading
        return Start(len(heading), 0, int(heading.endswith(b"\n")), hashlib.sha256(heading))

    def reading(self, start: Start) -> "Reading":
        """The lines from there on. FileError where the line before has been written to since."""
        if 0 < start.bytes < self.size:
            self._file.seek(start.bytes - 1)
            around = self._file.read(3)
            if around[:1] != b"\n" and around[1:2] != b"\n" and around[1:] != b"\r\n":
                raise FileError(
                    f"Line {start.lines + 1:,} of {self.path} was read when it had no line end,"
                    f" as row {start.rows:,}, and has been written to since. Let whole lines be"
                    " added to a file. `--replace` reads it anew."
                )
        return Reading(start, self._pieces(start.bytes), self._columns)

    def _pieces(self, start: int) -> Iterator[bytes]:
        """The file's lines with their ends; of long ones one piece after the other."""
        self._file.seek(start)
        left = self.size - start
        while left > 0:
            try:
                piece = self._file.readline(min(left, MAX_BYTES))
            except OSError as error:
                raise FileError(f"{self.path}: {error.strerror}") from None
            if not piece:
                raise FileError(f"{self.path} became shorter while it was read.")
            left -= len(piece)
            yield piece


class Reading:
    """Iterates over lines. `bytes` and `position` are behind the last one given."""

    def __init__(self, start: Start, pieces: Iterator[bytes], columns: Columns) -> None:
        self._pieces = pieces
        self.bytes = start.bytes
        self._rows, self._lines = start.rows, start.lines
        self._sha256 = start.sha256.copy()
        self._columns = columns

    def __iter__(self) -> Iterator[Line]:
        return self

    def __next__(self) -> Line:
        while True:
            start, number = self.bytes, self._lines + 1
            line = self._line()
            raw = line.rstrip(LINE_ENDS)
            if raw.strip():
                self._rows += 1
                return Line(self._rows, number, start, raw, self._cells(raw))

    def position(self) -> Position:
        """Behind the line given last."""
        return Position(self.bytes, self._rows, self._sha256.hexdigest())

    def _line(self) -> bytes:
        """The next line, not much more than MAX_BYTES of it."""
        line = b""
        for piece in self._pieces:
            self._sha256.update(piece)
            self.bytes += len(piece)
            if len(line) <= MAX_BYTES:
                line += piece
            if piece.endswith(b"\n"):
                self._lines += 1
                return line
        if not line:
            raise StopIteration
        return line

    def _cells(self, raw: bytes) -> Cells | Refusal:
        if len(raw) > MAX_BYTES:
            return Refusal("too_large", f"a line of more than {MAX_BYTES} bytes")
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            return Refusal("not_utf8", f"byte {error.start} is not UTF-8")
        try:
            cells = _split(text)
        except csv.Error as error:
            return Refusal("bad_line", f"{error}")
        if len(cells) != len(FIELDS):
            return Refusal("bad_line", f"{len(cells)} cells instead of {len(FIELDS)}")
        time, stock, price = self._columns
        return Cells(cells[time], cells[stock], cells[price])


@contextmanager
def opened(path: Path) -> Iterator[PriceFile]:
    """The file, until the block's end. Raises FileError."""
    if path.exists() and not path.is_file():
        raise FileError(f"{path} is not a regular file.")
    try:
        file = path.open("rb")
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}") from None
    with file:
        start = file.read(4)
        for signature, what in NO_CSV.items():
            if start.startswith(signature):
                raise FileError(f"{path} is {what}.")
        file.seek(0)
        yield PriceFile(path, file)


def _split(text: str) -> list[str]:
    if '"' not in text:
        return text.split(",")
    return next(csv.reader([text], strict=True, skipinitialspace=True))


def _columns(path: Path, heading: bytes) -> Columns:
    """Where each cell is. FileError when the columns are not those of prices."""
    try:
        text = heading.removeprefix(BYTE_ORDER_MARK).decode().rstrip("\r\n")
        found = [name.strip() for name in _split(text)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileError(f"The first line of {path} is no line of CSV in UTF-8: {error}.") from None
    if not text.strip():
        raise FileError(f"{path} is empty, or its first line is.")
    names = [name.lower() for name in found]
    if sorted(names) != sorted(FIELDS):
        advice = ""
        if len(names) == 1 and (other := [mark for mark in ";\t|" if mark in text]):
            advice = f" It seems to be separated by {other[0]!r}: save it with commas."
        shown = text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"
        raise FileError(
            f"The first line of {path} must name the columns Time, Stock and Price, in any order,"
            f" and no others; it is {shown!r}.{advice}"
        )
    time, stock, price = map(names.index, FIELDS)
    return time, stock, price

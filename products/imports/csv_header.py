"""The first record of a product file: is this a CSV file, and which column holds what?

Pure (standard library only). Called by `csv_rows`, which reads the records after it.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import repeat
from typing import Any

REQUIRED = ("sku", "name")
KNOWN = ("sku", "name", "description", "active")
# The comma first: the others are tried only where it does not give a SKU and a name.
DELIMITERS = (",", ";", "\t")
# A header is decided from this many bytes, so that where a file is cut into parts can't matter.
HEADER_BYTES = 65_536
UTF8_BOM = b"\xef\xbb\xbf"
BLANKS = b" \t\v\f\r\n"
# Possessive (*+): no way back is kept, however many blank lines there are. A blank line is shorter
# than what a header is decided from, again so that cuts can't matter.
BLANK_LINES = re.compile(rb"(?:(?:\xef\xbb\xbf)?[ \t\v\f]{0,32768}+(?:\r\n|\r|\n))*+")

SHOWN_NAMES = 20
SHOWN_CHARACTERS = 60

SAVE_AS_CSV = "Save or export it as CSV (in Excel: Save As, CSV UTF-8) and choose that file."
UNPACK = "Unpack it and choose the CSV file inside."
WRONG_FILE = "Choose the CSV file with the products."
SIGNATURES = (
    (b"PK\x05\x06", "an empty ZIP archive", WRONG_FILE),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)", SAVE_AS_CSV),
    (b"\x1f\x8b", "a gzip file", UNPACK),
    (b"BZh", "a bzip2 file", UNPACK),
    (b"\xfd7zXZ", "an xz file", UNPACK),
    (b"7z\xbc\xaf", "a 7-Zip archive", UNPACK),
    (b"%PDF", "a PDF document", SAVE_AS_CSV),
    (b"\x89PNG", "a PNG image", WRONG_FILE),
    (b"\xff\xd8\xff", "a JPEG image", WRONG_FILE),
    (b"GIF8", "a GIF image", WRONG_FILE),
    (b"\xff\xfe", "text in UTF-16", SAVE_AS_CSV),
    (b"\xfe\xff", "text in UTF-16", SAVE_AS_CSV),
)


class FileError(Exception):
    """The file can't be imported at all; the message tells the user what was found and needed."""


@dataclass(frozen=True, slots=True)
class Header:
    """Where the columns are (indexes from 0) and how many fields a record must have."""

    width: int
    sku: int
    name: int
    description: int | None
    active: int | None
    delimiter: str
    ignored: tuple[str, ...]
    """Names of the other columns that have a name, to be told to the user."""

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON types."""
        return asdict(self) | {"ignored": list(self.ignored)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Header":
        """Undo `to_dict`."""
        return cls(**(values | {"ignored": tuple(values["ignored"])}))

    def known_columns(self) -> Iterable[tuple[str, int]]:
        """Yield name and index of the known columns this file has."""
        for column in KNOWN:
            index: int | None = getattr(self, column)
            if index is not None:
                yield column, index


def read_header(data: bytes, *, encoding: str, final: bool) -> tuple[Header | None, int, int]:
    """Read the header at the start of `data`; `final` says that no more bytes will come.

    Returns the header, the bytes and the physical lines it and the blank lines before it take.
    Without a header the bytes do not suffice yet: those after the blank lines must be given again.
    Raises FileError.
    """
    undecided_end = 0 if final or not data.endswith(b"\r") else 1  # its \n may come
    found = BLANK_LINES.match(data, 0, len(data) - undecided_end)
    blank = b"" if found is None else found[0]
    rest = data[len(blank) :]
    complete = len(rest) <= HEADER_BYTES
    if complete and not final:
        return None, len(blank), len(blank.splitlines())
    head = rest[:HEADER_BYTES].removeprefix(UTF8_BOM)
    if complete and not head.strip(BLANKS):
        raise FileError("The file is empty.")
    _refuse_other_formats(head)
    physical = head.splitlines(keepends=True)
    if not complete:
        del physical[-1]
    names, delimiter, count = _split(physical, encoding)
    bom = len(UTF8_BOM) if rest.startswith(UTF8_BOM) else 0
    used = len(blank) + bom + sum(map(len, physical[:count]))
    return _header(names, delimiter), used, len(blank.splitlines()) + count


def _refuse_other_formats(head: bytes) -> None:
    if head.startswith(b"PK\x03\x04"):
        if b"[Content_Types].xml" in head or b"xl/" in head:
            raise _not_csv("an Excel workbook (.xlsx)", SAVE_AS_CSV)
        raise _not_csv("a ZIP archive", UNPACK)
    for signature, what, advice in SIGNATURES:
        if head.startswith(signature):
            raise _not_csv(what, advice)
    first_line = head.splitlines()[0] if head else b""
    if b"\0" in first_line:
        even, odd = (first_line[start::2].count(0) > len(first_line) / 3 for start in (0, 1))
        if even != odd:  # every second byte: letters of 16 bits
            raise _not_csv("text in UTF-16", SAVE_AS_CSV)
        raise _not_csv("a binary file", WRONG_FILE)


def _not_csv(what: str, advice: str) -> FileError:
    return FileError(f"This looks like {what}, not like a CSV file. {advice}")


def _split(physical: list[bytes], encoding: str) -> tuple[list[str], str, int]:
    """Split the first record by the delimiter that finds most known columns.

    Returns the names, the delimiter and the number of physical lines.
    """
    found = []
    for delimiter in DELIMITERS:
        # The names of columns that are ignored may hold any bytes: shown as \xff.
        text = map(str, physical, repeat(encoding), repeat("backslashreplace"))
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        try:
            names = next(reader)
        except csv.Error:
            continue
        except StopIteration:
            raise FileError(
                f"The first line is longer than {HEADER_BYTES:,} bytes, so it is not a header. "
                + WRONG_FILE
            ) from None
        if "\0" in "".join(names):
            raise _not_csv("a binary file", WRONG_FILE)
        known = len(set(KNOWN) & {_key(name) for name in names})
        found.append((known, names, delimiter, reader.line_num))
    complete = [each for each in found if set(REQUIRED) <= {_key(name) for name in each[1]}]
    if not complete and not any(delimiter == "," for _, _, delimiter, _ in found):
        raise FileError(
            "The header has a quote that is not closed, or has text after a closing quote."
        )
    # For the message about what is missing; max() takes the first of equals: the comma.
    best = complete[0] if complete else max(found, key=lambda each: (each[0], len(each[1])))
    return best[1:]


def _key(name: str) -> str:
    return name.strip().lower()


def _header(names: list[str], delimiter: str) -> Header:
    keys = [_key(name) for name in names]
    missing = [column for column in REQUIRED if column not in keys]
    if missing:
        columns = " and no column ".join(f'"{column}"' for column in missing)
        raise FileError(
            f"The header has no column {columns}. Found: {_listed(names)}. "
            "The first line must name the columns: sku and name, and if you like description "
            "and active."
        )
    counts = Counter(keys)
    for column in KNOWN:
        if counts[column] > 1:
            raise FileError(
                f'The header has the column "{column}" {counts[column]} times. '
                f"Found: {_listed(names)}. Keep one of them."
            )
    return Header(
        width=len(names),
        sku=keys.index("sku"),
        name=keys.index("name"),
        description=keys.index("description") if "description" in keys else None,
        active=keys.index("active") if "active" in keys else None,
        delimiter=delimiter,
        ignored=tuple(_shown(name) for name in names if _key(name) and _key(name) not in KNOWN),
    )


def _listed(names: list[str]) -> str:
    shown = ", ".join(_shown(name) or '""' for name in names[:SHOWN_NAMES])
    return shown if len(names) <= SHOWN_NAMES else f"{shown} and {len(names) - SHOWN_NAMES} more"


def _shown(name: str) -> str:
    name = name.strip()
    return name if len(name) <= SHOWN_CHARACTERS else f"{name[: SHOWN_CHARACTERS - 1]}…"

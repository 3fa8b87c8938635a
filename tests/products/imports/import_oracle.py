"""A slow, obvious import of a product file into a dict, written from the rules alone.

Used by the tests that disturb a real import: whatever was killed, the catalogue and the counts
must be those of this one. The rules:

1. A record starts at a physical line (ended by \\n, \\r\\n or \\r) and is what Python's strict CSV
   reader makes of that line and as many of the next ones as its quotes need. Where there is no
   such record within 1,000 lines and 1 MiB, the line alone is rejected.
2. Rejected is a record with undecodable bytes, another number of columns than the header, a NUL,
   no SKU or one of more than 128 characters, no name or one of more than 255, a description of more
   than 10,000, an `active` that is neither yes nor no. SKU and name are trimmed before that.
3. The last record of a SKU, compared without case, is the one that counts; the ones before it are
   duplicates.
4. A SKU that the catalogue lacks is created, active as chosen for the import unless its row says
   otherwise. One that it has keeps its `active` unless the row says otherwise, and its description
   where the file has no such column; it is updated if the row then differs from what was there.

Of encodings only UTF-8, of headers only a plain one, of SKUs only such where lower case is the same
in Python and PostgreSQL: the rest is tested elsewhere.
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

YES = {"true", "t", "1", "yes", "y", "active"}
NO = {"false", "f", "0", "no", "n", "inactive"}
RECORD_LINES = 1_000
RECORD_BYTES = 1024 * 1024

csv.field_size_limit(max(csv.field_size_limit(), 2 * RECORD_BYTES))


class Stored(NamedTuple):
    """A product as the catalogue has it."""

    sku: str
    name: str
    description: str
    active: bool


class Given(NamedTuple):
    """A product as a row of the file has it; None where the row says nothing."""

    sku: str
    name: str
    description: str | None
    active: bool | None


@dataclass
class Expected:
    """The catalogue after an import, and what the import counts."""

    products: dict[str, Stored] = field(default_factory=dict)
    """By lower-case SKU."""
    rejected_lines: list[int] = field(default_factory=list)
    rows: int = 0
    duplicates: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """Under the names that the import's row gives them."""
        return {
            "rows": self.rows,
            "rejected": len(self.rejected_lines),
            "duplicates": self.duplicates,
            "created": self.created,
            "updated": self.updated,
            "unchanged": self.unchanged,
        }


def expect(
    data: bytes, before: dict[str, Stored] | None = None, *, new_products_active: bool = True
) -> Expected:
    """What an import of `data` into the catalogue `before` has to come to."""
    expected = Expected(products=dict(before or {}))
    last: dict[str, Given] = {}
    for line, row in records(data):
        if row is None:
            expected.rejected_lines.append(line)
            continue
        expected.rows += 1
        if row.sku.lower() in last:
            expected.duplicates += 1
        last[row.sku.lower()] = row
    for key, row in last.items():
        old = expected.products.get(key)
        active = row.active
        if active is None:
            active = new_products_active if old is None else old.active
        description = row.description
        if description is None:
            description = "" if old is None else old.description
        new = Stored(row.sku, row.name, description, active)
        if old is None:
            expected.created += 1
        elif old == new:
            expected.unchanged += 1
        else:
            expected.updated += 1
        expected.products[key] = new
    return expected


def records(data: bytes) -> Iterator[tuple[int, Given | None]]:
    """First physical line and row of each record, None for a rejected one."""
    lines = data.splitlines(keepends=True)
    header = [name.strip().lower() for name in next(csv.reader([lines[0].decode()]))]
    at = 1
    while at < len(lines):
        fields, length = _split(lines[at : at + RECORD_LINES])
        if fields is None:
            yield at + 1, None
        elif fields:  # else a blank line
            yield at + 1, _row(header, fields)
        at += length


def _split(lines: list[bytes]) -> tuple[list[str] | None, int]:
    """The fields of the record at the start of `lines`, and how many of them it takes."""
    reader = csv.reader((line.decode("utf-8", "surrogateescape") for line in lines), strict=True)
    try:
        fields = next(reader)
    except csv.Error:
        return None, 1
    if len(b"".join(lines[: reader.line_num]).rstrip(b"\r\n")) > RECORD_BYTES:
        return None, 1
    return fields, reader.line_num


def _row(header: list[str], fields: list[str]) -> Given | None:
    text = "".join(fields)
    if any("\udc80" <= character <= "\udcff" for character in text) or "\0" in text:
        return None
    if len(fields) != len(header):
        return None
    values = dict(zip(header, fields, strict=True))
    sku, name = values["sku"].strip(), values["name"].strip()
    description = values.get("description")
    word = values.get("active", "").strip().lower()
    if not 1 <= len(sku) <= 128 or not 1 <= len(name) <= 255:
        return None
    if description is not None and len(description) > 10_000:
        return None
    if word and word not in YES | NO:
        return None
    return Given(sku, name, description, word in YES if word else None)


def by_key(products: Iterable[tuple]) -> dict[str, Stored]:
    """Rows (sku, name, description, active) of the catalogue by lower-case SKU."""
    found: dict[str, Stored] = {}
    for row in products:
        stored = Stored(*row)
        assert stored.sku.lower() not in found, f"{stored.sku} is there twice"
        found[stored.sku.lower()] = stored
    return found


def differences(found: dict[str, Stored], expected: dict[str, Stored], most: int = 5) -> list[str]:
    """The first few products that are not as expected; none when the catalogues are equal."""
    wrong = (key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key))
    return [
        f"{key}: {found.get(key)} instead of {expected.get(key)}"
        for key, _ in zip(sorted(wrong), range(most), strict=False)
    ]

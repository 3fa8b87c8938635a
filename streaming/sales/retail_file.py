"""The retail file: a path in, sales out, or why a line is none. Called by the generator.

Memory does not grow with the file. Two forms are known: 7 columns, and the public one of 8 with
`InvoiceDate`, each also under its older headings.
"""

import csv
import math
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TextIO

from streaming.sales.retail_lines import LINE_CHARACTERS, records

COLUMNS = ("Invoice", "StockCode", "Description", "Quantity", "Price", "Customer ID", "Country")
TIME_COLUMN = "InvoiceDate"
OLDER_NAMES = {"InvoiceNo": "Invoice", "UnitPrice": "Price", "CustomerID": "Customer ID"}
NAMES = {name.casefold(): name for name in (*COLUMNS, TIME_COLUMN)} | {
    older.casefold(): name for older, name in OLDER_NAMES.items()
}
# What pandas.read_csv takes for an empty cell, beside nothing at all.
PANDAS_EMPTY = frozenset(
    "|#N/A|#N/A N/A|#NA|-1.#IND|-1.#QNAN|-NaN|-nan|1.#IND|1.#QNAN"  # noqa: SIM905 - readable
    "|<NA>|N/A|NA|NULL|NaN|None|n/a|nan|null".split("|")
)
BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
NO_TEXT = {b"PK\x03\x04": "an Excel or zip file", b"\x1f\x8b": "a gzip file"}
WHOLE = re.compile(r" *[+-]?\d{1,18} *", re.ASCII)
NUMBER = re.compile(r" *[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)? *", re.ASCII)
UNDECODED = re.compile("[\ud800-\udfff]")
SHOWN_CHARACTERS = 60

Cell = str | int | float | None


class FileError(Exception):
    """The file can't be used; the text says why and what to do."""


class Sale(NamedTuple):
    line: int
    stock_code: str
    message: dict[str, Cell]  # in the order of sending; InvoiceDate has its place, but no value


class NoSale(NamedTuple):
    line: int
    reason: str


def sales(path: Path, encoding: str, *, like_original: bool) -> Iterator[Sale | NoSale]:
    """Read the file once. FileError where it can't be read, before the first sale or later.

    With `like_original` a message has the fields in the file's order and NaN for empty cells, as
    the spec's script sends them; else the order is that of the 7 columns, and empty cells are None.
    A byte order mark in the file counts more than `encoding`.
    """
    try:
        with _opened(path, encoding) as text:
            columns = _columns(path, text.readline(LINE_CHARACTERS))
            form = _Form(columns, like_original=like_original)
            for line, fields in records(text, len(columns), before=1):
                yield form.sale(line, fields) if isinstance(fields, list) else NoSale(line, fields)
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}") from None
    except UnicodeError as error:
        raise FileError(f"{path} is not written in {encoding}: {error}") from None
    except LookupError:
        raise FileError(
            f"There is no encoding {encoding!r}; try latin-1, cp1252 or utf-8."
        ) from None


def _opened(path: Path, encoding: str) -> TextIO:
    if path.exists() and not path.is_file():
        raise FileError(f"{path} is not a regular file.")
    with path.open("rb") as file:
        start = file.read(4)
    for signature, what in NO_TEXT.items():
        if start.startswith(signature):
            raise FileError(f"{path} is {what}: unpack it, or save it as CSV first.")
    for mark, marked in BYTE_ORDER_MARKS.items():
        if start.startswith(mark):
            encoding = marked
    # What can't be decoded costs its line; see UNDECODED.
    try:
        return path.open(encoding=encoding, errors="surrogateescape", newline="")
    except LookupError:
        known = "latin-1, cp1252 or utf-8"
        raise FileError(f"There is no encoding {encoding!r} of texts; try {known}.") from None


def _columns(path: Path, heading: str) -> dict[str, int]:
    """Where each column is, in the file's order. FileError when they are not those of sales."""
    if not heading.strip():
        raise FileError(f"{path} is empty, or its first line is.")
    try:
        found = [name.strip() for name in next(csv.reader([heading]))]
    except csv.Error as error:
        raise FileError(f"{path} is no CSV file: {error}.") from None
    names = [NAMES.get(name.casefold(), name) for name in found]
    wrong = []
    if missing := [name for name in COLUMNS if name not in names]:
        wrong.append("missing: " + ", ".join(missing))
    if unknown := [name for name in names if name not in NAMES.values()]:
        wrong.append("unknown: " + ", ".join(map(_shown, unknown[:10])))
    if double := {name for name in names if names.count(name) > 1} - {*unknown}:
        wrong.append("twice: " + ", ".join(sorted(double)))
    if wrong:
        advice = ""
        if len(names) == 1 and (other := [mark for mark in ";\t|" if mark in heading]):
            advice = f" It seems to be separated by {other[0]!r}: save it with commas."
        raise FileError(
            f"The first line of {path} must name the columns {', '.join(COLUMNS)} and may name"
            f" {TIME_COLUMN}; {'; '.join(wrong)}.{advice}"
        )
    return {name: position for position, name in enumerate(names)}


class _Form:
    """Makes a message of a record's fields."""

    def __init__(self, columns: dict[str, int], *, like_original: bool) -> None:
        order = columns if like_original else COLUMNS
        self._blank: dict[str, Cell] = dict.fromkeys([*order, TIME_COLUMN])
        self._stock_code = columns["StockCode"]
        self._quantity = columns["Quantity"]
        self._price = columns["Price"]
        self._customer = columns["Customer ID"]
        self._texts = [(name, columns[name]) for name in ("Invoice", "Description", "Country")]
        self._empty = PANDAS_EMPTY if like_original else frozenset([""])
        self._nothing = math.nan if like_original else None

    def sale(self, line: int, fields: list[str]) -> Sale | NoSale:
        message = self._blank.copy()
        for name, position in self._texts:
            text = fields[position]
            message[name] = self._nothing if text in self._empty else text
        message["StockCode"] = stock_code = fields[self._stock_code]
        if not stock_code:
            return NoSale(line, "no StockCode")
        message["Quantity"] = quantity = _quantity(fields[self._quantity])
        if quantity is None:
            return NoSale(line, f"Quantity is no number: {_shown(fields[self._quantity])}")
        message["Price"] = price = _number(fields[self._price])
        if price is None:
            return NoSale(line, f"Price is no number: {_shown(fields[self._price])}")
        customer = fields[self._customer]
        if customer in self._empty:
            message["Customer ID"] = self._nothing
        else:
            number = _number(customer)
            message["Customer ID"] = customer if number is None else number
        all_text = "".join(fields)
        if not all_text.isascii() and UNDECODED.search(all_text):
            return NoSale(line, "bytes that are no text in this encoding; see --encoding")
        return Sale(line, stock_code, message)


def _quantity(text: str) -> int | float | None:
    return int(text) if WHOLE.fullmatch(text) else _number(text)


# Prices and customers come again and again: a third of the time of a message.
@lru_cache(maxsize=8192)
def _number(text: str) -> float | None:
    """The finite number that is written there, or None."""
    if not NUMBER.fullmatch(text):
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def _shown(text: str) -> str:
    return repr(text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…")

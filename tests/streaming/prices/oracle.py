"""What Redis must hold after rows of share prices: slow, obvious, and no code of the product.

The tests compare it with streaming.prices. By itself it reads a file of prices:
`python tests/streaming/prices/oracle.py price_data.csv` prints the value under each key.
"""

import csv
import json
import re
import sys
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple

BYTES_OF_A_MESSAGE = 64 * 1024
NAME = re.compile(r"[a-z0-9^][a-z0-9._-]{0,63}", re.ASCII)
NUMBER = re.compile(r"([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?", re.ASCII)
BROKERS = {"default", "imports", "performance", "unacked", "unacked_index", "unacked_mutex"}
FIELDS = {"time", "stock", "price"}


class Row(NamedTuple):
    """`price` is a number as JSON has it, or empty."""

    stock: str
    time: str
    price: str


class Letter(NamedTuple):
    """A refused row: which of its source, and why."""

    at: int
    reason: str


class Refused(Exception):
    """Its arguments are the reasons that would be right."""


class Number(str):
    """A number of JSON, as it was written."""


# Rows


def row_of_cells(time: str, stock: str, price: str) -> Row:
    """Of a CSV file. Raises Refused."""
    return Row(_name(stock), _time(time), _price(price))


def row_of_message(value: bytes | None) -> Row:
    """Of Kafka. Raises Refused."""
    if value is None:
        raise Refused("empty")
    if len(value) > BYTES_OF_A_MESSAGE:
        raise Refused("too_large", *(["empty"] if not value.strip() else []))
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("not_utf8") from None
    if not text.strip():
        raise Refused("empty")
    try:
        pairs = json.loads(
            text,
            object_pairs_hook=Pairs,
            parse_int=Number,
            parse_float=Number,
            parse_constant=Constant,
        )
    except (ValueError, RecursionError):
        raise Refused("not_json") from None
    if not isinstance(pairs, Pairs):
        # NaN alone is no JSON, though Python reads it.
        raise Refused("not_object", *(["not_json"] if isinstance(pairs, Constant) else []))
    names = [name.lower() for name, _ in pairs]
    if set(names) - FIELDS:
        raise Refused("unknown_field")
    if len(names) > len(set(names)):  # which of the two would count?
        raise Refused("unknown_field")
    if FIELDS - set(names):
        raise Refused("missing_field")
    fields = {name.lower(): value for name, value in pairs}
    if any(isinstance(each, Constant) for each in fields.values()):
        raise Refused("not_json", "bad_stock", "bad_time", "bad_price")
    return Row(_name(fields["stock"]), _time(fields["time"]), _price(fields["price"]))


class Pairs(list[tuple[str, Any]]):
    """An object of JSON with each of its fields, also those of one name."""


class Constant(str):
    """NaN or Infinity."""


def _name(given: object) -> str:
    if not isinstance(given, str) or isinstance(given, Number):
        raise Refused("bad_stock")
    name = given.strip().lower()
    if not NAME.fullmatch(name) or re.match(r"user[0-9]", name):
        raise Refused("bad_stock")
    if name in BROKERS or name.startswith("consumer."):
        raise Refused("bad_stock")
    return name


def _time(given: object) -> str:
    if not isinstance(given, str) or isinstance(given, Number):
        raise Refused("bad_time")
    if not re.fullmatch(r"[0-9]{6}", given, re.ASCII):
        raise Refused("bad_time")
    if int(given[:2]) > 23 or int(given[2:4]) > 59 or int(given[4:]) > 59:
        raise Refused("bad_time")
    return given


def _price(given: object) -> str:
    if given is None or (isinstance(given, str) and not given.strip()):
        return ""
    if not isinstance(given, str):
        raise Refused("bad_price")
    full = _in_full(given)
    if full is None:
        if given[0] == "-" and _in_full(given[1:]) is not None:
            raise Refused("negative_price")
        raise Refused("bad_price", *(["negative_price"] if given.startswith("-") else []))
    return full


def _in_full(given: str) -> str | None:
    """By moving digits over the point, one at a time; None for more than 40 characters."""
    found = NUMBER.fullmatch(given)
    if not found or len(given) > 40:
        return None
    whole, fraction, exponent = found[1], found[2] or "", int(found[3] or 0)
    if abs(exponent) > 100:
        return None
    for _ in range(abs(exponent)):
        if exponent > 0:
            whole, fraction = whole + (fraction[:1] or "0"), fraction[1:]
        else:
            whole, fraction = whole[:-1], (whole[-1:] or "0") + fraction
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    full = f"{whole}.{fraction}" if fraction else whole
    return full if len(full) <= 40 else None


# Redis


class Stocks:
    """The values of all stocks, as dicts: `id`, further fields, `time`, `price`, `performance`."""

    def __init__(self, foreign: dict[str, str] | None = None, kept: int = 0) -> None:
        """`foreign`: keys and texts that others wrote before."""
        self.kept = kept
        self.values: dict[str, dict[str, Any]] = {}
        self.not_stocks: set[str] = set()
        self.sources: dict[tuple[str, str], int] = {}
        self._foreign = {name: loads(text) for name, text in (foreign or {}).items()}

    def add(self, row: Row, source: str = "", number: int = 0) -> str:
        """`added`, `repeated` or `not_a_stock`."""
        if row.stock in self.not_stocks:
            return "not_a_stock"
        if row.stock not in self.values:
            self.values[row.stock] = self._first(row.stock)
        if source:
            if number <= self.sources.get((row.stock, source), 0):
                return "repeated"
            self.sources[row.stock, source] = number
        value = self.values[row.stock]
        value["time"].append(row.time)
        value["price"].append(Decimal(row.price) if row.price else "")
        if self.kept:
            value["time"] = value["time"][-self.kept :]
            value["price"] = value["price"][-self.kept :]
        return "added"

    def _first(self, name: str) -> dict[str, Any]:
        given = self._foreign.pop(name, None)
        if given is not None:
            last = ("time", "price", "performance")
            others = {key: each for key, each in given.items() if key not in ("id", *last)}
            return {"id": given["id"], **others, **{key: given[key] for key in last}}
        used = {int(value["id"]) for value in self.values.values()}
        wish = re.fullmatch(r"stock([1-9][0-9]*)", name)
        free = wish is not None and int(wish[1]) not in used
        number = int(wish[1]) if wish and free else max(used, default=0) + 1
        return {"id": number, "time": [], "price": [], "performance": 0}

    def latest(self, name: str) -> Decimal | None:
        """The newest price that is one."""
        prices = [each for each in self.values[name]["price"] if each != ""]
        return prices[-1] if prices else None

    def texts(self) -> dict[str, str]:
        """What must be under each key."""
        return {name: dumps(value) for name, value in self.values.items()}


def loads(text: str) -> Any:
    """JSON with all digits of its numbers. Raises ValueError, also for NaN."""
    return json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def dumps(value: Any) -> str:
    """JSON without spaces; Decimals keep their digits."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k)}:{dumps(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dumps, value)) + "]"
    return format(value, "f") if isinstance(value, Decimal) else json.dumps(value)


# Files


def read_file(lines: Iterable[str]) -> tuple[Stocks, list[Letter]]:
    """What a CSV file makes of an empty Redis; broken quotes are not its business."""
    stocks, letters = Stocks(), []
    reader = csv.reader(lines)
    header = [cell.strip().lower() for cell in next(reader)]
    for number, cells in enumerate((row for row in reader if row), start=1):
        if len(cells) != len(header):
            letters.append(Letter(number, "bad_line"))
            continue
        cell = dict(zip(header, cells, strict=True))
        try:
            row = row_of_cells(cell["time"], cell["stock"], cell["price"])
        except Refused as refused:
            letters.append(Letter(number, refused.args[0]))
        else:
            stocks.add(row, "file", number)
    return stocks, letters


def main() -> None:
    with open(sys.argv[1], encoding="utf-8-sig", newline="") as file:
        stocks, letters = read_file(file)
    for name, text in stocks.texts().items():
        print(f"{name} {text}")
    for letter in letters:
        print(f"row {letter.at}: {letter.reason}", file=sys.stderr)


if __name__ == "__main__":
    main()

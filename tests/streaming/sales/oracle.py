"""A slow, obvious oracle of the rolling sums: every record is compared with all that came before.

The tests compare `run()` with streaming.sales; it shares no code with it. Amounts are decimals,
nothing is kept that can be worked out again, and nothing is ever evicted.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import Any, NamedTuple

# Wide enough for the product of any integer that JSON readers take with any double.
EXACT = Context(prec=12_000, Emax=999_999, Emin=-999_999)
MOST = Decimal(2**63 - 1) / 10**6
LEAST = Decimal(-(2**63)) / 10**6


class Record(NamedTuple):
    """What the product reads of kafka-python's ConsumerRecord."""

    offset: int
    timestamp: int  # milliseconds; negative: none
    key: bytes | None
    value: bytes | None


class Output(NamedTuple):
    offset: int
    key: bytes
    value: bytes


class DeadLetter(NamedTuple):
    offset: int
    reason: str


class Sale(NamedTuple):
    offset: int
    stock_code: str
    time: float
    epoch: int | float  # as given
    amount: Decimal
    key: bytes | None


class Refused(Exception):
    """The reason of a dead letter."""


@dataclass
class Outcome:
    """Of one partition. `accepted` has a Sale for each of `outputs`."""

    outputs: list[Output] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    accepted: list[Sale] = field(default_factory=list)
    in_order: list[Output | DeadLetter] = field(default_factory=list)
    watermark: float | None = None


def run(
    records: Iterable[Record],
    window: float = 600.0,
    lateness: float = 600.0,
    skew: float = 300.0,
) -> Outcome:
    """What must come of one partition's records, given in the order of their offsets."""
    outcome = Outcome()
    of_code: dict[str, list[Sale]] = {}
    for record in records:
        try:
            sale = accept(record, outcome.watermark, lateness, skew)
        except Refused as refused:
            letter = DeadLetter(record.offset, str(refused))
            outcome.dead_letters.append(letter)
            outcome.in_order.append(letter)
            continue
        if outcome.watermark is None or sale.time > outcome.watermark:
            outcome.watermark = sale.time
        outcome.accepted.append(sale)
        of_code.setdefault(sale.stock_code, []).append(sale)
        total = Decimal(0)
        for other in of_code[sale.stock_code]:
            if sale.time - window <= other.time <= sale.time:
                total = EXACT.add(total, other.amount)
        output = Output(record.offset, sale.stock_code.encode(), output_value(sale, total))
        outcome.outputs.append(output)
        outcome.in_order.append(output)
    return outcome


def accept(record: Record, watermark: float | None, lateness: float, skew: float) -> Sale:
    """The sale that counts, in the light of the greatest time accepted before. Raises Refused."""
    stock_code, epoch, amount = parse(record.value)
    time = float(epoch)
    if record.timestamp >= 0 and time > record.timestamp / 1000 + skew:
        raise Refused("ahead")
    if watermark is not None and time < watermark - lateness:
        raise Refused("late")
    return Sale(record.offset, stock_code, time, epoch, amount, record.key)


def parse(value: bytes | None) -> tuple[str, int | float, Decimal]:
    """Stock code, time as given, and amount of a message. Raises Refused."""
    if not value:
        raise Refused("empty")
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("not_utf8") from None
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise Refused("not_json") from None
    if not isinstance(message, dict):
        raise Refused("not_an_object")
    for name in ("StockCode", "Quantity", "Price", "InvoiceDate"):
        if name not in message:
            raise Refused("missing_field")
    stock_code = stock_code_of(message["StockCode"])
    for name in ("Quantity", "Price", "InvoiceDate"):
        if not is_number(message[name]):
            raise Refused("not_a_number")
    amount = EXACT.multiply(decimal(message["Quantity"]), decimal(message["Price"]))
    if EXACT.remainder(amount, Decimal("0.000001")) != 0:
        raise Refused("too_precise")
    if not LEAST <= amount <= MOST:
        raise Refused("out_of_range")
    try:
        float(message["InvoiceDate"])
    except OverflowError:
        raise Refused("out_of_range") from None
    return stock_code, message["InvoiceDate"], amount


def stock_code_of(given: Any) -> str:
    if isinstance(given, int) and not isinstance(given, bool):
        given = str(given)
    if not isinstance(given, str) or not 1 <= len(given) <= 128:
        raise Refused("bad_stock_code")
    for character in given:
        code = ord(character)
        if code < 32 or 127 <= code < 160 or 0xD800 <= code <= 0xDFFF:
            raise Refused("bad_stock_code")
    return given


def is_number(given: Any) -> bool:
    if isinstance(given, bool):
        return False
    if isinstance(given, float):
        return given == given and given not in (float("inf"), float("-inf"))
    return isinstance(given, int)


def decimal(number: int | float) -> Decimal:
    """A double stands for its shortest decimal text."""
    return EXACT.create_decimal(repr(number))


def output_value(sale: Sale, total: Decimal) -> bytes:
    code = json.dumps(sale.stock_code)
    text = f'{{"StockCode": {code}, "Epoch": {sale.epoch!r}, "10minutesSum": {plain(total)}}}'
    return text.encode("ascii")


def plain(total: Decimal) -> str:
    """At least one and at most six decimals, no needless zeros, no exponent, no minus before 0."""
    sign = "-" if total < 0 else ""
    whole, _, decimals = f"{total.copy_abs():.6f}".partition(".")
    return f"{sign}{whole}.{decimals.rstrip('0') or '0'}"

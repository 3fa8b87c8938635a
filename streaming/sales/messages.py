"""One message of the input topic → one sale, or the reason why it is none. Pure.

A sale is (StockCode, InvoiceDate as given, amount in units). Used by partition.py.
"""

import json
import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from .amounts import EXACT_UNITS, LEAST, MOST, PER_ONE, units_of
from .shapes import Shape, units_of_price

FIELDS = ("StockCode", "Quantity", "Price", "InvoiceDate")
LONGEST_STOCK_CODE = 128  # characters
MOST_NESTED = 200  # fixed: where Python's reader gives up depends on how deep its callers are
GREATEST_PRICE = float(EXACT_UNITS // PER_ONE)  # of the short way

# C0, DEL, C1 and lone surrogates.
NOT_IN_A_CODE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
# One that does not end goes to the end of all. Nothing is tried twice: a message cut off within a
# long text with many escapes would else hold the interpreter for minutes.
TEXTS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)

scan: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder().scan_once  # type: ignore[attr-defined]

Sale = tuple[str, int | float, int]

SHAPE = Shape()


class Refusal(NamedTuple):
    """Why a record goes to the dead letters: a code, and the same in words with the figures."""

    reason: str
    detail: str


def parse(value: bytes | None) -> Sale | Refusal:
    """The sale in a record's value: UTF-8 JSON, one object, with all of FIELDS.

    Reasons: empty, not_utf8, not_json, not_an_object, missing_field, bad_stock_code, not_a_number,
    too_precise, out_of_range; the first that applies, in this order.
    """
    # The shortest way takes messages like the one that was learned from.
    match, order = SHAPE.known
    found = match(value or b"")
    if found is not None:
        code, quantity, price, at = found.group(*order)
        units = units_of_price(price) * int(quantity)
        if LEAST <= units <= MOST:
            return code.decode(), float(at), units
    sale = by_json(value)
    if value and not isinstance(sale, Refusal):
        SHAPE.missed(value)
    return sale


def by_json(value: bytes | None) -> Sale | Refusal:
    """The same as parse(), for messages of any shape."""
    # The short way takes what shops send as it is; whatever is unusual goes the long way.
    try:
        text = value.decode()  # type: ignore[union-attr]
        if len(text) <= 2 * MOST_NESTED or not too_deep(text):
            fields, end = scan(text, 0)
            code = fields["StockCode"]
            price = fields["Price"]
            quantity = fields["Quantity"]
            at = fields["InvoiceDate"]
            if (
                type(code) is str
                and code.isalnum()
                and type(price) is float
                and -GREATEST_PRICE < price < GREATEST_PRICE
                and type(quantity) is int
                and type(at) is float
                and at - at == 0.0  # finite
                and end == len(text)
                and len(code) <= LONGEST_STOCK_CODE
            ):
                units: int = round(price * 1e6)
                if units / 1e6 == price:
                    units *= quantity
                    if LEAST <= units <= MOST:
                        return code, at, units
    except Exception:  # every kind: the long way finds it again and names it
        pass
    return read(value)


def read(value: bytes | None) -> Sale | Refusal:
    """The same as parse(), step by step: the long way."""
    if not value:
        return Refusal("empty", "The record has no value.")
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        return Refusal(
            "not_utf8", f"Byte {error.start + 1} of {len(value)} is not UTF-8: {error.reason}."
        )
    if too_deep(text):
        return Refusal("not_json", f"Nested deeper than {MOST_NESTED} levels.")
    try:
        fields = json.loads(text)
    except json.JSONDecodeError as error:
        return Refusal("not_json", f"{error.msg}: character {error.pos + 1} of {len(text)}.")
    except ValueError:
        return Refusal("not_json", "A number has too many digits.")
    if not isinstance(fields, dict):
        return Refusal("not_an_object", f"The value is {shown(fields)}, not a JSON object.")
    return sale_of(fields)


def sale_of(fields: dict[str, Any]) -> Sale | Refusal:
    """The sale in a JSON object, of which only FIELDS are looked at."""
    missing = [name for name in FIELDS if name not in fields]
    if missing:
        return Refusal("missing_field", f"Without {', '.join(missing)}.")
    code, quantity, price, at = (fields[name] for name in FIELDS)
    if type(code) is int:
        code = str(code)
    if not isinstance(code, str):
        return Refusal("bad_stock_code", f"StockCode is {shown(code)}, not text.")
    if not 1 <= len(code) <= LONGEST_STOCK_CODE:
        return Refusal(
            "bad_stock_code",
            f"StockCode has {len(code)} characters; 1 to {LONGEST_STOCK_CODE} are allowed.",
        )
    bad = NOT_IN_A_CODE.search(code)
    if bad is not None:
        return Refusal(
            "bad_stock_code",
            f"StockCode {shown(code)} has the character U+{ord(bad[0]):04X} "
            f"at place {bad.start() + 1}.",
        )
    for name in FIELDS[1:]:
        if not is_number(fields[name]):
            return Refusal("not_a_number", f"{name} is {shown(fields[name])}, not a number.")
    units = units_of(quantity, price)
    product = f"Quantity {shown(quantity)} × Price {shown(price)}"
    if units is None:
        return Refusal("too_precise", f"{product} has more than six decimals.")
    if not LEAST <= units <= MOST:
        return Refusal("out_of_range", f"{product} is outside ±{MOST // PER_ONE}.")
    try:
        float(at)
    except OverflowError:
        return Refusal("out_of_range", f"InvoiceDate {shown(at)} is too far away for a double.")
    return code, at, units


def is_number(value: Any) -> bool:
    """Neither bool, null, text, list, object, nor NaN or ±Infinity."""
    return type(value) is int or (type(value) is float and math.isfinite(value))


def too_deep(text: str) -> bool:
    """Whether lists and objects are nested deeper than MOST_NESTED."""
    if len(text) <= 2 * MOST_NESTED or text.count("[") + text.count("{") <= MOST_NESTED:
        return False
    depth = 0
    for character in TEXTS.sub("", text):
        if character in "[{":
            depth += 1
            if depth > MOST_NESTED:
                return True
        elif character in "]}":
            depth -= 1
    return False


def shown(value: Any) -> str:
    """A JSON value as the details show it: short, and ASCII whatever is in it."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return json.dumps(value if len(value) <= 40 else value[:40] + "…")
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:30]}… ({len(text)} digits)"

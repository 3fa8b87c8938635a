"""A row of prices, from a line of CSV or a message: pure, no Django, no Redis, no Kafka."""

import json
import re
from typing import Any, NamedTuple

from .price import LENGTH, in_full

FIELDS = ("time", "stock", "price")
MAX_BYTES = 64 * 1024
# Names are keys of Redis, where the users of BuyStock live too. Other keys of ours have a colon.
# A digit comes first in 600519, a ^ in ^gspc.
NAME = re.compile(r"[a-z0-9^][a-z0-9._-]{0,63}")
# Celery's broker has its keys there too, unless PRICES_REDIS_URL leads elsewhere: the queues of
# config/celery.py, those of consumers by their beginning, and what kombu keeps of messages.
USER_OR_CONSUMER = re.compile(r"user[0-9]|consumer\.")
BROKERS = frozenset(
    {"default", "imports", "performance", "unacked", "unacked_index", "unacked_mutex"}
)
TIME = re.compile(r"([01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]", re.ASCII)
# The file's SHA-256, and what --again puts behind it.
SOURCE = re.compile(rb"[0-9a-f]{64}(#[0-9a-f]{1,32})?")
NUMBER = re.compile(rb"[1-9][0-9]{0,14}")
SHOWN = 80


class Row(NamedTuple):
    """One price of one stock.

    `source` and `number` say which row of which file it is, from 1; both empty where nobody did.
    """

    stock: str
    time: str  # hhmmss
    price: str  # as JSON writes a number, or "" where there was no data
    source: str = ""
    number: int = 0


class Refusal(NamedTuple):
    """Why a row can't be taken."""

    reason: str
    detail: str


class _Number(str):
    """A number of JSON as it is written."""

    __slots__ = ()


def from_cells(time: str, stock: str, price: str) -> Row | Refusal:
    """The row of three cells of text. Of several faults the stock's counts, then the time's."""
    name = _name(stock)
    if isinstance(name, Refusal):
        return name
    time = time.strip()
    if not TIME.fullmatch(time):
        return Refusal("bad_time", f"time {_shown(time)} is not hhmmss, as in 090006")
    token = _price(price)
    return token if isinstance(token, Refusal) else Row(name, time, token)


def from_message(value: bytes | None) -> Row | Refusal:
    """The row of a message: a JSON object of exactly time, stock and price, in any case."""
    if value is None:
        return Refusal("empty", "the message has no value")
    if len(value) > MAX_BYTES:
        return Refusal("too_large", f"{len(value)} bytes, {MAX_BYTES} at most")
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        return Refusal("not_utf8", f"byte {error.start} is not UTF-8")
    if not text.strip():
        return Refusal("empty", "the message is blank")
    try:
        found = _decode(text)
    except RecursionError:
        return Refusal("not_json", "too deeply nested")
    except ValueError as error:
        return Refusal("not_json", str(error)[:200])
    if not isinstance(found, _Object):
        return Refusal("not_object", "the message is no JSON object")
    fields: dict[str, Any] = {}
    for name, each in found:
        short = name.lower()
        if short not in FIELDS:
            return Refusal("unknown_field", f"field {_shown(name)} is not known")
        if short in fields:
            return Refusal("unknown_field", f"field {_shown(name)} comes twice")
        fields[short] = each
    for short in FIELDS:
        if short not in fields:
            return Refusal("missing_field", f"there is no {short}")
    return _from_values(fields["time"], fields["stock"], fields["price"])


def stamped(row: Row, source: bytes | None, number: bytes | None) -> Row:
    """The row with the source and the number that its message's headers name.

    Where they are not both as `publish_prices` writes them, they are somebody else's.
    """
    if not source or not number or not SOURCE.fullmatch(source) or not NUMBER.fullmatch(number):
        return row
    return row._replace(source=source.decode(), number=int(number))


def _from_values(time: Any, stock: Any, price: Any) -> Row | Refusal:
    if type(stock) is not str:
        return Refusal("bad_stock", "stock must be text")
    if type(time) is str and (type(price) is str or type(price) is _Number):
        return from_cells(time, stock, price)
    name = _name(stock)
    if isinstance(name, Refusal):
        return name
    if type(time) is not str:
        return Refusal("bad_time", 'time must be text as in "090006": numbers lose leading zeros')
    if price is None:
        return from_cells(time, stock, "")
    row = from_cells(time, stock, "")
    return row if isinstance(row, Refusal) else Refusal("bad_price", "price is no number")


def _name(stock: str) -> str | Refusal:
    name = stock.strip().lower()
    # Some letters beyond ASCII have one of ASCII as their small letter.
    if not NAME.fullmatch(name) or not stock.strip().isascii():
        return Refusal(
            "bad_stock",
            f"stock {_shown(stock)}: a name begins with a letter, a digit or ^ and goes on with at "
            "most 63 letters, digits, dots, underscores or hyphens",
        )
    if name in BROKERS or USER_OR_CONSUMER.match(name):
        whose = "users" if name.startswith("user") else "Celery's queues"
        return Refusal("bad_stock", f"stock {_shown(name)}: such names are those of {whose}")
    return name


def _price(text: str) -> str | Refusal:
    text = text.strip()
    if not text:
        return ""
    full = in_full(text)
    if full is not None:
        return full
    if text[0] == "-" and in_full(text[1:]) is not None:
        return Refusal("negative_price", f"price {_shown(text)} is negative")
    return Refusal(
        "bad_price",
        f"price {_shown(text)} is not a number of at most {LENGTH} characters",
    )


class _Object(tuple[tuple[str, Any], ...]):
    """The names and values of a JSON object, names that come twice included."""

    __slots__ = ()


_decode = json.JSONDecoder(
    object_pairs_hook=_Object, parse_int=_Number, parse_float=_Number, parse_constant=_Number
).decode


def _shown(text: str) -> str:
    shown = repr(text[:SHOWN])
    return shown if len(text) <= SHOWN else f"{shown}…"

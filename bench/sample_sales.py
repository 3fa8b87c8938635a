"""Makes messages of sales as the specification's generator sends them, for the bench of sales.

`even` gives every StockCode equally many in a window, `uneven` about the shares of the retail
file, `of_file` the retail file itself. Event time goes on at an even pace, in whole milliseconds.
The same arguments give the same bytes.
"""

import csv
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

WINDOW_SECONDS = 600
PER_WINDOW = 25  # sales of one StockCode in one window
FILE_SALES, FILE_CODES = 57_363, 3_265  # of the retail file
SPREAD = 600  # in the file this many StockCodes have six tenths of the sales
CUSTOMER = 13_085.0
WITH_CUSTOMER = 0.69  # of the file's sales

TITLES = (
    "SET OF THREE VINTAGE GIFT WRAPS",
    "PINK CHERRY LIGHTS",
    "RECORD FRAME 7 SINGLE SIZE ",
    "STRAWBERRY CERAMIC TRINKET BOX",
    "15CM CHRISTMAS GLASS BALL 20 LIGHTS",
)
# Frequent ones of the file.
PRICES = (1.25, 2.95, 0.85, 1.65, 3.75, 2.1, 2.57, 4.95, 2.55, 0.42, 1.95, 5.95)
QUANTITIES = (1, 1, 1, 1, 1, 2, 2, 2, 12, 6, 3, 4, 24, 5, 10, 8, 48, -1)


class Sold(NamedTuple):
    """One message: its key, and its value as UTF-8 JSON."""

    key: bytes
    value: bytes


def code(number: int) -> str:
    """The StockCode of this number, five digits and sometimes a letter."""
    return f"{10_000 + number}{'' if number % 3 else 'ABC'[number // 3 % 3]}"


def even(
    codes: int, count: int, begin: float, *, rate: float = 0.0, seed: int = 1
) -> Iterator[Sold]:
    """`count` sales from `begin` (seconds since 1970) on, in turns of all codes.

    `rate` is sales a second of event time; without it PER_WINDOW of each code are in a window.
    Every sale has a customer: quixstreams' JSON reader refuses the NaN of those that have none.
    """
    rng = random.Random(f"{seed} even")
    step_ms = 1000 / (rate or codes * PER_WINDOW / WINDOW_SECONDS)
    numbers = list(range(codes))
    for place in range(count):
        if place % codes == 0:
            rng.shuffle(numbers)
        at = _time(begin, place * step_ms)
        yield _made(rng, code(numbers[place % codes]), at, CUSTOMER)


def uneven(count: int, begin: float, seed: int = 1) -> Iterator[Sold]:
    """`count` sales, ten a second, as many StockCodes as the retail file has."""
    rng = random.Random(f"{seed} uneven")
    for place in range(count):
        number = int(rng.expovariate(1 / SPREAD)) % FILE_CODES
        customer = CUSTOMER if rng.random() < WITH_CUSTOMER else float("nan")
        yield _made(rng, code(number), _time(begin, place * 100), customer)


def of_file(path: Path, begin: float) -> Iterator[Sold]:
    """Every row of the retail file, ten a second."""
    with path.open(encoding="latin-1", newline="") as file:
        for place, row in enumerate(csv.DictReader(file)):
            customer = row["Customer ID"]
            yield _message(
                {
                    **row,
                    "Quantity": int(row["Quantity"]),
                    "Price": float(row["Price"]),
                    "Customer ID": float(customer) if customer else float("nan"),
                    "InvoiceDate": _time(begin, place * 100),
                }
            )


def _time(begin: float, after_ms: float) -> float:
    return round(begin * 1000 + after_ms) / 1000


def _made(rng: random.Random, stock_code: str, at: float, customer: float) -> Sold:
    return _message(
        {
            "Invoice": str(489_434 + int(at) % 100_000),
            "StockCode": stock_code,
            "Description": rng.choice(TITLES),
            "Quantity": QUANTITIES[int(rng.random() * len(QUANTITIES))],
            "Price": PRICES[int(rng.random() * len(PRICES))],
            "Customer ID": customer,
            "Country": "United Kingdom",
            "InvoiceDate": at,
        }
    )


def _message(fields: dict[str, object]) -> Sold:
    return Sold(str(fields["StockCode"]).encode(), json.dumps(fields).encode())

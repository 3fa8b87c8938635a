"""Makes rows of share prices like those of the specification's file, price_data.csv.

That has 510 rows of three stocks within an hour. Here one row in a hundred has no price. The same
arguments give the same rows.
"""

import random
from collections.abc import Iterator
from typing import NamedTuple

FIRST_SECOND = 9 * 3600
SECONDS = 24 * 3600
WITHOUT_PRICE = 0.01


class Priced(NamedTuple):
    """One row, as the file has it."""

    time: str
    stock: str
    price: str


def even(stocks: int, count: int, seed: int = 1) -> Iterator[Priced]:
    """`count` rows, in turns of all stocks, a second after another."""
    rng = random.Random(f"{seed} prices")
    for place in range(count):
        second = (FIRST_SECOND + place) % SECONDS
        time = f"{second // 3600:02}{second // 60 % 60:02}{second % 60:02}"
        price = "" if rng.random() < WITHOUT_PRICE else str(rng.randrange(390, 1800))
        yield Priced(time, f"stock{place % stocks + 1}", price)

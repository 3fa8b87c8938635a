"""Made-up shares, their walks and who trades them: pure. Used by seeding.py and the generators."""

import json
import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

# Names that nobody else would take: removal.py deletes these keys.
SHARES = {"demo.acme": 180, "demo.globex": 92, "demo.initech": 46, "demo.hooli": 310}
# One is too poor for long: some orders have to be denied.
CREDITS = {
    "user1.demo": 40_000_000,
    "user2.demo": 25_000_000,
    "user3.demo": 12_500_000,
    "user4.demo": 60_000,
}
PROVIDERS = {"Demo Visa": 1_000, "Demo Mastercard": 2_000, "Demo Transfer": 0}
ROWS = 120  # of each share's history at the beginning
SEED = 11


class Price(NamedTuple):
    time: str  # hhmmss
    share: str
    price: str


def history(share: str, until: datetime, rows: int = ROWS) -> str:
    """The share's first value as JSON: a price each half minute, the last at `until`."""
    source = random.Random(f"{SEED} {share}")
    price = float(SHARES[share])
    prices, times = [], []
    for number in range(rows):
        price = _next(price, source)
        prices.append(round(price, 2))
        times.append((until - timedelta(seconds=30 * (rows - 1 - number))).strftime("%H%M%S"))
    id_ = 9_001 + list(SHARES).index(share)
    return json.dumps({"id": id_, "price": prices, "time": times, "performance": 0})


def walk(newest: dict[str, str], source: random.Random) -> Iterator[tuple[str, str]]:
    """Share and price without end, in turn, from the newest prices on."""
    prices = {share: float(newest.get(share) or SHARES[share]) for share in SHARES}
    while True:
        for share in SHARES:
            prices[share] = _next(prices[share], source)
            yield share, f"{prices[share]:.2f}"


def csv_of(rows: Sequence[Price]) -> str:
    """A file as `publish_prices` reads it."""
    return "Time,Stock,Price\n" + "".join(f"{','.join(row)}\n" for row in rows)


def _next(price: float, source: random.Random) -> float:
    """A step of about 0.4 %, never below 1."""
    return max(1.0, price * (1 + source.gauss(0, 0.004)))

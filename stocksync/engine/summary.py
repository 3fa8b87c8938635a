"""The last line of the output: StockSummary."""

from itertools import islice
from typing import Iterable, Iterator, Tuple

AT_ONCE = 10000  # products


def stock_summary(stocks: Iterable[Tuple[int, int]]) -> Iterator[bytes]:
    """The line in pieces, from (product id, stock) in order of creation."""
    yield b'{"type": "StockSummary", "stocks": {'
    rest = iter(stocks)
    between = ""
    while True:
        some = list(islice(rest, AT_ONCE))
        if not some:
            break
        yield (
            between + ", ".join(f'"{product_id}": {stock}' for product_id, stock in some)
        ).encode()
        between = ", "
    yield b"}}\n"

"""Sends the sales of the retail file as if they happened now. Hosted by `manage.py generate_sales`.

It replaces the spec's producer: the record's key is the StockCode, so that each StockCode has one
partition, and any number of instances can share the work.
"""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from streaming.pace import Pace

from .retail_file import TIME_COLUMN, NoSale, Sale

SLICE_SECONDS = 0.1  # an end that is asked for is noticed this soon

Send = Callable[[bytes, bytes], None]


@dataclass
class Tally:
    """What became of the lines of the file."""

    sent: int = 0
    refused: int = 0


class Generator:
    """Sends passes over the file; `total` counts over all of them."""

    def __init__(self, send: Send, pace: Pace, ended: Callable[[], bool]) -> None:
        """`send` takes key and value and waits while too much is under way."""
        self.total = Tally()
        self._send = send
        self._pace = pace
        self._ended = ended

    def run_pass(
        self, found: Iterable[Sale | NoSale], told: Callable[[Sale | NoSale], object]
    ) -> Tally:
        """Send what is `found` in one reading of the file, until its end or the one asked for.

        `told` hears of each line after it was handed over or refused. Raises what `send` raises.
        """
        tally, total = Tally(), self.total
        for each in found:
            if isinstance(each, NoSale):
                tally.refused += 1
                total.refused += 1
            else:
                wait_seconds = self._pace.wait_seconds(time.monotonic())
                if wait_seconds:
                    self._wait(wait_seconds)
                if self._ended():
                    break
                each.message[TIME_COLUMN] = time.time()
                self._send(each.stock_code.encode(), json.dumps(each.message).encode())
                tally.sent += 1
                total.sent += 1
            told(each)
        return tally

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._ended() and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, SLICE_SECONDS))

"""Records of the input topic as the pure core's tests make them."""

import json
from typing import Any, NamedTuple

from streaming.sales.messages import Refusal
from streaming.sales.partition import Output, PartitionState

NO_TIMESTAMP = -1


class Record(NamedTuple):
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


def message(code: Any = "1", at: Any = 0.0, price: Any = 1.0, quantity: Any = 1) -> bytes:
    """The value of a sale, with a field beside those that count, as the spec's producer writes."""
    fields = {
        "StockCode": code,
        "Quantity": quantity,
        "Price": price,
        "Customer ID": float("nan"),
        "InvoiceDate": at,
    }
    return json.dumps(fields).encode()


def sale(offset: int, at: Any, code: str = "1", **more: Any) -> Record:
    """A sale of 1.0 whose key is its StockCode, without a timestamp."""
    more = {"timestamp": NO_TIMESTAMP, "key": code.encode(), **more}
    timestamp, key = more.pop("timestamp"), more.pop("key")
    return Record(offset, timestamp, key, message(code, at, **more))


def sums(state: PartitionState, *records: Record) -> list[Any]:
    """The sum of each record, or the reason it was refused for, as take() gives them."""
    outcomes, halt = state.take(records)
    assert halt is None
    return [
        outcome.reason if isinstance(outcome, Refusal) else fields(outcome)["10minutesSum"]
        for outcome in outcomes
    ]


def fields(output: Any) -> dict[str, Any]:
    assert isinstance(output, Output)
    return json.loads(output.value)

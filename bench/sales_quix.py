"""The same sums by quixstreams' sliding window, exactly once.

`python -m bench.sales_quix SERVERS INPUT OUTPUT GROUP STATE_FOLDER`, for bench.sales. All but the
processing guarantee and where to begin is quixstreams' default: changelog topics, RocksDB, a
transaction every five seconds.
"""

import sys
from datetime import timedelta
from typing import Any

from quixstreams import Application

WINDOW = timedelta(minutes=10)


def event_time_ms(value: Any, headers: Any, timestamp: float, timestamp_type: Any) -> int:
    return round(value["InvoiceDate"] * 1000)


def amount(value: dict[str, Any]) -> float:
    return value["Quantity"] * value["Price"]


def message(result: dict[str, Any], key: str, timestamp: int, headers: Any) -> dict[str, Any]:
    """What goes out for each sale; the window that ends at it has its time as end."""
    return {"StockCode": key, "Epoch": result["end"] / 1000, "10minutesSum": result["value"]}


def main() -> None:
    servers, source, output, group, folder = sys.argv[1:]
    application = Application(
        servers,
        consumer_group=group,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        state_dir=folder,
        loglevel="WARNING",
    )
    sales = application.topic(
        source, key_deserializer="str", value_deserializer="json", timestamp_extractor=event_time_ms
    )
    sums = application.topic(output, key_serializer="str", value_serializer="json")
    frame = application.dataframe(sales).apply(amount)
    frame = frame.sliding_window(WINDOW, grace_ms=WINDOW).sum().current()
    frame.apply(message, metadata=True).to_topic(sums)
    application.run()


if __name__ == "__main__":
    main()

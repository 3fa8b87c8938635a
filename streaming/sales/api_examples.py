"""A small shop's sales as the API shows them, for the schema. tests/streaming/api checks them."""

from typing import Any

from drf_spectacular.utils import OpenApiExample

SELLING = {
    "stock_code": "85123A",
    "sum": "40.80",
    "sales": 2,
    "last_at": 1767225630.25,
    "partition": 0,
}
OVERVIEW = {
    "group": "sales",
    "state": "running",
    "at": 1767225631.0,
    "age_seconds": 0.4,
    "stale": False,
    "topics": {"input": "data", "output": "agg", "dead_letters": "data.dlq"},
    "window_seconds": 600.0,
    "lateness_seconds": 600.0,
    "max_skew_seconds": 300.0,
    "rate_in": 98.5,
    "rate_out": 98.4,
    "rate_dead": 0.1,
    "lag": 3,
    "keys": 412,
    "events": 58_210,
    "bytes": 1_204_000,
    "replay": None,
    "partitions": [
        {
            "partition": 0,
            "instance": "shop-1.1",
            "state": "running",
            "position": 58_400,
            "end": 58_403,
            "lag": 3,
            "watermark": 1767225630.25,
            "keys": 412,
            "events": 58_210,
            "bytes": 1_204_000,
            "replay": None,
            "halted": None,
        }
    ],
    "instances": [
        {
            "instance": "shop-1.1",
            "state": "running",
            "waiting_for": None,
            "partitions": [0],
            "at": 1767225631.0,
            "age_seconds": 0.4,
            "stale": False,
            "rate_in": 98.5,
            "taken": 58_400,
            "put_out": 58_391,
            "refused": 9,
        }
    ],
    "warnings": [],
    "top": [SELLING],
}
STOCK_CODE = {
    "stock_code": "85123A",
    "state": "running",
    "stale": False,
    "window_seconds": 600.0,
    "sums": [SELLING],
    "curve": [
        {"at": 1767225030.25, "sum": "0.0"},
        {"at": 1767225330.25, "sum": "15.3"},
        {"at": 1767225630.25, "sum": "40.8"},
    ],
}
DEAD_LETTERS = {
    "next": None,
    "whole": True,
    "results": [
        {
            "partition": 0,
            "offset": 8,
            "at_ms": 1_767_225_630_250,
            "reason": "missing_field",
            "detail": "There is no field Price.",
            "source_topic": "data",
            "source_partition": 0,
            "source_offset": 58_399,
            "source_at_ms": 1_767_225_630_250,
            "key": "85123A",
            "value_bytes": 39,
            "value_is_cut": False,
            "value": '{"StockCode": "85123A", "Quantity": 12}',
            "value_base64": None,
        }
    ],
}


def answer(name: str, value: Any) -> OpenApiExample:
    """An example of an answer."""
    return OpenApiExample(name, value, response_only=True)

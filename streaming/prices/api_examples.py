"""Prices as the API shows them, for the schema. tests/streaming/api checks them."""

STOCK = {
    "name": "stock3",
    "id": 3,
    "price": 1804,
    "time": "090020",
    "count": 5,
    "updated_at": 1767225630.25,
    "performance": 0,
    "calculated_at": 1767225603.1,
    "calculated_price": 1786,
    "calculation_seconds": 3.0,
    "asked_at": None,
    "failure": None,
    "failed_at": None,
}
STOCKS = {"next": None, "results": [STOCK]}
HISTORY = {
    "id": 3,
    "name": "stock3",
    "time": ["09:00", "09:01", "090006", "090016", "090020"],
    "price": [1682, "", 1734, 1786, 1804],
    "performance": 0,
    "calculated_at": 1767225603.1,
    "calculated_price": 1786,
    "count": 5,
    "next": None,
}
UPDATER = {
    "group": "prices",
    "state": "running",
    "at": 1767225631.0,
    "age_seconds": 0.4,
    "stale": False,
    "topic": "main_topic",
    "rate": 98.5,
    "lag": 3,
    "partitions": [
        {
            "partition": 0,
            "instance": "shop-1.1",
            "state": "running",
            "position": 507,
            "end": 510,
            "lag": 3,
            "halted": None,
            "notice": None,
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
            "rate": 98.5,
            "added": 507,
            "repeated": 0,
            "refused": 1,
        }
    ],
}
DEAD_LETTERS = {
    "next": None,
    "whole": True,
    "results": [
        {
            "id": "1767225630250-0",
            "at": 1767225630.25,
            "place": "kafka:main_topic:0",
            "number": 506,
            "reason": "negative_price",
            "detail": "price '-5' is negative",
            "value_bytes": 50,
            "value_is_cut": False,
            "value": '{"time": "090006", "stock": "stock3", "price": -5}',
            "value_base64": None,
        }
    ],
}

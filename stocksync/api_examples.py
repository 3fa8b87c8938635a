"""One small job as the API shows it, for the schema. tests/stocksync/api runs it."""

from typing import Any

from drf_spectacular.utils import OpenApiExample

LINES = "application/x-ndjson"

EVENTS = """\
{"type": "ProductCreated", "id": 1, "parent_id": null, "timestamp": 1000, "stock": 20}
{"type": "ProductCreated", "id": 2, "parent_id": 1, "timestamp": 1001, "stock": 20}
{"type": "ProductUpdated", "id": 2, "timestamp": 1002, "stock": 15}
{"type": "ProductUpdated", "id": 1, "timestamp": 1001, "stock": 18}
{"type": "ProductUpdated", "id": 1}
"""
OUTPUT = """\
{"type": "UpdateProduct", "id": 1, "stock": 15}
{"type": "StockSummary", "stocks": {"1": 15, "2": 15}}
"""
REJECTS = """\
{"line": 5, "code": "missing_field", "reason": "timestamp is missing", \
"raw": "{\\"type\\": \\"ProductUpdated\\", \\"id\\": 1}"}
"""
COUNTS = {
    "lines": 5,
    "blank": 0,
    "comments": 0,
    "events": 5,
    "applied": 3,
    "stale": 1,
    "refused": {"missing_field": 1},
    "never_created": 0,
    "waited": 0,
    "waiting": 0,
    "commands": {"UpdateProduct": 1, "EndProduct": 0},
    "products": 2,
    "trees": 1,
}
TREE = {"root_id": 1, "products": 2, "active": 2, "stock": 15}
PRODUCT = {"product_id": 2, "stock": 15, "active": True, "tree": TREE}
STALE = {
    "seq": 4,
    "line": 4,
    "at_line": 4,
    "kind": "ProductUpdated",
    "product_id": 1,
    "root_id": 1,
    "timestamp": 1001,
    "stock": 18,
    "parent_id": None,
    "verdict": "stale",
    "verdict_label": "Stale",
    "code": "",
    "reason": "timestamp 1001 is not newer than 1002",
    "raw": "",
    "commands": 0,
    "output_offset": 48,
}
SUMMARY = {
    "id": 7,
    "file_name": "events.txt",
    "size_bytes": 343,
    "clock": "tree",
    "state": "done",
    "error": "",
    "counts": COUNTS,
}
HERE = "https://stockroom.example.com/api/stocksync/jobs/7/"
JOB = {
    "id": 7,
    "url": HERE,
    "events_url": "https://stockroom.example.com/events/stocksync-7/",
    "output_url": f"{HERE}output",
    "rejects_url": f"{HERE}rejects",
    "summary_url": f"{HERE}summary.json",
    "state": "done",
    "state_label": "Done",
    "ended": True,
    "error": "",
    "cancel_requested": False,
    "clock": "tree",
    "clock_label": "Each tree has its own",
    "file_name": "events.txt",
    "size_bytes": 343,
    "read_bytes": 343,
    "percent": 100.0,
    "seconds_left": 0.0,
    "silent_seconds": 0.0,
    "counts": COUNTS,
    "traced": True,
    "repeats": None,
    "files_kept": True,
    "output_bytes": len(OUTPUT),
    "rejects_bytes": len(REJECTS),
    "created_by": "ana",
    "created_at": "2026-03-01T09:30:00Z",
    "started_at": "2026-03-01T09:30:01Z",
    "finished_at": "2026-03-01T09:30:02Z",
}


def answer(name: str, value: Any, **more: Any) -> OpenApiExample:
    """An example of what is answered."""
    return OpenApiExample(name, value, response_only=True, status_codes=["200"], **more)


def lines(name: str, text: str) -> OpenApiExample:
    """An example of a file."""
    return answer(name, text, media_type=LINES)

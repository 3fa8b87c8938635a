"""A whole sample and its points as the leader writes them, for tests of what reads them."""

from typing import Any

AT = 1_789_000_000.0
"""Seconds since 1970 at which EXAMPLE was taken."""

EXAMPLE: dict[str, Any] = {
    "at": AT,
    "cost_seconds": 0.041,
    "engines": [
        {
            "name": "postgres",
            "status": "ok",
            "required": True,
            "detail": "",
            "advice": "",
            "milliseconds": 4.2,
        },
        {
            "name": "redis",
            "status": "ok",
            "required": True,
            "detail": "",
            "advice": "",
            "milliseconds": 0.6,
        },
        {
            "name": "kafka",
            "status": "ok",
            "required": False,
            "detail": "",
            "advice": "",
            "milliseconds": 1.9,
        },
        {
            "name": "rabbitmq",
            "status": "ok",
            "required": False,
            "detail": "",
            "advice": "",
            "milliseconds": 5.5,
        },
    ],
    "processes": [
        {
            "role": role,
            "host": "one",
            "pid": pid,
            "version": "1.0.0",
            "started_at": AT - 3600,
            "beaten_at": AT - 2,
            "memory_bytes": memory,
        }
        for role, pid, memory in (
            ("beat", 101, 60_000_000),
            ("ledger", 102, 90_000_000),
            ("orders", 103, 92_000_000),
            ("performance", 104, 88_000_000),
            ("prices", 105, 91_000_000),
            ("sales", 106, 95_000_000),
            ("web", 107, 120_000_000),
            ("web", 108, 121_000_000),
            ("worker", 109, 110_000_000),
        )
    ],
    "queues": [
        {
            "name": name,
            "engine": engine,
            "waiting": waiting,
            "oldest_seconds": oldest,
            "consumers": consumers,
            "error": "",
        }
        for name, engine, waiting, oldest, consumers in (
            ("default", "redis", 0, None, None),
            ("imports", "redis", 3, 4.5, None),
            ("performance", "redis", 0, None, None),
            ("incoming_transactions", "rabbitmq", 12, None, 1),
            ("orders", "rabbitmq", 0, None, 1),
        )
    ],
    "consumers": [
        {
            "name": name,
            "host": "one",
            "pid": pid,
            "state": "running",
            "error": None,
            "lag": lag,
            "rate": rate,
            "says": [["connected", "yes"]],
        }
        for name, pid, lag, rate in (
            ("deliveries", 110, None, None),
            ("ledger", 102, 12, 55.0),
            ("orders", 103, None, 20.0),
            ("prices", 105, 0, 3.0),
            ("sales", 106, 40, 812.5),
        )
    ],
    "jobs": [
        {
            "kind": "import",
            "id": 7,
            "name": "products.csv",
            "state": "staging",
            "done": 250_000,
            "total": 500_000,
            "beaten_at": AT - 1,
            "stalled": False,
            "url": "/imports/7/",
        },
        {
            "kind": "stock sync",
            "id": 3,
            "name": "events.txt",
            "state": "running",
            "done": None,
            "total": None,
            "beaten_at": AT - 900,
            "stalled": True,
            "url": "/stocksync/3/",
        },
    ],
    "deliveries": {
        "due": 4,
        "oldest_due_seconds": 2.5,
        "failing_endpoints": [{"id": 12, "url": "https://shop.example/hook", "failures": 5}],
        "disabled_endpoints": [
            {"id": 13, "url": "https://old.example/hook", "reason": "the receiver said 410 Gone"}
        ],
        "failed_last_hour": 3,
    },
    "rollup": {
        "minute": AT - AT % 60,
        "lateness_seconds": 0.4,
        "failure": "",
        "missed": False,
    },
    "performance": {
        "minute": AT - AT % 60,
        "calculated": 100,
        "failed": 0,
        "seconds": 1.25,
        "missed": False,
    },
    "requests": {"total": 120_000, "per_second": 14.2},
    "roles_seen": ["beat", "web", "worker"],
    "orders": {"open": 25, "limit": 20_000, "oldest_seconds": 61.0},
    "rejects": [
        {"kind": "imports", "last_hour": 2, "total": None, "url": "/imports/"},
        {"kind": "stock sync", "last_hour": 0, "total": None, "url": "/stocksync/"},
        {"kind": "sales", "last_hour": 10, "total": None, "url": "/streaming/sales/dead-letters/"},
        {"kind": "prices", "last_hour": 0, "total": 41, "url": "/streaming/prices/dead-letters/"},
        {"kind": "ledger", "last_hour": 1, "total": None, "url": "/transactions/ledger/rejects/"},
        {
            "kind": "webhooks",
            "last_hour": 3,
            "total": None,
            "url": "/webhooks/deliveries/?state=failed",
        },
    ],
    "checks": [
        {
            "name": name,
            "title": title,
            "state": state,
            "found": None if state is None else 0,
            "finished_at": None if state is None else AT - 7200,
            "url": "/operations/checks/",
            "standing": 0,
            "standing_url": "",
            "unknown_since": AT - 90_000 if state == "error" else None,
        }
        for name, title, state in (
            ("ledger", "Ledger", "passed"),
            ("sales", "Sales sums", "error"),
            ("webhooks", "Webhooks", None),
        )
    ],
    "retention": {
        "at": AT - 300,
        "purges": [
            {
                "name": name,
                "setting": setting,
                "deleted": deleted,
                "more": False,
                "error": "",
            }
            for name, setting, deleted in (
                ("uploads", "UPLOAD_KEEP_HOURS", 2),
                ("import rejects", "REJECT_KEEP_DAYS", 12_000),
            )
        ],
    },
}

POINTS: list[dict[str, Any]] = [
    {
        "at": AT - 10 * back,
        "queue_waiting": 3 + back % 5,
        "lag": 40 + back % 7,
        "deliveries_due": 4,
        "rollup_lateness_seconds": 0.4,
        "sales_rate": 812.5 + back,
        "prices_rate": 3.0,
        "orders_open": 25,
        "requests_per_second": 14.2,
    }
    for back in range(359, -1, -1)
]
"""The hour that ends with EXAMPLE."""

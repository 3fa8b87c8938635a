"""The ledger as the API shows it, for the schema. tests/transactions/api checks them."""

VISA = {
    "provider": 1,
    "name": "Visa",
    "key": "1_Visa",
    "balance": 1300,
    "current": 1900,
    "initial": 1000,
    "transactions": 3,
}
MASTERCARD = {
    "provider": 2,
    "name": "Mastercard",
    "key": "2_Mastercard",
    "balance": 1800,
    "current": 1800,
    "initial": 2000,
    "transactions": 1,
}
BALANCES = {
    "minute": "2026-01-01T10:42:00Z",
    "written_at": "2026-01-01T10:42:00.009000Z",
    "next": None,
    "results": [VISA, MASTERCARD],
}
BALANCE = {
    "provider": 1,
    "key": "1_Visa",
    "at": "2026-01-01T10:42:30Z",
    "minute": "2026-01-01T10:42:00Z",
    "balance": 1300,
    "current": VISA,
}
HISTORY = {
    "next": None,
    "results": [
        {"minute": "2026-01-01T10:41:00Z", "balance": 1200},
        {"minute": "2026-01-01T10:42:00Z", "balance": 1300},
    ],
}
RUN = {
    "minute": "2026-01-01T10:42:00Z",
    "written_at": "2026-01-01T10:42:00.009000Z",
    "lateness_seconds": 0.009,
    "duration_seconds": 0.006,
    "new_rows": 2,
    "providers": 2,
    "failure": None,
}
FAILED = {
    "minute": "2026-01-01T10:41:00Z",
    "written_at": None,
    "lateness_seconds": 0.98,
    "duration_seconds": 0.97,
    "new_rows": 1,
    "providers": 2,
    "failure": "KeyDB: Error 111 connecting to 127.0.0.1:6379. Connection refused.",
}
RUNS = {"next": None, "results": [RUN, FAILED]}
REJECTS = {
    "next": None,
    "whole": True,
    "results": [
        {
            "id": 7,
            "rejected_at": "2026-01-01T10:42:10Z",
            "reason": "not_json",
            "detail": "Expecting value: line 1 column 1 (char 0)",
            "message_id": None,
            "body_bytes": 5,
            "body_is_cut": False,
            "body": "hello",
            "body_base64": None,
        }
    ],
}
STATUS = {
    "unready": None,
    "leading_since": "2026-01-01T08:00:00Z",
    "providers": 2,
    "transactions": 4,
    "rejects": 1,
    "last_run": RUN,
    "missing_minutes": 1,
    "queue": {"name": "incoming_transactions", "messages": 12, "problem": None},
    "instances": [
        {
            "instance": "shop-1.4711",
            "state": "leading",
            "waiting_for": None,
            "age_seconds": 0.4,
            "rate": 98.5,
            "rows": 4,
            "repeated": 0,
            "rejected": 1,
            "last_batch": 1,
            "last_batch_at": "2026-01-01T10:42:10+00:00",
        }
    ],
    "reconciliation": {
        "at": "2026-01-01T03:00:00Z",
        "seconds": 0.2,
        "transactions": 3,
        "drifts": 0,
        "found": [],
        "repaired": False,
        "failure": None,
    },
}

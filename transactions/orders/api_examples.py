"""Orders as the API shows them, for the schema. tests/transactions/api checks them."""

BUY = {"user": "user2", "stockname": "stock1", "quantity": 100}
BUY_WITH_CALLBACK = {**BUY, "callback_url": "https://shop.example.com/orders"}
ORDER_ID = "3f1c9a52-7a0e-4a3b-9d4f-0c2f6f1d8b11"
RECEIVED = {
    "order_id": ORDER_ID,
    **BUY,
    "status": "received",
    "reason": None,
    "detail": None,
    "price": None,
    "amount": None,
    "credit_before": None,
    "credit_after": None,
    "received_at": "2026-01-01T09:00:06.100000Z",
    "verification_began_at": None,
    "verified_at": None,
    "decided_at": None,
    "callback": None,
    "status_url": f"https://stockroom.example.com/api/orders/{ORDER_ID}/",
    "events_url": f"https://stockroom.example.com/events/order-{ORDER_ID}/",
}
DENIED_AT_ONCE = {
    **RECEIVED,
    "status": "Deny",
    "reason": "insufficient_credit",
    "detail": "The credit is 150000, the order costs 173400.",
    "price": 1734,
    "amount": 173400,
    "credit_before": 150000,
    "credit_after": 150000,
    "decided_at": "2026-01-01T09:00:06.100000Z",
}
ACCEPTED = {
    **RECEIVED,
    "status": "Accept",
    "price": 1734.25,
    "amount": 173425,
    "credit_before": 150000000,
    "credit_after": 149826575,
    "verification_began_at": "2026-01-01T09:00:06.112000Z",
    "verified_at": "2026-01-01T09:00:41.120000Z",
    "decided_at": "2026-01-01T09:00:41.131000Z",
    "callback": {
        "url": "https://shop.example.com/orders",
        "state": "succeeded",
        "attempts": 1,
        "last_status_code": 204,
        "last_error": None,
        "next_attempt_at": None,
        "finished_at": "2026-01-01T09:00:41.190000Z",
    },
}
ORDERS = {"next": None, "results": [ACCEPTED]}

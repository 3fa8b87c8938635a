"""Tables of BuyStock. Those of the ledger are not Django's (ledger/engine/tables.py)."""

from .callback import CallbackUrl
from .order import FINAL, OPEN, Order, OrderStatus, OrderTotal, OrderWorker, Reason
from .reconciliation import OrderReconciliation

__all__ = [
    "FINAL",
    "OPEN",
    "CallbackUrl",
    "Order",
    "OrderReconciliation",
    "OrderStatus",
    "OrderTotal",
    "OrderWorker",
    "Reason",
]

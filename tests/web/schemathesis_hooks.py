"""Loaded by schemathesis (tests/web/test_schemathesis.py): what its generated requests need."""

import os
import re
from typing import Any

import schemathesis

PRODUCTS = [int(pk) for pk in os.environ["STOCKROOM_PRODUCTS"].split(",")]
FEW = 8  # jobs, deletions and deliveries have small ids: most generated ones would meet none
SYNCHRONIZED = 2  # products in a file of events have the ids from 1 to this


@schemathesis.serializer("application/offset+octet-stream")
def send_bytes(context: Any, value: Any) -> Any:
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: Any) -> Any:
    """About every other id is one that is there."""
    found = dict(path_parameters or {})
    given = found.get("id")
    if _even(given):
        of_product = context.operation.path.startswith("/api/products/")
        found["id"] = PRODUCTS[given // 2 % len(PRODUCTS)] if of_product else given // 2 % FEW + 1
    if _even(found.get("product_id")):
        found["product_id"] = found["product_id"] // 2 % SYNCHRONIZED + 1
    if re.fullmatch(r"[0-9a-f-]{35}[02468ace]", str(found.get("upload_id"))):
        found["upload_id"] = os.environ["STOCKROOM_UPLOAD"]
    if re.fullmatch(r"[0-9a-f-]{35}[02468ace]", str(found.get("order_id"))):
        found["order_id"] = os.environ["STOCKROOM_ORDER"]
    if context.operation.path.startswith("/api/stocks/") and len(str(found.get("name"))) % 2:
        found["name"] = "stock1"
    return found


def _even(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value % 2 == 0


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """HTTP knows no unknown headers: who does not understand one leaves it alone."""
    return not any(name.lower().startswith("x-schemathesis") for name in case.headers or ())

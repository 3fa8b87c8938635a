"""What an API token may do: `<area>:read` or `<area>:write`. Pure."""

from collections.abc import Iterable

AREAS = {
    "catalogue": "Products and imports",
    "webhooks": "Webhook endpoints and deliveries",
    "stocksync": "Stock sync jobs",
    "streaming": "Sales sums and prices",
    "orders": "Orders (BuyStock)",
    "ledger": "Ledger and balances",
    "operations": "Checks of what is kept",
}
ALL = [f"{area}:{access}" for area in AREAS for access in ("read", "write")]


def allows(scopes: Iterable[str], needed: str) -> bool:
    """Whether `scopes` cover the scope `needed`. Write includes read."""
    area, _, access = needed.partition(":")
    return needed in scopes or (access == "read" and f"{area}:write" in scopes)

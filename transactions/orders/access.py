"""Who may see which orders, and for whom orders may be placed. Asked by API, pages and streams."""

from django.db.models import QuerySet

from config.accounts.models import ApiToken, User
from config.accounts.permissions import may
from transactions.models import Order


def visible(user: User, token: ApiToken | None) -> QuerySet[Order]:
    """The orders that are there for `user`: with a token those of the users it trades for.

    `token` is None for who is signed in. Its scopes were checked before.
    """
    orders = Order.objects.all()
    if not may(user, "orders:read"):
        return orders.none()
    if token is None or token.trades_for_everyone:
        return orders
    return orders.filter(user__in=token.trading_users)


def may_trade(user: User, token: ApiToken | None, trading_user: str) -> bool:
    """Whether orders may be placed for `trading_user`; with a token, only where it says so.

    A token's scopes were checked before.
    """
    if not may(user, "orders:write"):
        return False
    return token is None or token.may_trade_for(trading_user)

"""Which tokens may see callbacks: they tell of orders, and of other accounts' addresses."""

from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from config.accounts import scopes
from config.accounts.models import ApiToken
from webhooks.models import Delivery

NO_DELIVERY = "There is no such delivery. Old ones are let go of."


def may_see(request: Request) -> bool:
    """People may; a token that may read the orders of all trading users."""
    token = request.auth
    if not isinstance(token, ApiToken):
        return True
    return scopes.allows(token.scopes, "orders:read") and token.trades_for_everyone


def check(request: Request, delivery_id: int) -> None:
    """Raises NotFound where there is no such delivery, or none that the request may see."""
    rows = Delivery.objects.filter(pk=delivery_id)
    if not may_see(request):
        rows = rows.filter(endpoint__for_callbacks=False)
    if not rows.exists():
        raise NotFound(NO_DELIVERY)

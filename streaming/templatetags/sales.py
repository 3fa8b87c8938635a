"""Words for sales in templates."""

from decimal import Decimal

from django import template

from streaming.sales import addresses, words

register = template.Library()

register.filter("money", words.money)
register.filter("state", words.state)
register.filter("state_tag", words.state_tag)
register.filter("reason", words.reason)
register.filter("stock_code_url", addresses.of_stock_code)


@register.filter
def share_of(amount: Decimal, largest: Decimal) -> str:
    """Percent of the largest sum, as a width: "63.2"; "0" for returns."""
    if amount <= 0 or largest <= 0:
        return "0"
    return f"{min(100.0, 100 * float(amount / largest)):.1f}"

"""Addresses of StockCodes, which may be any text."""

from urllib.parse import urlencode

from django.urls import reverse

TAKEN = {"dead-letters"}  # by another page


def of_stock_code(stock_code: str) -> str:
    """The page of a StockCode.

    What browsers would take for the way to another folder (`..`) stands in the query.
    """
    if stock_code in TAKEN or {".", ".."} & set(stock_code.split("/")):
        return f"{reverse('streaming:sales')}?{urlencode({'stock_code': stock_code})}"
    return reverse("streaming:stock-code", args=[stock_code])

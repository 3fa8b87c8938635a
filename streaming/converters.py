"""Parts of addresses that only streams have."""

import re

from django.urls import register_converter

STOCK_NAME = r"[A-Za-z0-9^][A-Za-z0-9._-]{0,63}"  # as in streaming/prices/rows.py, in any case
STOCK_CODE = r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,128}"


def is_stock_code(text: str) -> bool:
    """Whether messages may have it as StockCode (streaming/sales/messages.py)."""
    return re.fullmatch(STOCK_CODE, text) is not None


class StockCodeConverter:
    """A StockCode: text of any kind, slashes too."""

    regex = STOCK_CODE

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        if not is_stock_code(value):
            raise ValueError("not a StockCode")
        return value


class StockNameConverter:
    """The name of a share: in small letters, however it is written."""

    regex = STOCK_NAME

    def to_python(self, value: str) -> str:
        return value.lower()

    def to_url(self, value: str) -> str:
        return value


register_converter(StockCodeConverter, "stockcode")
register_converter(StockNameConverter, "stockname")

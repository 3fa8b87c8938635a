"""Addresses of stocks, whatever their exchange calls them."""

import pytest
from django.urls import resolve, reverse

from streaming.prices.latest import stock_name


@pytest.mark.parametrize("name", ["7203.t", "600519", "^gspc", "stock1"])
@pytest.mark.parametrize("view", ["streaming:stock", "stock"])
def test_each_name_that_rows_may_have_has_its_pages(name, view):
    assert stock_name(name.upper()) == name
    address = reverse(view, args=[name])
    assert resolve(address.replace("%5E", "^")).kwargs == {"name": name}

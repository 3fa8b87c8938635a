"""An empty Redis of credit and prices, as in the tests of orders."""

from tests.transactions.orders.conftest import market

__all__ = ["market"]

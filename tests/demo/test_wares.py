"""The demo's made-up rows: the same each time, and with what makes pages interesting."""

import csv
import random
from datetime import UTC, datetime
from itertools import islice

from config.demo import market, wares
from config.demo.generators import GENERATORS
from config.demo.supervisor import NEEDS
from config.trading_users import USER
from streaming.prices.latest import stock_name
from streaming.prices.value import Value
from tests.products.imports import import_oracle


def test_products_are_the_same_each_time_with_a_few_rejects() -> None:
    data = wares.products()
    expected = import_oracle.expect(data)
    assert data == wares.products()
    assert {sku.lower() for sku in wares.skus()} == set(expected.products)
    assert len(expected.rejected_lines) == 4
    assert expected.duplicates == 1


def test_sales_are_of_the_sample_products() -> None:
    rows = list(csv.DictReader(wares.sales().decode("latin-1").splitlines()))
    assert len(rows) == wares.SALES
    assert {row["StockCode"] for row in rows} <= set(wares.skus())
    assert any(int(row["Quantity"]) < 0 for row in rows)


def test_shares_and_users_have_names_that_are_taken() -> None:
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    for share in market.SHARES:
        assert stock_name(share) == share
        Value.parse(market.history(share, now))
    assert all(USER.fullmatch(name) for name in market.CREDITS)


def test_a_walk_goes_on_where_prices_are() -> None:
    share = next(iter(market.SHARES))
    (name, price), *_ = islice(market.walk({share: "1000"}, random.Random(1)), 4)
    assert (name, 900 < float(price) < 1100) == (share, True)


def test_the_supervisor_knows_the_needs_of_all_generators() -> None:
    assert {name: each.needs for name, each in GENERATORS.items()} == NEEDS

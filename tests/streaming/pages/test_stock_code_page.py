"""The page of one StockCode as it is rendered."""

import json
from html import unescape

import pytest

from products.models import Product
from streaming.sales import addresses, board
from tests.streaming.showing import AT, curve, partition, selling, snapshot

pytestmark = pytest.mark.django_db

ADDRESS = "/streaming/sales/"


def test_it_has_sum_sales_product_and_curve(read, client):
    product = Product.objects.create(sku="85123a", name="Heart holder")
    board.publish(
        snapshot(
            top=[selling("85123A", "1040.8", sales=1_200)],
            curves={"85123A": curve("0.0", "15.3", "1040.8")},
        )
    )
    page = read(f"{ADDRESS}85123A/")
    assert "85123A Heart holder" in page
    assert "1,040.80 sum of the last 10 minutes 1,200 sales" in page
    assert "1,500 1,000 500 0" in page and "As a table" in page
    body = client.get(f"{ADDRESS}85123A/").content.decode()
    assert f'href="/products/{product.pk}/"' in body
    assert "From 0.00 to 1,040.80, 1,040.80 at the end" in body
    points = json.loads(unescape(body.split('data-points="')[1].split('"')[0]))
    assert points == [[AT - 540, "0.00"], [AT - 480, "15.30"], [AT - 420, "1,040.80"]]


def test_it_asks_the_instances_for_the_curve(read):
    board.publish(snapshot())
    page = read(f"{ADDRESS}a/b/")
    assert "No curve" in page and "No product has this SKU" in page
    assert board.watched() == ["a/b"]


def test_a_stock_code_that_nobody_sold_is_said_to_be_one(read):
    board.publish(snapshot(curves={"A": []}))
    assert "Nobody has sold A within the last 10 minutes." in read(f"{ADDRESS}A/")


def test_without_an_instance_it_says_so(read):
    assert "No instance runs, so there is no sum." in read(f"{ADDRESS}A/")


def test_a_stock_code_in_two_partitions_has_both_sums(read):
    rows = [selling("A", "1.0", partition=0), selling("A", "2.0", partition=1)]
    board.publish(snapshot(partitions=[partition(0), partition(1)], top=rows))
    page = read(f"{ADDRESS}A/")
    assert "1.00 sum of the last 10 minutes in partition 0" in page
    assert "2.00 sum of the last 10 minutes in partition 1" in page


@pytest.mark.parametrize(
    "code", ["a/b", "/", "//", "ä ☃", "<b>&", "%2F%", "?x=1#y", "..", "a/../b", "dead-letters", ";"]
)
def test_any_stock_code_is_reached_by_its_link(read, client, code):
    board.publish(snapshot(top=[selling(code, "7.0")]))
    read(ADDRESS)
    link = addresses.of_stock_code(code)
    assert f'href="{link}"' in unescape(client.get(ADDRESS).content.decode())
    assert "7.00 sum of the last" in read(link)


@pytest.mark.parametrize("code", ["x" * 129, "a%0Ab", "%00", "%7F"])
def test_what_is_no_stock_code_is_not_found(read, code):
    read(f"{ADDRESS}{code}/", 404)
    if len(code) < 128:
        read(f"{ADDRESS}?stock_code={code}", 404)

"""The pages of orders on a whole running Stockroom: an order is placed, and its page follows it."""

from collections.abc import Iterator

import pytest
import redis
from playwright.sync_api import Page, expect

from tests.browsing import signed_in
from tests.transactions.orders.stage import set_credit, set_price

pytestmark = pytest.mark.browser


@pytest.fixture
def page(chromium, running_stockroom) -> Iterator[Page]:
    """A tab on it; user77 has credit, and stock1 a price."""
    url = running_stockroom.stack.environment["PRICES_REDIS_URL"]
    with redis.Redis.from_url(url) as client, signed_in(chromium, running_stockroom) as context:
        set_credit(client, "user77", 500_000)
        set_price(client, "stock1", 1740)
        yield context.new_page()
        client.delete("user77", "stock1")


def test_an_order_is_placed_and_followed_by_its_own_stream(page):
    opened: list[str] = []
    page.on("request", lambda request: opened.append(request.url))
    page.goto("/transactions/orders/")
    expect(page.locator("#live-tag")).to_have_text("live")
    assert [url for url in opened if url.endswith("/events/orders/")]
    if not page.locator("#id_user").is_visible():
        page.get_by_text("Place a trial order").click()
    page.locator("#id_user").fill("user77")
    page.locator("#id_stockname").select_option("stock1")
    page.locator("#id_quantity").fill("100")
    expect(page.locator("#cost")).to_contain_text("326,000 would be left")
    page.get_by_role("button", name="Place order").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("100 stock1 for user77")
    expect(page.locator("#live-tag")).to_have_text("live")
    assert [url for url in opened if "/events/order-" in url]
    expect(page.locator(".time-line")).to_contain_text("Verification began")
    expect(page.get_by_text("Credit after")).to_be_visible()  # the part was fetched again
    expect(page.locator("#live-tag")).to_have_text("live")
    expect(page.locator("#live-tag")).to_be_visible()

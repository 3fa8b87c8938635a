"""Pages of orders in a real browser: what changes and stays, keys, a phone, what axe finds."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
import redis
from playwright.sync_api import Page, expect

from tests.browsing import DESK, PHONE, faults, watched
from tests.transactions.orders.stage import set_credit, set_price
from tests.transactions.orders_pages.making import ADDRESS, ago, made, running
from transactions.models import Order, OrderStatus, Reason
from transactions.orders import keys, traders

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def page(page: Page, user, sign_in, live_server, market) -> Iterator[Page]:
    """A signed-in tab that fails its test for what the policy refused or what broke."""
    sign_in(user)
    with watched(page, live_server.url) as tab:
        yield tab


def shop(market: redis.Redis) -> None:
    """A stock that has a price, and a user with credit."""
    set_price(market, "stock1", 1000, 1740)
    set_credit(market, "user1", 500_000)
    traders.forget()


def full(market: redis.Redis) -> None:
    """Orders in every state, many users, numbers of all lengths."""
    shop(market)
    set_price(market, "stock2", "0.000001")
    set_price(market, "stock3", "")
    for number in range(2, 40):
        set_credit(market, f"user{number}", f"{number}000.5")
    set_credit(market, "user3", "9" * 60)
    market.set("user4", "no json at all")
    beside = {"orders": 3, "taken": "1234567.5", "credit": "500000", "given": 0}
    market.hset(keys.beside("user1"), mapping=beside)
    for number in range(12):
        made(list(OrderStatus)[number % 5].value, back=60 - number, user=f"user{number + 1}")
    for reason in Reason:
        made(OrderStatus.DENY, reason=reason, detail="Because of what was found out there. " * 4)
    numbers = {"price": Decimal("123456789012.000001"), "amount": Decimal(10) ** 40}
    made(OrderStatus.ACCEPT, user="user3", quantity=10**12, **numbers)
    traders.forget()


def states(market: redis.Redis) -> Iterator[tuple[str, str]]:
    """Each state of the pages is there when its address comes."""
    yield "nothing", ADDRESS
    full(market)
    running("shop-1")
    running("shop-2", waiting_for="PostgreSQL: " + "connection refused " * 9)
    yield "full", ADDRESS
    yield "filtered to none", f"{ADDRESS}?user=nobody&find=none"
    for status in OrderStatus:
        order = Order.objects.filter(status=status.value).latest("pk")
        yield f"an order: {status.value}", f"{ADDRESS}{order.order_id}/"


def test_pages_fit_a_phone_and_axe_finds_no_serious_fault_in_any_state(page, market):
    for state, address in states(market):
        page.goto(address)
        if page.locator(".trial").count():
            page.locator(".trial").evaluate("(each) => { each.open = true; }")
        assert faults(page) == [], state
        page.set_viewport_size(PHONE)
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"], state
        page.emulate_media(color_scheme="dark")
        assert faults(page) == [], f"{state}, dark"
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(DESK)


def test_orders_change_in_place(page, market):
    shop(market)
    order, other = made(), made()
    page.goto(ADDRESS)
    page.evaluate("document.querySelectorAll('.orders tr').forEach((r) => { r.seen = true; })")
    link = page.get_by_role("link", name=str(order.order_id)[:8])
    link.focus()

    Order.objects.filter(pk=order.pk).update(
        status=OrderStatus.ACCEPT, amount=Decimal(174_000), decided_at=ago(0), verified_at=ago(0.1)
    )
    set_credit(market, "user1", 326_000)

    row = page.locator(f'[data-key="order-{order.order_id}"]')
    expect(row).to_contain_text("174,000")
    expect(row).to_contain_text("Accepted")
    expect(page.locator(".credit")).to_contain_text("326,000")
    expect(page.locator(f'[data-key="order-{other.order_id}"]')).to_contain_text("Received")
    # The same elements, and the keyboard is where it was.
    assert page.evaluate("[...document.querySelectorAll('.orders tr')].every((r) => r.seen)")
    expect(link).to_be_focused()


def test_from_nothing_to_the_first_order_without_a_reload(page, market):
    page.goto(ADDRESS)
    expect(page.get_by_role("heading", name="No users yet")).to_be_visible()
    shop(market)
    expect(page.locator(".credit tbody tr")).to_contain_text("500,000")
    made()
    expect(page.locator(".orders tbody tr")).to_have_count(1)
    expect(page.get_by_role("heading", name="No orders yet")).to_have_count(0)


def test_a_trial_order_is_placed_by_keyboard_alone(page, market):
    shop(market)
    page.goto(ADDRESS)
    page.get_by_label("User", exact=True).first.focus()
    page.keyboard.type("user1")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Stock", exact=True).first).to_be_focused()
    page.keyboard.type("stock1")
    page.keyboard.press("Tab")
    page.keyboard.press("Control+A")
    page.keyboard.type("100")
    expect(page.locator("#cost")).to_have_text(
        "100 × 1,740 = 174,000. user1 has 500,000: 326,000 would be left"
    )
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("100 stock1 for user1")
    order = Order.objects.get()
    assert (order.user, order.stockname, order.quantity) == ("user1", "stock1", 100)


def test_what_is_typed_stays_while_prices_change(page, market):
    shop(market)
    set_price(market, "stock2", 5)
    page.goto(ADDRESS)
    page.get_by_label("User", exact=True).first.fill("user1")
    page.get_by_label("Stock", exact=True).first.select_option("stock2")
    page.get_by_label("Quantity").fill("7")
    expect(page.locator("#cost")).to_contain_text("7 × 5 = 35.")

    set_price(market, "stock2", 5, "6.5")
    expect(page.locator("#id_stockname option[value=stock2]")).to_have_text("stock2 · 6.5")
    expect(page.locator("#cost")).to_contain_text("7 × 6.5 = 45.5.")
    expect(page.get_by_label("User", exact=True).first).to_have_value("user1")
    expect(page.get_by_label("Stock", exact=True).first).to_have_value("stock2")
    expect(page.get_by_label("Quantity")).to_have_value("7")


def test_errors_stay_while_the_page_goes_on(page, market):
    shop(market)
    page.goto(ADDRESS)
    page.get_by_label("User", exact=True).first.fill("user9")
    page.get_by_role("button", name="Place order").click()
    error = page.locator("#id_user_error")
    expect(error).to_contain_text("user9")
    expect(page.get_by_label("User", exact=True).first).to_have_attribute("aria-invalid", "true")
    set_credit(market, "user1", 123)
    expect(page.locator(".credit")).to_contain_text("123")
    expect(error).to_be_visible()


def test_a_user_is_found_while_one_types_and_leads_to_the_orders(page, market):
    full(market)
    made(user="user39")
    page.goto(f"{ADDRESS}?status=open")
    page.get_by_role("searchbox", name="Find a user").focus()
    page.keyboard.type("39")
    expect(page.locator(".credit tbody tr")).to_have_count(1)
    expect(page.locator(".orders tbody")).not_to_contain_text("Accepted")
    page.locator(".credit tbody a").press("Enter")
    expect(page.locator(".orders tbody tr")).to_have_count(1)
    expect(page.locator(".orders tbody tr")).to_contain_text("user39")


def test_one_order_is_followed_to_its_end(page, market):
    order = made()
    page.goto(f"{ADDRESS}{order.order_id}/")
    line = page.locator(".time-line")
    expect(line).to_contain_text("Waits for a consumer")
    began = {"status": OrderStatus.VERIFYING, "verification_began_at": ago(0), "verifications": 2}
    Order.objects.update(**began)
    expect(line).to_contain_text("2nd try")
    Order.objects.update(status=OrderStatus.DENY, reason=Reason.NO_PRICE, decided_at=ago(0))
    expect(line).to_contain_text("The stock has no price")
    expect(page.locator(".head .tag").first).to_have_text("Denied")


def test_without_javascript_forms_post_and_links_page(
    chromium, live_server, sign_in, browser_context, user, market
):
    shop(market)
    for _ in range(51):
        made()
    sign_in(user)
    context = chromium.new_context(
        base_url=live_server.url,
        java_script_enabled=False,
        storage_state=browser_context.storage_state(),
    )
    page = context.new_page()
    page.goto(ADDRESS)
    expect(page.locator(".orders tbody tr")).to_have_count(50)
    page.get_by_role("link", name="Older").click()
    expect(page.locator(".orders tbody tr")).to_have_count(1)
    page.get_by_text("Place a trial order").click()
    page.get_by_label("User", exact=True).first.fill("user1")
    page.get_by_label("Quantity").fill("3")
    page.get_by_role("button", name="What would it cost?").click()
    expect(page.locator("#cost")).to_contain_text("3 × 1,740 = 5,220.")
    page.get_by_role("button", name="Place order").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("3 stock1 for user1")
    context.close()

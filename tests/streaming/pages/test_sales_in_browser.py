"""The pages in a real browser: what changes, what stays, keys, phone width, what axe finds."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from products.models import Product
from streaming.sales import board
from tests.browsing import DESK, PHONE, faults, watched
from tests.services.waiting import until
from tests.streaming.showing import age, clear, curve, partition, selling, snapshot

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ADDRESS = "/streaming/sales/"
CODES = ["85123A", "POST", "a very long / StockCode that ☃ nobody expects"] + [
    str(20_000 + 37 * number) for number in range(47)
]
HALTED = {
    "offset": 123_456,
    "reason": "two_keys",
    "detail": "StockCode 85123A has another key than before.",
    "advice": "Copy the topic with `manage.py rekey_sales`.",
}
REFUSED = {
    "partition": 1,
    "offset": 998_000,
    "reason": "missing_field",
    "detail": "There is no field Price.",
    "text": '{"Invoice": "489434", "StockCode": "85048", "Quantity": 12}' * 3,
}


@pytest.fixture
def page(page: Page, user, sign_in, live_server) -> Iterator[Page]:
    """A signed-in tab that fails its test for what the policy refused or what broke."""
    sign_in(user)
    with watched(page, live_server.url) as tab:
        yield tab


def sold(*amounts: str, **values: Any) -> dict[str, Any]:
    """A snapshot with the sums of CODES."""
    return snapshot(
        top=[selling(code, amount) for code, amount in zip(CODES, amounts, strict=False)], **values
    )


def fifty() -> dict[str, Any]:
    return sold(
        *(f"{100_000 / (number + 1) - 3_000:.2f}" for number in range(50)),
        partitions=[partition(0), partition(1)],
        recent_refusals=[REFUSED],
        curves={"85123A": curve("0.0", "-15.3", "1040.8", "40.25")},
        warnings=[{"code": "create_time", "words": "The topic data keeps producers' times."}],
    )


def states() -> Iterator[tuple[str, str]]:
    """Each state of the pages is on the board when its address comes."""
    yield "nothing runs", ADDRESS
    board.publish(snapshot(state="waiting", waiting_for="No broker answers.", partitions=[]))
    yield "waiting", ADDRESS
    board.publish(snapshot(partitions=[partition(number) for number in range(4)]))
    yield "no sales", ADDRESS
    replayed = partition(0, replay={"from": 100_000, "at": 640_000, "to": 900_000})
    board.publish(snapshot(state="replaying", partitions=[replayed, partition(1)]))
    yield "replaying", ADDRESS
    board.publish(fifty())
    yield "running", ADDRESS
    yield "filtered", f"{ADDRESS}?find=2003"
    yield "one StockCode", f"{ADDRESS}85123A/"
    yield "an unknown one", f"{ADDRESS}nobody/knows%20it/"
    board.publish(sold("5.0", "4.0", state="halted", partitions=[partition(3, halted=HALTED)]))
    yield "halted", ADDRESS
    board.publish(fifty())
    age(125.0)
    yield "stale", ADDRESS
    yield "a stale StockCode", f"{ADDRESS}85123A/"


def test_pages_fit_a_phone_and_axe_finds_no_serious_fault_in_any_state(page):
    Product.objects.create(sku="85123A", name="WHITE HANGING HEART T-LIGHT HOLDER" * 3)
    for state, address in states():
        page.goto(address)
        assert faults(page) == [], state
        page.set_viewport_size(PHONE)
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"], state
        page.emulate_media(color_scheme="dark")
        assert faults(page) == [], f"{state}, dark"
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(DESK)


def rows(page: Page) -> list[str]:
    return page.locator(".sums tbody th").all_inner_texts()


def test_figures_change_in_place_and_rows_take_their_new_places(page):
    board.publish(sold("30.0", "20.0", "10.0"))
    page.goto(ADDRESS)
    assert rows(page) == CODES[:3]
    page.evaluate("document.querySelectorAll('.sums tr').forEach((row) => { row.seen = true; })")
    page.get_by_role("link", name="POST").focus()

    board.publish(sold("30.0", "1220.5", "10.0", rate_in=4_321.0))

    until(lambda: rows(page) == ["POST", "85123A", CODES[2]])
    first = page.locator(".sums tbody tr").first
    expect(first.locator(".money")).to_have_text("1,220.50")
    expect(page.locator(".tile").first).to_contain_text("4,321")
    # The same elements, and the keyboard is where it was.
    assert page.evaluate("[...document.querySelectorAll('.sums tr')].every((row) => row.seen)")
    expect(page.get_by_role("link", name="POST")).to_be_focused()


def test_a_state_comes_and_goes_without_a_reload(page):
    page.goto(ADDRESS)
    expect(page.get_by_role("heading", name="No instance runs")).to_be_visible()
    board.publish(snapshot(state="waiting", waiting_for="No broker answers.", partitions=[]))
    expect(page.get_by_text("No broker answers.")).to_be_visible()
    board.publish(sold("5.0", partitions=[partition(0, halted=HALTED)], state="halted"))
    expect(page.locator(".notice.bad")).to_contain_text("is halted at offset 123456")
    board.publish(sold("5.0"))
    expect(page.locator(".notice")).to_have_count(0)
    age(125.0)
    expect(page.get_by_text("No news.")).to_be_visible()
    clear()
    expect(page.get_by_role("heading", name="No instance runs")).to_be_visible()


def test_the_filter_works_while_one_types_and_figures_come(page):
    board.publish(fifty())
    page.goto(ADDRESS)
    field = page.get_by_label("Filter by StockCode")
    field.focus()
    page.keyboard.type("8512")
    until(lambda: rows(page) == ["85123A"])
    expect(page).to_have_url(re.compile(r"\?find=8512$"))
    board.publish(fifty())
    page.keyboard.type("3z")
    expect(page.get_by_text("None of the 50 largest sums has “85123z”")).to_be_visible()
    expect(field).to_be_focused()
    expect(field).to_have_value("85123z")
    page.get_by_role("link", name="Open 85123z").click()
    expect(page.locator("h1")).to_have_text("85123z")
    page.go_back()
    expect(page.get_by_label("Filter by StockCode")).to_have_value("85123z")


def test_what_is_opened_stays_open_while_figures_come(page):
    board.publish(sold("5.0", curves={"85123A": curve("1.0", "5.0")}))
    page.goto(f"{ADDRESS}85123A/")
    page.get_by_text("As a table").click()
    cell = page.locator(".as-table .money").last
    expect(cell).to_have_text("5.00")
    board.publish(sold("7.0", curves={"85123A": curve("5.0", "7.25")}))
    expect(cell).to_have_text("7.25")
    expect(cell).to_be_visible()


def test_a_moment_of_the_curve_is_read_by_mouse_and_by_keys(page):
    board.publish(sold("5.0", curves={"85123A": curve("1.0", "2.5", "1300.0", "4.0")}))
    page.goto(f"{ADDRESS}85123A/")
    said = page.locator("#at-moment")
    plot = page.locator(".plot").bounding_box()
    page.mouse.move(plot["x"] + plot["width"] * 0.66, plot["y"] + 20)
    expect(said).to_contain_text("1,300.00")
    page.mouse.move(5, 5)
    expect(said).to_have_text("")
    slider = page.get_by_role("slider", name="Moment")
    slider.focus()
    page.keyboard.press("Home")
    expect(said).to_contain_text("· 1.00")
    page.keyboard.press("ArrowRight")
    expect(said).to_contain_text("· 2.50")
    assert slider.get_attribute("aria-valuetext").endswith("· 2.50")
    board.publish(sold("5.0", curves={"85123A": curve("1.0", "9.75", "1300.0", "4.0")}))
    expect(said).to_contain_text("· 9.75")
    expect(slider).to_be_focused()


def test_from_the_list_to_a_product_by_keyboard(page):
    product = Product.objects.create(sku="85123A", name="Heart holder")
    board.publish(sold("5.0"))
    page.goto(ADDRESS)
    page.get_by_role("link", name="85123A").press("Enter")
    expect(page.locator("h1")).to_have_text("85123A")
    page.get_by_role("link", name="Heart holder").press("Enter")
    expect(page).to_have_url(re.compile(f"/products/{product.pk}/$"))


def test_without_the_server_the_figures_are_marked(page, browser_context):
    board.publish(sold("5.0"))
    page.goto(ADDRESS)
    browser_context.set_offline(True)
    expect(page.locator("#live-tag")).to_have_text("offline")
    expect(page.locator("#sales")).to_have_class("old")
    browser_context.set_offline(False)
    expect(page.locator("#sales")).not_to_have_class("old")


def test_who_is_signed_out_is_led_to_the_login(page, browser_context):
    page.goto(ADDRESS)
    browser_context.clear_cookies(name="sessionid")
    expect(page).to_have_url(re.compile("/login/.*next=.*streaming"))


def test_without_a_script_it_is_a_plain_page_that_comes_anew(
    chromium, live_server, user, sign_in, browser_context
):
    sign_in(user)
    board.publish(fifty())
    plain = chromium.new_context(base_url=live_server.url, java_script_enabled=False)
    plain.add_cookies(browser_context.cookies())
    page = plain.new_page()
    page.goto(ADDRESS)
    page.get_by_label("Filter by StockCode").fill("POST")
    page.get_by_role("button", name="Filter").click()
    assert rows(page) == ["POST"]
    assert page.locator("noscript meta[http-equiv=refresh]").count() == 1
    plain.close()

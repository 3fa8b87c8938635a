"""Pages of prices in a real browser: what changes, what stays, keys, a phone, what axe finds."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from streaming.prices import board
from tests.browsing import DESK, PHONE, faults, watched
from tests.services.waiting import until
from tests.streaming import pricing
from tests.streaming.pricing import age, partition, snapshot

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("no_prices"),
]

ADDRESS = "/streaming/prices/"
LONG_NAME = "a.very-long_name-that-nobody-expects-of-a-share.1234567890.123"
HALTED = {
    "reason": "topic_recreated",
    "detail": "the topic was deleted and made again: rows were read of the one with id"
    " 4bC-Xw7yQ2mJ0KfT9sHh3A, now there is Zr5u1PpEQ0a8d2vN6LkYcg",
    "advice": "Run `manage.py seek_prices --to beginning` to read it from its beginning.",
}


@pytest.fixture
def page(page: Page, user, sign_in, live_server) -> Iterator[Page]:
    """A signed-in tab that fails its test for what the policy refused or what broke."""
    sign_in(user)
    with watched(page, live_server.url) as tab:
        yield tab


def day(name: str, rows: int, price: int) -> None:
    """A history that goes up and down, with gaps."""
    pricing.add(
        name,
        *(
            (
                f"09{7 * n // 60 % 60:02}{7 * n % 60:02}",
                "" if n % 90 > 80 else str(price + (37 * n * n) % 90 - n % 41),
            )
            for n in range(rows)
        ),
    )


def stocks() -> None:
    for number, price in enumerate((1_000, 450, 1_700), 1):
        day(f"stock{number}", 400, price)
    pricing.add(LONG_NAME, ("090000", "123456789012.123456"), ("090001", "0.000001"))
    store = pricing.store()
    for asked in store.ask(1):
        store.begin(asked)
        if asked.stock == "stock2":
            store.fail(asked, "ZeroDivisionError: division by zero, in a function of somebody")
        elif asked.stock != "stock3":
            store.finish(asked, "0", 3.0)


def states() -> Iterator[tuple[str, str]]:
    """Each state of the pages is there when its address comes."""
    yield "nothing at all", ADDRESS
    yield "no dead letters", f"{ADDRESS}dead-letters/"
    board.publish(snapshot(state="waiting", waiting_for="No broker answers.", partitions=[]))
    yield "waiting", ADDRESS
    stocks()
    board.publish(snapshot(partitions=[partition(number) for number in range(4)]))
    yield "running", ADDRESS
    yield "filtered", f"{ADDRESS}?find=stock1"
    yield "found nothing", f"{ADDRESS}?find=none"
    yield "one stock", f"{ADDRESS}stocks/stock1/"
    yield "one that failed", f"{ADDRESS}stocks/stock2/?from=09:10:00&to=09:20:00"
    yield "a long name", f"{ADDRESS}stocks/{LONG_NAME}/"
    yield "no rows then", f"{ADDRESS}stocks/stock1/?from=nine&to=08:00"
    notice = "offsets 5 to 70 were deleted before they were read"
    board.publish(
        snapshot(
            state="halted", partitions=[partition(0, halted=HALTED), partition(1, notice=notice)]
        )
    )
    yield "halted", ADDRESS
    age(125.0)
    yield "stale", ADDRESS
    yield "a stale stock", f"{ADDRESS}stocks/stock1/"
    pricing.refuse(b'{"time": "090006", "stock": "stock3", "price": -5}' * 9, b"\xff" * 900, b"")
    yield "dead letters", f"{ADDRESS}dead-letters/"


def test_pages_fit_a_phone_and_axe_finds_no_serious_fault_in_any_state(page):
    for state, address in states():
        page.goto(address)
        assert faults(page) == [], state
        page.set_viewport_size(PHONE)
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"], state
        page.emulate_media(color_scheme="dark")
        assert faults(page) == [], f"{state}, dark"
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(DESK)


def test_prices_change_in_place(page):
    pricing.add("stock1", ("090000", "1000"))
    pricing.add("stock2", ("090000", "450"))
    board.publish(snapshot())
    page.goto(ADDRESS)
    page.evaluate("document.querySelectorAll('.shares tr').forEach((row) => { row.seen = true; })")
    page.get_by_role("link", name="stock2").focus()

    pricing.add("stock2", ("090007", "441.5"))
    board.publish(snapshot(rate=4_321.0))

    row = page.locator(".shares tbody tr").nth(1)
    expect(row.locator(".money")).to_have_text("441.5")
    expect(row).to_contain_text("09:00:07")
    expect(row).to_contain_text("-8.5 (-1.89 %)")
    expect(page.locator(".tiles")).to_contain_text("4,321")
    # The same elements, and the keyboard is where it was.
    assert page.evaluate("[...document.querySelectorAll('.shares tr')].every((row) => row.seen)")
    expect(page.get_by_role("link", name="stock2")).to_be_focused()


def test_the_first_prices_and_a_new_stock_come_without_a_reload(page):
    page.goto(ADDRESS)
    expect(page.get_by_role("heading", name="No prices yet")).to_be_visible()
    pricing.add("stock1", ("090000", "1000"))
    board.publish(snapshot())
    expect(page.get_by_role("link", name="stock1")).to_be_visible()
    expect(page.get_by_role("heading", name="No prices yet")).to_have_count(0)
    pricing.add("acme", ("090000", "7"))
    board.publish(snapshot(partitions=[partition(halted=HALTED)], state="halted"))
    expect(page.get_by_role("link", name="acme")).to_be_visible()
    expect(page.locator(".notice.bad")).to_contain_text("is halted at offset 500")
    board.publish(snapshot())
    expect(page.locator(".notice.bad")).to_have_count(0)


def test_the_filter_works_while_one_types(page):
    for name in ("stock1", "stock2", "acme"):
        pricing.add(name, ("090000", "5"))
    page.goto(ADDRESS)
    page.get_by_label("Filter by name").focus()
    page.keyboard.type("ACM")
    until(lambda: page.locator(".shares tbody th").all_inner_texts() == ["acme"])
    expect(page).to_have_url(re.compile(r"\?find=ACM$"))


def test_the_curve_grows_and_what_is_opened_stays_open(page):
    pricing.add("s", ("090000", "5"), ("090010", "6"))
    board.publish(snapshot())
    page.goto(f"{ADDRESS}stocks/s/")
    page.get_by_text("As a table").click()
    cell = page.locator(".as-table .money").last
    expect(cell).to_have_text("6")
    line = page.locator(".plot .line").get_attribute("d")
    pricing.add("s", ("090020", "7.25"))
    board.publish(snapshot())
    expect(cell).to_have_text("7.25")
    expect(cell).to_be_visible()
    expect(page.locator(".newest-rows tbody tr").first).to_contain_text("09:00:20")
    assert page.locator(".plot .line").get_attribute("d") != line


def test_a_moment_of_the_curve_is_read_by_mouse_and_by_keys(page):
    # Unevenly spaced: the middle of the axis is near the third row, not the second.
    pricing.add("s", ("090000", "1"), ("090010", "2.5"), ("090100", "1300"), ("090200", ""))
    pricing.add("s", ("090201", "4"))
    page.goto(f"{ADDRESS}stocks/s/")
    said = page.locator("#at-moment")
    plot = page.locator(".plot").bounding_box()
    page.mouse.move(plot["x"] + plot["width"] * 0.5, plot["y"] + 20)
    expect(said).to_have_text("09:01:00 · 1,300")
    page.mouse.down()
    page.mouse.up()
    expect(said).to_have_text("09:01:00 · 1,300")
    page.mouse.move(plot["x"] + plot["width"] * 0.99, plot["y"] + 20)
    expect(said).to_have_text("09:02:00 · no data")
    page.mouse.move(5, 5)
    slider = page.get_by_role("slider", name="Moment")
    slider.focus()
    page.keyboard.press("Home")
    expect(said).to_have_text("09:00:00 · 1")
    page.keyboard.press("ArrowRight")
    expect(said).to_have_text("09:00:10 · 2.5")
    assert slider.get_attribute("aria-valuetext") == "09:00:10 · 2.5"


def test_times_are_chosen_by_keyboard_and_the_page_stays_live(page):
    pricing.add("s", *((f"09{n:02}00", str(n + 1)) for n in range(30)))
    board.publish(snapshot())
    page.goto(f"{ADDRESS}stocks/s/")
    page.get_by_role("textbox", name="From", exact=True).fill("09:05:00")
    page.get_by_role("textbox", name="to", exact=True).fill("092930")
    page.get_by_role("button", name="Show").press("Enter")
    expect(page.get_by_text("25 rows")).to_be_visible()
    pricing.add("s", ("092930", "77"), ("093000", "78"))
    board.publish(snapshot())
    expect(page.get_by_text("26 rows")).to_be_visible()
    expect(page.locator(".newest-rows tbody tr").first).to_contain_text("77")
    page.get_by_role("link", name="All", exact=True).click()
    expect(page.locator(".newest-rows tbody tr").first).to_contain_text("78")


def test_from_the_list_to_a_stock_and_its_json_by_keyboard(page):
    pricing.add("stock1", ("090000", "5"))
    page.goto(ADDRESS)
    page.get_by_role("link", name="stock1").press("Enter")
    expect(page.locator("h1")).to_have_text("stock1")
    page.get_by_role("link", name="As JSON").press("Enter")
    expect(page.locator("body")).to_contain_text('"price":[5]')


def test_dead_letters_are_filtered_and_downloaded_by_keyboard(page):
    pricing.refuse(b"no json", b'{"time": "090006", "stock": "stock3", "price": -5}')
    page.goto(f"{ADDRESS}dead-letters/")
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_label("Reason").select_option("negative price")
    page.get_by_role("button", name="Filter").press("Enter")
    expect(page.locator("tbody tr")).to_have_count(1)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "prices-dead-letters-negative_price.jsonl"


def test_without_the_server_the_figures_are_marked(page, browser_context):
    pricing.add("stock1", ("090000", "5"))
    page.goto(ADDRESS)
    browser_context.set_offline(True)
    expect(page.locator("#live-tag")).to_have_text("offline")
    expect(page.locator("#prices")).to_have_class("old")
    browser_context.set_offline(False)
    expect(page.locator("#prices")).not_to_have_class("old")

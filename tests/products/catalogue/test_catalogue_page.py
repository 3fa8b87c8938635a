"""The list page in a real browser: typing, history, pages, ticks, keys, and what axe finds."""

import contextlib
import re

import pytest
from playwright.sync_api import BrowserContext, Error, Page, Route, expect

from products.models import Product
from tests.browsing import DESK, PHONE, faults, watched

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

NAME_OF_FOCUSED = "(({ ariaLabel, innerText }) => ariaLabel ?? innerText)(document.activeElement)"


@pytest.fixture
def catalogue(db) -> list[Product]:
    """120 products "item-001"… of which every third is inactive; three tell of a song."""
    return Product.objects.bulk_create(
        Product(
            sku=f"item-{n:03}",
            name=f"{'Zebra' if n % 2 else 'Apple'} {n:03}",
            description=f"{'A song of old. ' if n in (20, 40, 60) else ''}Text {n}",
            active=n % 3 != 0,
        )
        for n in range(1, 121)
    )


@pytest.fixture
def page(page: Page, user, sign_in, live_server) -> Page:
    """A signed-in tab that fails its test for what the policy refused or what broke."""
    sign_in(user)
    with watched(page, live_server.url) as tab:
        yield tab


def search(page: Page):
    return page.get_by_label("Search SKU, name and description")


def rows(page: Page):
    return page.locator("#results tbody tr")


def skus(page: Page) -> list[str]:
    return page.locator("#results tbody th").all_inner_texts()


def test_results_follow_the_typing_and_the_address_the_results(page, catalogue):
    page.goto("/products/")
    expect(rows(page)).to_have_count(50)
    page.keyboard.press("/")
    expect(search(page)).to_be_focused()
    page.keyboard.type("song", delay=20)
    expect(rows(page)).to_have_count(3)
    expect(page).to_have_url("/products/?q=song")
    expect(page.locator("#count")).to_have_text("3 match")
    expect(page.locator("#announce")).to_have_text("3 products, newest first")
    expect(page.locator("tbody mark").first).to_have_text("song")
    expect(page).to_have_title("song · Products · Stockroom")

    page.keyboard.type(" old zzz", delay=20)
    expect(page.get_by_role("heading", name="Nothing matches “song old zzz”")).to_be_visible()
    expect(search(page)).to_be_focused()
    page.keyboard.press("Escape")
    expect(rows(page)).to_have_count(50)
    expect(search(page)).to_have_value("")
    expect(page).to_have_url("/products/")


def test_what_is_typed_before_the_scripts_are_there_is_searched(page, catalogue):
    held: list[Route] = []
    page.route(re.compile(r"/htmx\S*\.js"), lambda route: held.append(route))
    page.goto("/products/", wait_until="commit")
    expect(rows(page)).to_have_count(50)
    search(page).fill("song")
    (script,) = held
    script.continue_()
    expect(rows(page)).to_have_count(3)
    expect(page).to_have_url("/products/?q=song")


def test_back_and_forward_go_through_pauses_filters_sorts_and_pages(page, catalogue):
    page.clock.install()
    page.goto("/products/")
    page.clock.pause_at(page.evaluate("Date.now()") + 1000)  # how busy the machine is plays no part
    before = page.evaluate("history.length")
    for typed in ("i", "it", "ite", "item"):  # each letter is asked for
        search(page).press(typed[-1])
        page.clock.run_for(400)
        expect(page).to_have_url(f"/products/?q={typed}")
    assert page.evaluate("history.length") == before + 1  # no pause: one entry
    page.clock.resume()
    page.get_by_role("link", name="Inactive").click()
    expect(page).to_have_url("/products/?q=item&state=inactive")
    expect(rows(page)).to_have_count(40)
    page.get_by_role("link", name="Active", exact=True).click()
    expect(page).to_have_url("/products/?q=item&state=active")
    page.get_by_role("link", name="SKU", exact=True).click()
    expect(page).to_have_url("/products/?q=item&state=active&sort=sku")
    expect(rows(page).first).to_contain_text("item-001")
    expect(page.get_by_role("columnheader", name="SKU")).to_have_attribute("aria-sort", "ascending")
    page.get_by_role("link", name="Next").click()
    expect(rows(page)).to_have_count(30)
    expect(rows(page).last).to_contain_text("item-119")
    deep = page.url

    for address, first in (
        ("/products/?q=item&state=active&sort=sku", "item-001"),
        ("/products/?q=item&state=active", "item-119"),
        ("/products/?q=item&state=inactive", "item-120"),
        ("/products/?q=item", "item-120"),
    ):
        page.go_back()
        expect(page).to_have_url(address)
        expect(rows(page).first).to_contain_text(first)
    expect(search(page)).to_have_value("item")
    page.go_back()
    expect(page).to_have_url("/products/")
    expect(search(page)).to_have_value("")
    for _ in range(5):
        page.go_forward()
    expect(page).to_have_url(deep)
    expect(rows(page)).to_have_count(30)
    expect(search(page)).to_have_value("item")
    expect(page.get_by_role("link", name="Active", exact=True)).to_have_attribute(
        "aria-current", "true"
    )
    page.reload()
    expect(page).to_have_url(deep)
    expect(rows(page)).to_have_count(30)
    expect(search(page)).to_have_value("item")


def test_an_older_answer_never_takes_the_place_of_a_newer_one(page, catalogue):
    """The answer to "item-0" is held back until the one to "item-01" is shown."""
    held: list[Route] = []
    page.goto("/products/")
    page.route("**/products/?q=item-0", lambda route: held.append(route))
    with page.expect_request("**/products/?q=item-0"):
        search(page).fill("item-0")
    expect(page.locator("#busy")).to_have_class(re.compile("htmx-request"))
    search(page).fill("item-01")
    expect(page.locator("#count")).to_have_text("10 match")
    expect(page.locator(".htmx-request")).to_have_count(0)
    for route in held:
        with contextlib.suppress(Error):  # given up already: there is nobody to be answered
            route.fulfill(body="older answer")
    search(page).fill("item-012")
    expect(page.locator("#count")).to_have_text("1 product matches")
    expect(page.get_by_text("older answer")).to_have_count(0)
    expect(page).to_have_url("/products/?q=item-012")


def test_a_filter_takes_along_what_was_typed_a_moment_before(page, catalogue):
    page.goto("/products/")
    search(page).press_sequentially("item-01")
    page.get_by_role("link", name="Inactive").click()
    expect(page).to_have_url(re.compile(r"\?(q=item-01&state=inactive|state=inactive&q=item-01)$"))
    expect(rows(page)).to_have_count(3)
    expect(search(page)).to_have_value("item-01")


def test_a_filter_that_is_pressed_while_results_come_is_followed(page, catalogue):
    """The press of a person takes a tenth of a second, in which an answer may arrive."""
    page.goto("/products/")
    link = page.get_by_role("link", name="Inactive")
    for typed, button, count in (("item-0", page.mouse.down, 50), ("item-01", page.mouse.up, 3)):
        link.hover()
        search(page).fill(typed)
        expect(page).to_have_url(f"/products/?q={typed}")
        button()
        expect(rows(page)).to_have_count(count)
    expect(page).to_have_url("/products/?q=item-01&state=inactive")
    page.go_back()
    expect(rows(page)).to_have_count(10)
    expect(page.get_by_role("link", name="All", exact=True)).to_have_attribute(
        "aria-current", "true"
    )


def test_rows_are_ticked_one_by_one_in_ranges_and_all(page, catalogue):
    page.goto("/products/?sort=sku")
    selection = page.locator("#bulk")
    boxes = page.locator("tbody input")
    expect(selection).to_be_hidden()
    boxes.nth(2).check()
    expect(selection).to_contain_text("1 selected")
    boxes.nth(6).click(modifiers=["Shift"])
    expect(selection).to_contain_text("5 selected")
    page.get_by_role("button", name="Clear").click()
    expect(selection).to_be_hidden()

    page.get_by_label("Select all on this page").check()
    expect(selection).to_contain_text("50 selected")
    page.get_by_label("Select all 120").check()
    expect(selection).to_contain_text("120 selected")
    expect(boxes.first).to_be_disabled()
    page.get_by_label("Select all 120").uncheck()
    expect(selection).to_be_hidden()

    boxes.first.check()
    page.get_by_role("link", name="Next").click()
    expect(rows(page).first).to_contain_text("item-051")
    expect(selection).to_be_hidden()  # what is not seen is not selected


def test_the_buttons_for_ticked_rows_are_near_and_nothing_covers_them(page, catalogue):
    page.goto("/products/?sort=sku")
    page.get_by_label("Select item-040").check()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Activate", exact=True)).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    note = page.locator(".toast")
    expect(note).to_contain_text("1 product deactivated.")
    note.get_by_role("button").focus()  # it does not fade away meanwhile
    expect(rows(page).filter(has_text="item-040")).to_contain_text("inactive")
    expect(page.locator("#bulk")).to_be_visible()
    for size in (DESK, {"width": 800, "height": 700}, PHONE):
        page.set_viewport_size(size)
        bar, over = page.locator("#bulk").bounding_box(), note.bounding_box()
        assert over["y"] + over["height"] <= bar["y"], size
        assert bar["y"] + bar["height"] == pytest.approx(size["height"], abs=1)


def test_the_states_stay_in_place_however_long_the_count(page, catalogue):
    page.goto("/products/?q=item-012")
    before = page.locator("#state-all").bounding_box()
    search(page).fill("item")
    expect(page.locator("#count")).to_have_text("120 match")
    page.locator("#count").evaluate("each => { each.textContent = 'about 1,234,567 match'; }")
    assert page.locator("#state-all").bounding_box() == before


def test_ticked_products_are_changed_and_the_list_keeps_its_place(page, catalogue):
    page.goto("/products/?q=item&sort=sku")
    page.get_by_label("Select item-004").check()
    page.get_by_label("Select item-005").check()
    page.get_by_role("button", name="Deactivate").click()
    row = page.locator(f'tr[data-id="{catalogue[3].pk}"]')
    expect(row).to_contain_text("inactive")
    expect(page).to_have_url("/products/?q=item&sort=sku")
    expect(page.get_by_label("Select item-005")).to_be_checked()
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete 2 products").click()
    expect(row).to_have_count(0)
    expect(page.locator("#bulk")).to_be_hidden()
    page.get_by_role("button", name="Undo").click()
    expect(row).to_have_count(1)


def test_all_that_match_are_changed_after_a_question(page, catalogue):
    page.goto("/products/?q=zebra")
    page.get_by_label("Select all on this page").check()
    page.get_by_label("Select all 60 that match").check()
    page.get_by_role("button", name="Deactivate").click()
    page.get_by_role("dialog").get_by_role("button", name="Deactivate").click()
    expect(page.get_by_role("status")).to_contain_text("40 products")
    assert not Product.objects.filter(name__contains="Zebra", active=True).exists()
    assert Product.objects.filter(name__contains="Apple", active=True).count() == 40


def test_a_row_opens_its_product_and_shows_what_was_saved(page, catalogue):
    page.goto("/products/?q=item&state=active&sort=sku")
    page.get_by_role("link", name="Next").click()
    expect(rows(page)).to_have_count(30)
    here = page.url
    page.evaluate("scrollTo(0, 400)")
    rows(page).nth(20).locator("td").nth(1).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Quite another name")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    expect(rows(page).nth(20)).to_contain_text("Quite another name")
    expect(rows(page).nth(20)).to_have_class(re.compile("touched"))
    assert page.url == here
    assert page.evaluate("scrollY") == 400
    expect(rows(page).nth(20).get_by_role("link")).to_be_focused()


def test_a_product_is_added_and_deleted_with_an_undo(page, db):
    page.goto("/products/")
    page.get_by_role("link", name="Add product").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("SKU").fill("first")
    dialog.get_by_label("Name").fill("The first")
    dialog.get_by_role("button", name="Add product").click()
    expect(rows(page)).to_have_count(1)
    expect(page.locator("#list-total")).to_have_text("1 product")
    expect(search(page)).to_be_visible()

    page.get_by_role("link", name="first").click()
    dialog.get_by_role("link", name="Delete…").click()
    dialog.get_by_role("button", name="Delete product").click()
    expect(page.get_by_role("heading", name="No products yet")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(rows(page)).to_have_count(1)


def test_no_match_offers_a_product_with_this_sku(page, catalogue):
    page.goto("/products/?q=new-one")
    page.get_by_role("link", name="Add a product with this SKU").click()
    expect(page.get_by_role("dialog").get_by_label("SKU")).to_have_value("new-one")


def test_everything_is_done_with_the_keyboard_alone(page, catalogue):
    page.goto("/products/")
    page.keyboard.press("/")
    page.keyboard.type("item-1", delay=10)
    expect(page.locator("#count")).to_have_text("21 match")

    def tab_to(name: str) -> None:
        for _ in range(130):
            page.keyboard.press("Tab")
            focused = page.evaluate(
                "[document.activeElement].map(e => e.ariaLabel ?? e.innerText)[0]"
            )
            if focused.strip() == name:
                return
        raise AssertionError(f"Tab does not come to {name}")

    tab_to("Active")
    page.keyboard.press("Enter")
    expect(page).to_have_url("/products/?q=item-1&state=active")
    expect(page.get_by_role("link", name="Active", exact=True)).to_be_focused()
    tab_to("Name")
    page.keyboard.press("Enter")
    expect(page).to_have_url("/products/?q=item-1&state=active&sort=name")
    expect(page.get_by_role("link", name="Name", exact=True)).to_be_focused()
    tab_to("Select item-100")
    page.keyboard.press("Space")
    expect(page.locator("#selected")).to_have_text("1 selected")
    page.keyboard.press("Enter")  # in a box it does nothing
    tab_to("item-100")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("SKU")).to_have_value("item-100")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("link", name="item-100")).to_be_focused()
    page.keyboard.press("/")
    page.keyboard.press("Escape")
    expect(page).to_have_url("/products/?state=active&sort=name")
    tab_to("Next")
    page.keyboard.press("Enter")
    expect(rows(page)).to_have_count(30)


def test_a_link_opened_in_a_new_tab_leaves_the_list_alone(page, catalogue, browser_context):
    page.goto("/products/")
    with browser_context.expect_page() as opened:
        rows(page).first.get_by_role("link").click(modifiers=["ControlOrMeta"])
    expect(opened.value).to_have_url(re.compile(rf"/products/{catalogue[-1].pk}/"))
    expect(page.locator("#panel")).to_be_hidden()


def test_a_product_named_as_a_script_is_only_a_name(page, db):
    evil = "<img src=x onerror=alert(1)><script>alert(1)</script>"
    Product.objects.create(sku="evil", name=evil, description=evil)
    page.goto("/products/")
    search(page).fill("<script")
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text(evil)
    search(page).fill(f"{evil} no")
    expect(page.get_by_role("heading", name="Nothing matches")).to_contain_text(evil)


def test_it_works_without_javascript(chromium, live_server, user, catalogue, client):
    client.force_login(user)
    context: BrowserContext = chromium.new_context(
        base_url=live_server.url, java_script_enabled=False
    )
    context.add_cookies(
        [
            {"name": name, "value": cookie.value, "url": live_server.url}
            for name, cookie in client.cookies.items()
        ]
    )
    page = context.new_page()
    page.goto("/products/?state=active")
    search(page).fill("item")
    page.get_by_role("button", name="Search").click()
    expect(page).to_have_url("/products/?q=item&state=active")
    page.get_by_role("link", name="SKU", exact=True).click()
    page.get_by_role("link", name="Next").click()
    expect(rows(page)).to_have_count(30)
    page.get_by_label("Select item-119").check()
    page.get_by_role("button", name="Deactivate").click()
    expect(page).to_have_url(re.compile(r"/products/\?q=item&state=active&sort=sku&cursor="))
    expect(rows(page)).to_have_count(29)
    page.get_by_role("link", name="item-118").click()
    page.get_by_label("Name").fill("Without a script")
    page.get_by_role("button", name="Save").click()
    expect(page).to_have_url(re.compile(r"/products/\?q=item&state=active&sort=sku&cursor="))
    expect(rows(page).last).to_contain_text("Without a script")
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(page, catalogue, user, scheme):
    user.role = "admin"
    user.save()
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    found: dict[str, list[str]] = {}

    def look(name: str) -> None:
        found[name] = faults(page)

    page.goto("/products/?q=song")
    page.get_by_label("Select all on this page").check()
    look("list with selection")
    rows(page).first.get_by_role("link").click()
    expect(page.get_by_role("dialog").get_by_label("SKU")).to_be_visible()
    look("dialog")
    for name, address in (
        ("no match", "/products/?q=nothing-like-it"),
        ("product", f"/products/{catalogue[0].pk}/"),
        ("new product", "/products/new/"),
        ("delete", f"/products/{catalogue[0].pk}/delete/"),
        ("delete all", "/products/delete-all/"),
        ("recently deleted", "/products/deleted/"),
    ):
        page.goto(address)
        look(name)
    page.set_viewport_size(PHONE)
    page.goto("/products/?q=song")
    page.get_by_label("Select all on this page").check()
    look("list on a phone")
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_the_list_fits_a_phone(page, catalogue):
    Product.objects.create(sku="x" * 128, name="y" * 255, description="z" * 9_000)
    page.set_viewport_size(PHONE)
    for address in ("/products/", "/products/?q=xxxx", f"/products/?q={'w' * 200}"):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        assert page.evaluate("document.querySelector('.scroll')?.scrollWidth ?? 0") <= 390

"""The product form in the list's dialog, bulk changes and delete all, in a real browser."""

import re

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from config.accounts.actors import Actor
from config.accounts.models import Role
from products.catalogue import bulk, editing
from products.catalogue.filters import Filter
from products.models import BulkAction, BulkChange, Product
from tests.browsing import faults
from tests.services.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LAMPS = "/products/?q=lamp"
PHONE = {"width": 390, "height": 800}


@pytest.fixture
def user(django_user_model):
    return django_user_model.objects.create_user("eva", role=Role.ADMIN)


@pytest.fixture
def ben(django_user_model) -> Actor:
    """Somebody else who edits."""
    return Actor(django_user_model.objects.create_user("ben"))


@pytest.fixture
def browser_context(browser_context: BrowserContext, sign_in, user, live_server):
    """Signed in. Fails its test for a refused or foreign request."""
    sign_in(user)
    wrong: list[str] = []

    def watch(page: Page) -> None:
        page.on("request", lambda r: r.url.startswith(live_server.url) or wrong.append(r.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "console",
            lambda message: (
                "Content Security Policy" in message.text and wrong.append(message.text)
            ),
        )

    browser_context.on("page", watch)
    yield browser_context
    assert wrong == []


@pytest.fixture
def lamp(ben) -> Product:
    values = {"sku": "lamp-1", "name": "Desk lamp", "description": "Warm light", "active": True}
    return editing.create(ben, values)


def panel(page: Page) -> Locator:
    return page.locator("#panel")


def open_panel(page: Page, name: str = "lamp-1") -> Locator:
    page.locator("#results").get_by_role("link", name=name, exact=True).click()
    expect(panel(page).locator("#product-form")).to_be_visible()
    return panel(page)


def toast(page: Page) -> Locator:
    return page.locator(".toast").last


def test_a_product_is_added_edited_deleted_and_restored_without_leaving_the_place(page, lamp):
    page.goto(LAMPS)
    page.get_by_role("link", name="Add product").click()
    box = panel(page)
    expect(box.get_by_label("SKU")).to_be_focused()
    box.get_by_label("SKU").fill("LAMP-1")
    box.get_by_label("Name").fill("Floor lamp")
    box.get_by_role("button", name="Add product").click()
    expect(box.locator("#id_sku_error")).to_contain_text("SKU lamp-1 is already used by Desk lamp")
    expect(box.get_by_role("link", name="Open it")).to_be_visible()
    expect(box.get_by_label("SKU")).to_be_focused()
    box.get_by_label("SKU").fill("lamp-2")
    box.get_by_role("button", name="Add product").click()
    expect(box).to_be_hidden()
    expect(toast(page)).to_contain_text("Floor lamp is added.")
    expect(page.locator("tbody tr")).to_have_count(2)

    open_panel(page, "lamp-2").get_by_label("Name").fill("Standing lamp")
    box.get_by_label("Active").uncheck()
    box.get_by_label("Name").press("Control+Enter")
    expect(toast(page)).to_contain_text("Standing lamp is saved.")
    expect(page.locator("tbody tr").first).to_contain_text("Standing lamp")
    expect(page.locator("tbody tr").first).to_contain_text("inactive")

    open_panel(page, "lamp-2").get_by_role("link", name="Delete").click()
    expect(box).to_contain_text("Delete Standing lamp?")
    expect(box.get_by_role("link", name="Keep it")).to_be_focused()
    box.get_by_role("button", name="Delete product").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    toast(page).get_by_role("button", name="Undo").click()
    expect(toast(page)).to_contain_text("1 product restored.")
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page).to_have_url(LAMPS)


def test_two_people_editing_see_each_others_values(page, browser_context, lamp, ben):
    page.goto(LAMPS)
    box = open_panel(page)
    box.get_by_label("Name").fill("Mine")
    editing.update(ben, lamp.pk, {"name": "Theirs", "description": "Cold light"})
    box.get_by_role("button", name="Save").click()
    expect(box.get_by_role("alert")).to_contain_text("ben changed this product")
    row = box.locator(".compare tbody tr")
    expect(row.nth(0)).to_have_text(re.compile("Name.*Theirs.*Mine", re.S))
    expect(row.nth(1)).to_have_text(re.compile("Description.*Cold light.*as theirs", re.S))
    expect(box.get_by_label("Description")).to_have_value("Cold light")

    box.get_by_role("link", name="Keep theirs").click()
    expect(box.get_by_label("Name")).to_have_value("Theirs")
    box.get_by_label("Name").fill("Mine after all")
    editing.update(ben, lamp.pk, {"name": "Theirs again"})
    box.get_by_role("button", name="Save").click()
    box.get_by_role("button", name="Save mine over it").click()
    expect(page.locator("#results")).to_contain_text("Mine after all")
    expect(box).to_be_hidden()


def test_unsaved_changes_are_not_lost_unasked(page, lamp):
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.goto(LAMPS)
    box = open_panel(page)
    page.keyboard.press("Escape")
    expect(box).to_be_hidden()
    assert asked == []

    open_panel(page).get_by_label("Name").fill("Changed")
    box.get_by_role("button", name="Close").click()
    page.keyboard.press("Escape")
    box.get_by_role("link", name="Cancel").click()
    box.get_by_role("link", name="Delete").click()
    page.mouse.click(5, 400)
    assert asked == ["confirm"] * 5
    expect(box.get_by_label("Name")).to_have_value("Changed")
    box.get_by_label("Name").fill("Desk lamp")  # as it was
    page.keyboard.press("Escape")
    expect(box).to_be_hidden()

    page.wait_for_function("!history.state?.panel")  # the way back is no other navigation's end
    page.goto(f"/products/{lamp.pk}/")
    page.get_by_label("Name").fill("Changed")
    page.get_by_role("link", name="Back to the list").click()
    assert asked[5:] == ["beforeunload"]
    assert Product.objects.get().name == "Desk lamp"


def test_back_closes_the_dialog_and_stays_on_the_list(page, lamp):
    answers = [False, True]
    page.on("dialog", lambda d: d.accept() if answers.pop(0) else d.dismiss())
    page.goto("/products/")
    page.get_by_label("Search SKU").fill("lamp")
    expect(page).to_have_url(LAMPS)
    box = open_panel(page)
    expect(page).to_have_url(LAMPS)
    page.go_back()
    expect(box).to_be_hidden()
    expect(page).to_have_url(LAMPS)
    expect(page.locator("tbody tr")).to_have_count(1)

    open_panel(page).get_by_label("Name").fill("Changed")
    with page.expect_event("dialog"):
        page.evaluate("history.back()")  # asked: no
    expect(box.get_by_label("Name")).to_have_value("Changed")
    # Not by wait_for_function: the page's CSP refuses the eval with which it repeats itself.
    until(lambda: page.evaluate("history.state?.panel"))
    page.evaluate("history.back()")  # asked: yes
    expect(box).to_be_hidden()
    assert answers == []

    open_panel(page)
    page.keyboard.press("Escape")  # takes its entry along
    expect(box).to_be_hidden()
    until(lambda: page.evaluate("!history.state?.panel"))
    page.go_back()
    expect(page).to_have_url("/products/")
    expect(page.get_by_label("Search SKU")).to_have_value("")


def test_what_was_typed_survives_that_the_product_was_deleted(page, lamp, ben):
    page.goto("/products/?q=nothing-else")
    page.goto(LAMPS)
    box = open_panel(page)
    box.get_by_label("Name").fill("Mine")
    editing.delete(ben, lamp.pk)
    box.get_by_role("button", name="Save").click()
    expect(box.get_by_role("alert")).to_contain_text("ben deleted it")
    expect(box.get_by_label("Name")).to_have_value("Mine")
    box.get_by_role("button", name="Restore it and save").click()
    expect(toast(page)).to_contain_text("Mine is saved.")
    expect(page.locator("tbody")).to_contain_text("Mine")
    assert Product.objects.get().pk == lamp.pk


def test_the_first_wrong_field_is_focused(page, lamp):
    page.goto(LAMPS)
    box = open_panel(page)
    box.get_by_label("Name").fill(" ")
    box.get_by_role("button", name="Save").click()
    expect(box.locator("#id_name_error")).to_be_visible()
    expect(box.get_by_label("Name")).to_be_focused()


def test_an_added_product_that_the_search_does_not_find_can_be_opened(page, lamp):
    page.goto(LAMPS)
    page.get_by_role("link", name="Add product").click()
    panel(page).get_by_label("SKU").fill("chair-1")
    panel(page).get_by_label("Name").fill("Chair")
    panel(page).get_by_role("button", name="Add product").click()
    toast(page).get_by_role("link", name="Open it").click()
    expect(panel(page).get_by_label("SKU")).to_have_value("chair-1")


def test_a_double_click_saves_once(page, lamp):
    page.goto("/products/new/")
    page.get_by_label("SKU").fill("lamp-2")
    page.get_by_label("Name").fill("Floor lamp")
    page.get_by_role("button", name="Add product").dblclick()
    expect(toast(page)).to_contain_text("Floor lamp is added.")
    page.goto(LAMPS)
    box = open_panel(page, "lamp-2")
    box.get_by_label("Name").fill("Standing lamp")
    box.get_by_role("button", name="Save").dblclick()
    expect(box).to_be_hidden()
    expect(page.locator("tbody")).to_contain_text("Standing lamp")
    assert Product.objects.count() == 2


def test_characters_left_are_counted_near_the_limit(page):
    page.goto("/products/new/")
    page.get_by_label("Name").fill("x" * 200)
    expect(page.locator("#id_name_counter")).to_be_hidden()
    page.get_by_label("Name").fill("x" * 254)
    expect(page.locator("#id_name_counter")).to_have_text("1 character left")


def test_a_product_that_is_gone_is_said_in_the_dialog(page, lamp, ben):
    page.goto(LAMPS)
    editing.delete(ben, lamp.pk)
    page.get_by_role("link", name="lamp-1").click()
    expect(panel(page)).to_contain_text("ben deleted it")
    panel(page).get_by_role("button", name="Restore it").click()
    expect(toast(page)).to_contain_text("1 product restored.")
    expect(page.locator("tbody tr")).to_have_count(1)


def test_by_keyboard_alone_a_product_is_edited_and_the_focus_comes_back(page, lamp):
    page.goto(LAMPS)
    link = page.get_by_role("link", name="lamp-1")
    link.focus()
    page.keyboard.press("Enter")
    expect(panel(page).get_by_role("heading", name="Desk lamp")).to_be_focused()
    for _ in range(3):  # Close, SKU, Name
        page.keyboard.press("Tab")
    expect(panel(page).get_by_label("Name")).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.type(", brass")
    page.keyboard.press("Control+Enter")
    expect(panel(page)).to_be_hidden()
    expect(page.locator("tbody")).to_contain_text("Desk lamp, brass")
    expect(page.get_by_role("link", name="lamp-1")).to_be_focused()


def test_few_ticked_products_are_changed_in_place(page, make_products):
    make_products(5)
    page.goto("/products/?sort=sku")
    for sku in ("sku-2", "sku-4"):
        page.get_by_label(f"Select {sku}").check()
    page.get_by_role("button", name="Deactivate").click()
    expect(toast(page)).to_contain_text("2 products deactivated.")
    expect(page.locator("tbody .tag.off")).to_have_count(2)
    page.get_by_label("Select sku-2").check()
    page.get_by_label("Select sku-4").check()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Delete 2 products?")).to_be_visible()
    page.get_by_role("button", name="Delete 2 products").click()
    expect(page.locator("tbody tr")).to_have_count(3)
    toast(page).get_by_role("button", name="Undo").click()
    expect(page.locator("tbody tr")).to_have_count(5)
    expect(page).to_have_url("/products/?sort=sku")


def test_the_page_of_a_job_follows_it_by_itself(page, make_products, user, settings):
    settings.BULK_AT_ONCE = settings.BULK_BATCH_ROWS = 10
    make_products(30)
    stopped = bulk.start(Actor(user), BulkAction.ACTIVATE, filter=Filter())
    page.goto(f"/products/bulk/{stopped.pk}/")
    page.get_by_role("button", name="Stop here").click()
    expect(page.get_by_role("button", name="Stopping…")).to_be_disabled()
    expect(page.locator("h1")).to_be_focused()
    change = bulk.start(Actor(user), BulkAction.DEACTIVATE, filter=Filter())
    page.goto(f"/products/bulk/{change.pk}/")
    expect(page.locator("#bulk-words")).to_have_text("Waiting for a worker")
    BulkChange.objects.filter(pk=change.pk).update(state="running", changed=12, matched=20)
    expect(page.locator("#bulk-words")).to_contain_text("20 of 30 products")
    expect(page.locator("[data-field=changed]")).to_have_text("12")
    BulkChange.objects.filter(pk=change.pk).update(state="queued", changed=0, matched=0)
    while bulk.advance(change.pk):
        pass
    expect(page.locator("h1")).to_have_text("30 products deactivated")
    expect(page.get_by_role("button", name="Stop here")).to_have_count(0)


def test_all_products_are_deleted_once_the_words_are_typed_and_come_back(page, make_products):
    make_products(3)
    page.goto("/products/")
    page.get_by_role("link", name="Delete all products").click()
    button = page.get_by_role("button", name="Delete all products")
    expect(button).to_be_disabled()
    page.get_by_label("Type DELETE ALL").fill("delete all")
    expect(button).to_be_disabled()
    page.get_by_label("Type DELETE ALL").press("Enter")
    expect(page.get_by_role("alert")).to_have_text(re.compile("Type DELETE ALL exactly"))
    page.get_by_label("Type DELETE ALL").fill("DELETE ALL")
    expect(page.get_by_role("alert")).to_have_text("")
    button.click()
    expect(page.get_by_text("No products yet")).to_be_visible()
    toast(page).get_by_role("button", name="Undo").click()
    expect(page.locator("tbody tr")).to_have_count(3)


def test_the_pages_fit_a_phone_and_name_what_they_hold(page, lamp, ben, user):
    editing.update(ben, lamp.pk, {"name": "n" * 255, "description": "d" * 2000})
    change = bulk.start(Actor(user), BulkAction.DELETE, filter=Filter("lamp"))
    other = {"sku": "s" * 128, "name": "lamp", "description": "", "active": True}
    product = editing.create(ben, other)
    page.set_viewport_size(PHONE)
    for address in (
        f"/products/{product.pk}/",
        f"/products/{lamp.pk}/",
        f"/products/{product.pk}/delete/",
        "/products/new/",
        f"/products/bulk/{change.pk}/",
        "/products/deleted/",
        "/products/delete-all/",
    ):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"], address
        assert page.locator("h1").count() == 1
    page.goto(LAMPS)
    page.locator("#results a[data-panel]").first.click()
    expect(panel(page).locator("#product-form")).to_be_visible()
    assert page.evaluate("document.querySelector('#panel').scrollWidth") <= PHONE["width"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(page, lamp, ben, user, make_products, scheme):
    make_products(3)
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    found: dict[str, list[str]] = {}
    page.goto(LAMPS)
    box = open_panel(page)
    box.get_by_label("Name").fill("Mine")
    editing.update(ben, lamp.pk, {"name": "Theirs"})
    box.get_by_role("button", name="Save").click()
    expect(box.get_by_role("alert")).to_be_visible()
    found["changed by two"] = faults(page)
    box.get_by_role("link", name="Keep theirs").click()
    expect(box.get_by_label("Name")).to_have_value("Theirs")
    box.get_by_label("SKU").fill("SKU-1")
    box.get_by_role("button", name="Save").click()
    expect(box.get_by_role("link", name="Open it")).to_be_visible()
    found["taken SKU"] = faults(page)
    change = bulk.start(Actor(user), BulkAction.DELETE, filter=Filter("sku"))
    page.on("dialog", lambda dialog: dialog.accept())
    for address in (f"/products/bulk/{change.pk}/", "/products/deleted/", "/products/4711/"):
        page.goto(address)
        found[address] = faults(page)
    assert {name: wrong for name, wrong in found.items() if wrong} == {}

"""A large bulk change from the list to its end, on a whole running Stockroom."""

import re

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.browsing import PATIENCE_MS
from tests.services.waiting import until

pytestmark = pytest.mark.browser

ROWS = 1_500  # above BULK_AT_ONCE, so that a worker does it
DONE_MS = 60_000


@pytest.fixture
def products(running_stockroom) -> str:
    """A word that ROWS products match."""
    api = requests.Session()
    api.headers["Authorization"] = f"Bearer {running_stockroom.token}"
    rows = "".join(f"Name {n},bulkjob-{n}\r\n" for n in range(ROWS))
    sent = api.post(
        f"{running_stockroom.address}/api/imports/",
        files={"file": ("bulk.csv", f"name,sku\r\n{rows}")},
    )
    job = f"{running_stockroom.address}/api/imports/{sent.json()['id']}/"
    until(lambda: api.get(job).json()["state"] == "done", 60)
    return "bulkjob"


@pytest.fixture
def page(chromium, running_stockroom):
    context = chromium.new_context(base_url=running_stockroom.address)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto("/login/")
    page.get_by_label("Username").fill(running_stockroom.user)
    page.get_by_label("Password").fill(running_stockroom.password)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile("/products/$"))
    yield page
    context.close()


def change_everything(page: Page, button: str) -> None:
    page.get_by_label(re.compile("^Select all on this page")).check()
    page.get_by_label(re.compile(r"Select all 1,500")).check()
    page.get_by_role("button", name=button).click()


def test_everything_found_is_changed_and_deleted_live_and_restored(page, products):
    place = f"/products/?q={products}"
    page.goto(place)
    change_everything(page, "Deactivate")
    expect(page.get_by_role("dialog")).to_contain_text(
        "Deactivate 1,500 products matching “bulkjob”?"
    )
    page.get_by_role("button", name="Deactivate 1,500 products").click()
    expect(page).to_have_url(re.compile(r"/products/bulk/\d+/"))
    expect(page.locator("h1")).to_have_text("1,500 products deactivated", timeout=DONE_MS)

    page.get_by_role("link", name="Back to the list").click()
    expect(page).to_have_url(place)
    expect(page.locator("tbody .tag.off")).to_have_count(50)
    change_everything(page, "Delete")
    page.get_by_role("button", name="Delete 1,500 products").click()
    expect(page.locator("h1")).to_have_text("1,500 products deleted", timeout=DONE_MS)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("h1")).to_have_text("1,500 products restored", timeout=DONE_MS)
    page.goto(place)
    expect(page.locator("tbody tr")).to_have_count(50)

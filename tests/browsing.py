"""Tabs of a real browser: signed in, watched for what breaks, and looked over by axe."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.running import Running

# For anything that a page has to show, on a machine that does much else.
PATIENCE_MS = 60_000
PHONE = {"width": 390, "height": 800}
DESK = {"width": 1280, "height": 860}
SERIOUS = ("serious", "critical")


@contextmanager
def watched(page: Page, address: str) -> Iterator[Page]:
    """The tab at a desk; fails for what the policy refused, what broke, and requests to others."""
    wrong: list[str] = []
    _watch(page, address, wrong)
    page.set_viewport_size(DESK)
    yield page
    assert wrong == []


@contextmanager
def signed_in(chromium: Browser, stockroom: Running) -> Iterator[BrowserContext]:
    """A profile with the demo user of a running Stockroom signed in; its tabs are watched."""
    context = chromium.new_context(base_url=stockroom.address)
    context.set_default_timeout(PATIENCE_MS)
    wrong: list[str] = []
    context.on("page", lambda page: _watch(page, stockroom.address, wrong))
    page = context.new_page()
    page.goto("/login/")
    page.get_by_label("Username").fill(stockroom.user)
    page.get_by_label("Password").fill(stockroom.password)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile("/products/$"))
    page.close()
    yield context
    context.close()
    assert wrong == []


def _watch(page: Page, address: str, wrong: list[str]) -> None:
    page.on("request", lambda r: r.url.startswith(address) or wrong.append(r.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console",
        lambda message: "Content Security Policy" in message.text and wrong.append(message.text),
    )


def faults(page: Page) -> list[str]:
    """Serious and critical accessibility faults of the page as it is now."""
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {node['target']}"
        for each in found
        if each["impact"] in SERIOUS
        for node in each["nodes"]
    ]

"""Tabs of a real browser: signed in, watched for what breaks, and looked over by axe."""

from collections.abc import Iterator
from contextlib import contextmanager

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

PHONE = {"width": 390, "height": 800}
DESK = {"width": 1280, "height": 860}
SERIOUS = ("serious", "critical")


@contextmanager
def watched(page: Page, address: str) -> Iterator[Page]:
    """The tab at a desk; fails for what the policy refused, what broke, and requests to others."""
    wrong: list[str] = []
    page.on("request", lambda r: r.url.startswith(address) or wrong.append(r.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console",
        lambda message: "Content Security Policy" in message.text and wrong.append(message.text),
    )
    page.set_viewport_size(DESK)
    yield page
    assert wrong == []


def faults(page: Page) -> list[str]:
    """Serious and critical accessibility faults of the page as it is now."""
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {node['target']}"
        for each in found
        if each["impact"] in SERIOUS
        for node in each["nodes"]
    ]

"""`make demo` with all engines: no page is empty, and each chart moves. Some five minutes."""

import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.browsing import signed_in
from tests.demo.started import Demo

pytestmark = [pytest.mark.soak, pytest.mark.browser]

# What is drawn, and by which link of the page its curve is reached (none: it is on the page).
CHARTS = {
    "/streaming/sales/": ".sums tbody a",
    "/streaming/prices/": ".shares tbody a[href*='demo.']",
    "/transactions/ledger/": ".balances tbody a",
    "/operations/": None,
}
CURVE = "main svg path.line"
PATIENCE_MS = 300_000  # the ledger has a point each minute


@pytest.fixture
def demo(engine_folder: Path) -> Iterator[Demo]:
    made = Demo(engine_folder, "postgres,valkey,kafka,rabbitmq")
    yield made
    if made.process.poll() is None:
        made.process.kill()
        made.process.wait()


@pytest.fixture
def tabs(demo: Demo, chromium: Browser) -> Iterator[BrowserContext]:
    demo.says("the demo runs")
    with signed_in(chromium, SimpleNamespace(address=demo.address, **demo.account())) as context:
        context.set_default_timeout(PATIENCE_MS)
        yield context


def test_no_page_is_empty_and_each_chart_moves(demo: Demo, tabs: BrowserContext) -> None:
    expect.set_options(timeout=PATIENCE_MS)
    page = tabs.new_page()
    page.goto("/")
    links = page.locator("nav.nav a.item").all()
    addresses = {each.get_attribute("href") for each in links} - {"/account/"}
    assert addresses > CHARTS.keys()
    for address in sorted(addresses):
        page.goto(address)
        expect(page.locator("main .empty, main td.nothing"), address).to_have_count(0)
        expect(page.locator("main tbody tr, main article, main dl").first, address).to_be_visible()
    for address, link in CHARTS.items():
        page.goto(address)
        if link is not None:
            page.locator(link).first.click()
        curve = page.locator(CURVE).first
        curve.wait_for(state="attached")
        before = curve.get_attribute("d")
        assert before.count("L") + before.count("H") >= 1, before  # two points or more
        expect(curve, page.url).not_to_have_attribute("d", before)
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(180) == 0, demo.said
    said = demo.remove()
    assert "products: 3,000 deleted" in said

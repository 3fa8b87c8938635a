"""Sales on a whole running Stockroom: snapshots come to open pages by themselves."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
import redis
from playwright.sync_api import Page, expect

from config.live import throttling
from streaming.sales import board
from tests.browsing import signed_in
from tests.services.waiting import until
from tests.streaming.showing import clear, curve, selling, snapshot

pytestmark = pytest.mark.browser


@pytest.fixture
def page(chromium, running_stockroom, settings, monkeypatch) -> Iterator[Page]:
    """A tab on it; this process puts snapshots on its board, as an instance would."""
    url = running_stockroom.stack.environment["REDIS_URL"]
    settings.REDIS_URL = url
    client = redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1)
    monkeypatch.setattr("django_eventstream.eventstream.redis_client", client)
    monkeypatch.setattr(throttling, "_throttles", type(throttling._throttles)())
    with signed_in(chromium, running_stockroom) as context:
        yield context.new_page()
    clear(url)
    client.close()


def test_figures_come_by_themselves_but_not_too_often(page):
    page.goto("/streaming/sales/")
    expect(page.locator("#live-tag")).to_have_text("live")
    gone = iter(range(1, 10_000))

    def published() -> bool:
        number = next(gone)
        board.publish(snapshot(top=[selling("85123A", f"{number}.0")]))
        page.wait_for_timeout(60)
        return number >= 60

    until(published)
    expect(page.locator(".sums .money")).to_have_text("60.00")
    began = page.evaluate(
        """() => performance.getEntriesByType("resource")
            .filter((entry) => entry.initiatorType === "fetch" && entry.name.includes("/sales/"))
            .map((entry) => entry.startTime)"""
    )
    assert len(began) >= 3
    # The first follows from opening the page and its stream.
    gaps = [later - sooner for sooner, later in pairwise(began[1:])]
    assert min(gaps) > 950


def test_a_curve_is_asked_for_by_the_page_and_appears_once_it_is_sent(page):
    board.publish(snapshot(top=[selling("a/b", "2.0")]))
    page.goto("/streaming/sales/a/b/")
    expect(page.get_by_role("heading", name="No curve")).to_be_visible()
    assert until(board.watched) == ["a/b"]
    board.publish(snapshot(top=[selling("a/b", "2.0")], curves={"a/b": curve("1.0", "2.0")}))
    expect(page.get_by_role("slider", name="Moment")).to_be_attached()


def test_when_snapshots_stop_the_figures_are_marked_and_then_gone(page):
    page.goto("/streaming/sales/")
    board.publish(snapshot(every_seconds=10.0, top=[selling("85123A")]))  # kept for 30 s
    expect(page.locator(".sums")).to_contain_text("85123A")
    expect(page.get_by_text("No news.")).to_be_visible(timeout=40_000)
    # What is left is the running Stockroom's own instance, which waits for Kafka.
    expect(page.locator(".sums")).to_have_count(0)
    expect(page.get_by_text("shop-1.1")).to_have_count(0)

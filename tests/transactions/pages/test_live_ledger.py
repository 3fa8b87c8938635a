"""The ledger's page on a whole running Stockroom: what is published comes to it by itself."""

import time
from collections.abc import Iterator

import pytest
import redis
from playwright.sync_api import Page, expect

from config.live import throttling
from tests.browsing import signed_in
from tests.services.waiting import until
from tests.transactions.bookkeeping import other
from transactions.ledger import board

pytestmark = pytest.mark.browser


@pytest.fixture
def page(chromium, running_stockroom, settings, monkeypatch) -> Iterator[Page]:
    """A tab on it; this process publishes as an instance of its ledger would."""
    settings.REDIS_URL = running_stockroom.stack.environment["REDIS_URL"]
    client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)
    monkeypatch.setattr("django_eventstream.eventstream.redis_client", client)
    monkeypatch.setattr(throttling, "_throttles", type(throttling._throttles)())
    running_stockroom.stack.manage("seed_ledger")
    with signed_in(chromium, running_stockroom) as context:
        yield context.new_page()
    board.BOARD.remove(board.GROUP, "shop-9.7")
    client.close()


def test_the_stream_of_the_channel_ledger_tells_the_page(page):
    told: list[str] = []
    opened: list[str] = []
    page.on("request", lambda request: opened.append(request.url))
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.eventSourceMessageReceived", lambda event: told.append(event["data"]))
    page.goto("/transactions/ledger/")
    expect(page.locator("#live-tag")).to_have_text("live")
    assert [url for url in opened if url.endswith("/events/ledger/")]

    at = time.time()
    other("shop-9.7", at=at, waiting_for="another instance leads")

    def was_told() -> bool:
        page.wait_for_timeout(50)
        return any(str(at) in data for data in told)

    until(was_told)
    expect(page.get_by_role("row").filter(has_text="shop-9.7")).to_contain_text("waits")

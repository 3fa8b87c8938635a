"""From a file to its commands on a whole running Stockroom: upload, live progress, result."""

import json
import re
from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import BrowserContext, Page, expect

from tests.browsing import signed_in

from .histories import MIXED, many

pytestmark = pytest.mark.browser

DONE_MS = 120_000


@pytest.fixture
def context(chromium, running_stockroom) -> Iterator[BrowserContext]:
    with signed_in(chromium, running_stockroom) as context:
        yield context


@pytest.fixture
def page(context: BrowserContext) -> Page:
    page = context.new_page()
    page.on("dialog", lambda dialog: dialog.accept())  # "leave this page?"
    page.goto("/stocksync/new/")
    return page


def slow_uploads(page: Page, bytes_per_second: int) -> None:
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    conditions = {"offline": False, "latency": 0, "downloadThroughput": -1}
    session.send(
        "Network.emulateNetworkConditions",
        {**conditions, "uploadThroughput": bytes_per_second},
    )


def busy_day(path):
    path.write_text("".join(many(300, 9, 20_000)))
    return path


def test_a_file_is_uploaded_worked_off_live_and_its_result_read(page, tmp_path):
    path = busy_day(tmp_path / "day.jsonl")
    page.set_input_files("#file", path)

    expect(page).to_have_url(re.compile(r"/stocksync/\d+/$"), timeout=DONE_MS)
    expect(page.locator("#words")).to_contain_text("Done: 23,000 events", timeout=DONE_MS)
    expect(page.locator("#found")).to_be_visible()
    expect(page.locator("#live")).to_have_count(0)
    commands = page.locator("[data-field=commands]").inner_text()
    with page.expect_download() as download:
        page.get_by_role("link", name="output.jsonl").click()
    lines = download.value.path().read_bytes().splitlines()
    assert f"{len(lines) - 1:,}" == commands
    assert len(json.loads(lines[-1])["stocks"]) == 3000

    page.get_by_role("link", name="Not applied").click()
    expect(page.get_by_role("link", name=re.compile("^Refused [1-9]"))).to_be_visible()
    page.get_by_role("button", name="Run again with one clock for all").click()
    expect(page.locator("#words")).to_contain_text("Done:", timeout=DONE_MS)
    page.get_by_role("link", name=re.compile("^Compare with job")).click()
    expect(page.locator("main")).to_contain_text("Both read the same events, with different clocks")
    expect(page.locator("[aria-labelledby=judged-title] tbody tr")).not_to_have_count(0)


def test_an_upload_shows_how_far_it_is_and_can_be_aborted(page, tmp_path, running_stockroom):
    api = requests.Session()
    api.headers["Authorization"] = f"Bearer {running_stockroom.token}"
    jobs = f"{running_stockroom.address}/api/stocksync/jobs/"
    before = [job["id"] for job in api.get(jobs).json()["results"]]
    path = busy_day(tmp_path / "slow.jsonl")
    slow_uploads(page, 30_000)
    page.set_input_files("#file", path)

    expect(page.locator("#sending-title")).to_have_text("Uploading slow.jsonl")
    expect(page.locator("#words")).to_contain_text(re.compile(r"[1-9]\d* %"))
    expect(page.locator("#left")).to_contain_text("left")
    page.get_by_role("button", name="Abort upload").click()

    expect(page.get_by_role("alert")).to_contain_text("was aborted, and nothing was stored")
    assert [job["id"] for job in api.get(jobs).json()["results"]] == before
    slow_uploads(page, -1)
    path.write_text(MIXED)
    page.set_input_files("#file", path)
    expect(page.locator("#words")).to_contain_text("Done: 16 events", timeout=DONE_MS)


def test_a_second_viewer_sees_it_work_and_a_cancel_is_seen_by_both(page, context, tmp_path):
    path = tmp_path / "long.jsonl"
    path.write_text("".join(many(100, 99, 200_000)))
    page.set_input_files("#file", path)
    expect(page).to_have_url(re.compile(r"/stocksync/\d+/$"), timeout=DONE_MS)
    viewer = context.new_page()
    viewer.goto(page.url)
    expect(viewer.locator("#words")).to_contain_text("Reading", timeout=DONE_MS)
    expect(viewer.locator("[data-field=events]")).not_to_have_text("0", timeout=DONE_MS)

    page.get_by_role("button", name="Cancel job").click()

    for tab in (page, viewer):
        expect(tab.locator("#words")).to_contain_text("Cancelled after", timeout=DONE_MS)
        expect(tab.locator("main")).to_contain_text("there are no commands and no trees")
    viewer.goto("/stocksync/")
    expect(viewer.locator("tbody tr").first).to_contain_text("cancelled")

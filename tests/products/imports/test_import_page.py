"""The import page in a real browser, on a whole running Stockroom."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browsing import signed_in
from tests.services.waiting import until

pytestmark = pytest.mark.browser

HEADER = "name,sku,description\r\n"
DONE_MS = 120_000


def rows(prefix: str, number: int, *, width: int = 60) -> str:
    text = "x" * width
    return "".join(f"Name {n},{prefix}-{n},{text} {n}\r\n" for n in range(number))


@pytest.fixture
def context(chromium, running_stockroom) -> Iterator[BrowserContext]:
    with signed_in(chromium, running_stockroom) as context:
        yield context


@pytest.fixture
def page(context: BrowserContext) -> Page:
    page = context.new_page()
    page.on("dialog", lambda dialog: dialog.accept())  # "leave this page?"
    page.goto("/imports/new/")
    return page


def choose(page: Page, path, text: str, *, encoding: str = "utf-8") -> None:
    path.write_bytes(text.encode(encoding))
    page.set_input_files("#file", path)


def slow_uploads(page: Page, bytes_per_second: int) -> None:
    """At most this many bytes a second leave the browser."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": 0,
            "downloadThroughput": -1,
            "uploadThroughput": bytes_per_second,
        },
    )


def count(page: Page, name: str) -> int:
    return int(page.locator(f".tile [data-field={name}]").inner_text().replace(",", ""))


def test_a_dropped_file_is_imported_live_and_its_products_are_listed(page, tmp_path):
    choose(
        page,
        tmp_path / "first.csv",
        HEADER + rows("first", 3000) + "No sku,,x\r\nA,first-0,new\r\n",
    )

    expect(page.locator("#words")).to_contain_text("Done: 3,000 created", timeout=DONE_MS)
    expect(page).to_have_url(re.compile(r"/imports/\d+/$"))
    assert (count(page, "rows"), count(page, "created"), count(page, "rejected")) == (3002, 3000, 1)
    assert count(page, "duplicates") == 1
    expect(page.locator("#reject-rows tr")).to_have_count(1)
    expect(page.locator("#reject-rows")).to_contain_text("No sku,,x")
    expect(page.locator("#log")).to_contain_text("Line 3,002")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download rejects.csv").click()
    assert "No sku,,x" in download.value.path().read_text()

    page.get_by_role("link", name="See products").click()
    expect(page.locator("tbody tr")).to_have_count(50)
    expect(page.locator("tbody")).to_contain_text("first-")
    first = page.locator("tbody th").first.inner_text()
    page.get_by_role("link", name="Older").click()
    expect(page.locator("tbody th").first).not_to_have_text(first)
    page.get_by_role("link", name="Newer").click()
    expect(page.locator("tbody th").first).to_have_text(first)


def test_a_second_viewer_sees_the_true_state_at_once(page, context, tmp_path):
    slow_uploads(page, 100_000)
    choose(page, tmp_path / "watched.csv", HEADER + rows("watched", 40_000))
    expect(page).to_have_url(re.compile(r"/imports/\d+/$"))

    viewer = context.new_page()
    viewer.goto(page.url)

    expect(viewer.locator("h1")).to_have_text("watched.csv")
    expect(viewer.locator("#live-tag")).to_have_text("live")
    slow_uploads(page, -1)
    expect(viewer.locator("#words")).to_contain_text("Done: 40,000 created", timeout=DONE_MS)
    expect(page.locator("#words")).to_contain_text("Done: 40,000 created", timeout=DONE_MS)
    assert count(viewer, "created") == count(page, "created") == 40_000


def test_an_upload_goes_on_after_a_pause_and_after_a_reload(page, tmp_path):
    path = tmp_path / "resumed.csv"
    slow_uploads(page, 200_000)
    choose(page, path, HEADER + rows("resumed", 60_000))
    expect(page.locator("#steps li").first).to_contain_text(re.compile(r"[1-9]\d* %"))

    page.get_by_role("button", name="Pause upload").click()
    expect(page.locator("#words")).to_contain_text("Paused")
    page.get_by_role("button", name="Resume upload").click()
    # The first whole part must be there, or nothing is left to go on from.
    # Not by wait_for_function: the page's CSP refuses the eval with which it repeats itself.
    received = "async () => (await (await fetch(`/api${location.pathname}`)).json()).received_bytes"
    until(lambda: page.evaluate(received))
    page.reload()

    expect(page.locator("#drop-title")).to_have_text("Choose resumed.csv again to go on")
    wrong = tmp_path / "wrong.csv"
    choose(page, wrong, HEADER + rows("wrong", 3))
    expect(page.locator("#choose-note")).to_contain_text("not the file")
    offsets: list[int] = []
    page.on(
        "request",
        lambda r: r.method == "PATCH" and offsets.append(int(r.headers["upload-offset"])),
    )
    slow_uploads(page, -1)
    page.set_input_files("#file", path)

    expect(page.locator("#words")).to_contain_text("Done: 60,000 created", timeout=DONE_MS)
    assert offsets[0] > 0


def test_check_first_asks_and_changes_nothing_until_the_yes(page, tmp_path):
    page.get_by_label("Check first and ask me").check()
    page.get_by_label("inactive").check()
    choose(page, tmp_path / "checked.csv", HEADER + rows("checked", 20))

    expect(page.locator("#question-text")).to_contain_text(
        "20 products would be created", timeout=DONE_MS
    )
    other = page.context.new_page()
    other.goto("/products/")
    expect(other.locator("tbody")).not_to_contain_text("checked-")

    page.get_by_role("button", name="Import now").click()
    expect(page.locator("#words")).to_contain_text("Done: 20 created", timeout=DONE_MS)
    other.reload()
    expect(other.locator("tbody tr").first).to_contain_text("inactive")


def test_undecodable_lines_can_be_imported_again_as_windows_1252(page, tmp_path):
    choose(
        page, tmp_path / "old.csv", HEADER + "Café,old-1,x\r\nPlain,old-2,x\r\n", encoding="cp1252"
    )
    expect(page.locator("#words")).to_contain_text("Done: 1 created", timeout=DONE_MS)
    expect(page.locator("#notices")).to_contain_text("1 line could not be read as UTF-8")

    page.get_by_role("button", name="Import again as Windows-1252").click()
    expect(page.locator("#question-text")).to_contain_text(
        "1 product would be created", timeout=DONE_MS
    )
    page.get_by_role("button", name="Import now").click()

    expect(page.locator("#words")).to_contain_text(
        "Done: 1 created, 0 updated, 1 unchanged", timeout=DONE_MS
    )


def test_a_file_that_is_no_csv_says_so(page, tmp_path):
    path = tmp_path / "table.xlsx"
    path.write_bytes(b"PK\x03\x04" + bytes(500))
    page.set_input_files("#file", path)

    expect(page.locator("#notices")).to_contain_text("CSV", timeout=DONE_MS)
    expect(page.locator("#steps")).to_contain_text("Failed")


def test_no_to_the_question_leaves_the_catalogue_as_it_is(page, tmp_path):
    page.get_by_label("Check first and ask me").check()
    choose(page, tmp_path / "declined.csv", HEADER + rows("declined", 20))
    expect(page.locator("#question")).to_be_visible(timeout=DONE_MS)

    page.get_by_role("button", name="Leave the catalogue as it is").click()

    expect(page.locator("#words")).to_have_text("Cancelled", timeout=DONE_MS)
    page.goto("/imports/")
    expect(page.locator("tbody tr").first).to_contain_text("cancelled")


def test_cancel_stops_the_upload_for_good(page, tmp_path):
    slow_uploads(page, 50_000)
    choose(page, tmp_path / "cancelled.csv", HEADER + rows("cancelled", 40_000))
    expect(page.get_by_role("button", name="Pause upload")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/imports/\d+/$"))

    page.get_by_role("button", name="Cancel import").first.click()
    page.locator("#really-cancel").click()

    expect(page.locator("#words")).to_have_text("Cancelled", timeout=DONE_MS)
    expect(page.locator("#log")).to_contain_text("Cancelled before anything changed")
    expect(page.locator("#pause")).to_be_hidden()


def test_an_unfinished_upload_is_gone_on_with_only_if_the_user_says_so(page, tmp_path):
    path = tmp_path / "twice.csv"
    slow_uploads(page, 50_000)
    choose(page, path, HEADER + rows("twice", 40_000))
    expect(page).to_have_url(re.compile(r"/imports/\d+/$"))
    first = page.url
    page.goto("/imports/new/")
    page.get_by_label("Check first and ask me").check()
    page.get_by_label("Characters in the file are").select_option("cp1252")
    slow_uploads(page, -1)

    page.set_input_files("#file", path)
    expect(page.locator("#found-text")).to_contain_text("read as UTF-8")
    expect(page.locator("#found-text")).to_contain_text("not checked first")
    refusal = {"error": {"code": "busy", "message": "Try again in a few seconds."}}
    page.route("**/cancel/", lambda route: route.fulfill(status=503, json=refusal))
    page.get_by_role("button", name="Start anew with my choices").click()
    expect(page.locator("#choose-note")).to_contain_text("Try again in a few seconds.")
    assert page.url.endswith("/imports/new/")
    page.unroute("**/cancel/")
    page.get_by_role("button", name="Start anew with my choices").click()

    expect(page.locator("#question")).to_be_visible(timeout=DONE_MS)
    assert page.url != first


def test_the_page_is_right_again_after_a_valkey_restart(page, tmp_path, running_stockroom):
    page.get_by_label("Check first and ask me").check()
    choose(page, tmp_path / "valkey.csv", HEADER + rows("valkey", 50))
    expect(page.locator("#question")).to_be_visible(timeout=DONE_MS)
    valkey = running_stockroom.stack.leave_engine("valkey")
    valkey.kill()

    page.get_by_role("button", name="Import now").click()
    valkey.start()

    expect(page.locator("#words")).to_contain_text("Done: 50 created", timeout=DONE_MS)


def test_the_page_fits_a_phone(page, tmp_path):
    page.set_viewport_size({"width": 390, "height": 800})
    choose(page, tmp_path / "phone.csv", HEADER + rows("phone", 20) + "x,,\r\n")
    expect(page.locator("#words")).to_contain_text("Done: 20 created", timeout=DONE_MS)
    expect(page.locator("#reject-rows tr")).to_have_count(1)

    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.goto("/products/")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.goto("/imports/")
    assert page.evaluate("document.documentElement.scrollWidth") == 390

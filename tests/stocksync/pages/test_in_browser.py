"""The pages in a real browser: ticks that stay, keys, phone width, what axe finds, no script."""

import re

import pytest
from playwright.sync_api import Page, expect

from stocksync.jobs import service
from stocksync.models import SyncJob
from tests.browsing import DESK, PHONE, faults, watched

from .conftest import advanced
from .histories import MIXED, created, ended, lines, many, updated

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def page(page: Page, user, sign_in, live_server) -> Page:
    """A signed-in tab that fails its test for what the policy refused or what broke."""
    sign_in(user)
    with watched(page, live_server.url) as tab:
        yield tab


@pytest.fixture
def mixed(done) -> SyncJob:
    return done(MIXED, name="mixed.jsonl")


def addresses(mixed: SyncJob, other: SyncJob) -> list[str]:
    return [
        "",
        "new/",
        *(
            f"{mixed.pk}/{part}"
            for part in (
                "",
                "commands/",
                "not-applied/",
                "not-applied/?show=stale",
                "trees/?show=ended",
                "trees/1/?product=2",
                "products/5/",
                "products/99/",
            )
        ),
        f"compare/?a={mixed.pk}&b={other.pk}",
    ]


def test_pages_fit_a_phone_and_axe_finds_no_serious_fault(page, user, mixed, queued):
    page.goto("/stocksync/")
    other = advanced(service.repeat(mixed, user, "global"))
    waiting, failed = queued(MIXED), queued(MIXED)
    SyncJob.objects.filter(pk=failed.pk).update(
        state="failed", error="The commands take more than 4 GB.", finished_at=failed.created_at
    )
    for address in (*addresses(mixed, other), f"{waiting.pk}/", f"{failed.pk}/"):
        page.goto(f"/stocksync/{address}")
        assert faults(page) == [], address
        page.set_viewport_size(PHONE)
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"], address
        assert faults(page) == [], address
        page.set_viewport_size(DESK)


def test_without_jobs_the_first_is_begun_from_there(page):
    page.goto("/stocksync/")
    assert faults(page) == []
    page.get_by_role("link", name="New job").click()
    expect(page.locator("h1")).to_have_text("New job")


def test_two_jobs_are_ticked_and_compared_by_keyboard_while_rows_refresh(page, mixed, queued, user):
    other = advanced(service.repeat(mixed, user, "global"))
    queued(MIXED, name="waiting.jsonl")
    page.goto("/stocksync/")
    first = page.get_by_label(f"Compare job {mixed.pk}, mixed.jsonl")
    first.focus()
    page.keyboard.press("Space")
    with page.expect_response(lambda answer: answer.url.endswith("/stocksync/")):
        pass  # the rows come anew
    expect(first).to_be_checked()
    page.get_by_label(f"Compare job {other.pk}, mixed.jsonl").press("Space")
    page.get_by_role("button", name="Compare").press("Enter")
    expect(page).to_have_url(f"/stocksync/compare/?a={mixed.pk}&b={other.pk}")
    expect(page.locator("h1")).to_have_text(f"Jobs {mixed.pk} and {other.pk}")


def test_one_goes_from_a_job_to_an_events_reason_by_keyboard(page, mixed):
    page.goto(f"/stocksync/{mixed.pk}/")
    field = page.get_by_label("Find a product")
    field.focus()
    page.keyboard.type("3")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Tree of product 1")
    expect(page.locator("tr[aria-current]")).to_contain_text("3")
    stale = page.locator("tr", has_text="timestamp 128 is not newer than 129")
    expect(stale).to_contain_text("product 1: stock 7")
    page.get_by_role("link", name="Of product 3").press("Enter")
    expect(page.locator("#events-title")).to_have_text("Events of product 3")
    expect(page.locator(".events tbody tr")).to_have_count(2)
    page.get_by_role("link", name="All trees of the job").press("Enter")
    expect(page.locator("h1")).to_have_text("mixed.jsonl")


def test_a_number_that_is_none_is_refused_by_the_field(page, mixed):
    page.goto(f"/stocksync/{mixed.pk}/")
    page.get_by_label("Find a product").fill("three")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"/stocksync/{mixed.pk}/")


def test_commands_are_paged_to_the_end_and_back(page, done):
    job = done("".join(many(8, 5, 400)))
    page.goto(f"/stocksync/{job.pk}/")
    page.get_by_role("link", name="Commands").click()
    rows = page.locator("#found ~ section tbody tr")
    expect(rows).to_have_count(100)
    first = rows.first.inner_text()
    page.get_by_role("link", name="Last").click()
    expect(page.locator("[rel=next]")).to_have_count(0)
    expect(rows.last).not_to_have_text(first)
    page.get_by_role("link", name="First").click()
    expect(rows.first).to_have_text(re.compile(re.escape(first.split("\t")[0])))


def test_a_large_tree_opens_at_the_product_that_was_asked_for(page, done):
    job = done(
        lines(
            created(1, 1), *(created(n, n, parent=1) for n in range(2, 301)), updated(250, 900, 3)
        )
    )
    page.goto(f"/stocksync/{job.pk}/products/250/")
    expect(page.locator("tr[aria-current]")).to_contain_text("250")
    expect(page.locator("#events-title")).to_have_text("Events of product 250")
    expect(page.locator(".events tbody tr").last).to_contain_text("and 294 more")
    page.get_by_role("navigation", name="Pages of products").get_by_role(
        "link", name="Next"
    ).click()
    expect(page.locator(".tree-parts section").first).to_contain_text("300")


def test_a_file_that_can_not_be_taken_is_refused_before_it_is_sent(page, settings, tmp_path):
    settings.STOCKSYNC_MAX_BYTES = 1000
    page.goto("/stocksync/new/")
    sent = []
    page.on("request", lambda request: request.method == "POST" and sent.append(request.url))
    wrong = page.get_by_role("alert")
    for data, said in ((b"x" * 1001, "it has 1.01 kB, and at most 1 kB"), (b"", "is empty")):
        path = tmp_path / "events.jsonl"
        path.write_bytes(data)
        page.set_input_files("#file", path)
        expect(wrong).to_contain_text(said)
    page.evaluate(
        """() => {
            const files = new DataTransfer();
            for (const name of ["a.txt", "b.txt"]) files.items.add(new File(["{}"], name));
            document.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true }));
        }"""
    )
    expect(wrong).to_contain_text("These are 2 files, and none was taken")
    assert sent == []


def test_a_lost_connection_is_said_and_the_file_can_be_chosen_again(
    page, browser_context, tmp_path
):
    path = tmp_path / "events.jsonl"
    path.write_text(MIXED)
    page.goto("/stocksync/new/")
    browser_context.set_offline(True)
    page.set_input_files("#file", path)
    expect(page.get_by_role("alert")).to_contain_text("connection was lost")
    expect(page.locator("#file")).to_be_focused()
    browser_context.set_offline(False)
    page.set_input_files("#file", path)
    expect(page.locator("h1")).to_have_text("events.jsonl")
    assert SyncJob.objects.count() == 1


def test_after_the_session_ended_the_file_is_not_lost_without_a_word(
    page, browser_context, tmp_path
):
    path = tmp_path / "events.jsonl"
    path.write_text(MIXED)
    page.goto("/stocksync/new/")
    browser_context.clear_cookies(name="sessionid")
    page.set_input_files("#file", path)
    expect(page.get_by_role("alert")).to_contain_text("signed out")


def test_without_a_script_everything_is_done_by_plain_forms(
    chromium, live_server, user, sign_in, browser_context, tmp_path
):
    sign_in(user)
    plain = chromium.new_context(base_url=live_server.url, java_script_enabled=False)
    plain.add_cookies(browser_context.cookies())
    page = plain.new_page()
    path = tmp_path / "plain.jsonl"
    path.write_text(MIXED)
    page.goto("/stocksync/new/")
    page.get_by_label("One clock for all trees").check()
    page.set_input_files("#file", path)
    page.get_by_role("button", name="Upload and begin").click()
    expect(page.locator("h1")).to_have_text("plain.jsonl")
    expect(page.locator("#words")).to_have_text("Waiting for a worker")
    job = advanced(SyncJob.objects.get())
    assert job.clock == "global"
    page.goto(f"/stocksync/{job.pk}/")
    page.get_by_role("button", name="Run again with a clock for each tree").click()
    page.get_by_role("button", name="Cancel job").click()
    expect(page.get_by_role("button", name="Cancelling…")).to_be_disabled()
    page.goto("/stocksync/")
    for box in page.get_by_role("checkbox").all():
        box.check()
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("h1")).to_contain_text("Jobs")
    plain.close()


def test_a_date_does_not_change_its_form_when_the_part_comes_anew(page, queued):
    page.goto(f"/stocksync/{queued(MIXED).pk}/")
    seen = page.evaluate(
        """async () => {
            const target = "#job", seen = new Set();
            const look = () => seen.add(document.querySelector("#job time").textContent);
            const painted = () => { look(); requestAnimationFrame(painted); };
            painted();
            document.addEventListener("htmx:afterSwap", () => queueMicrotask(look));
            await window.htmx.ajax("GET", location.pathname, { target, swap: "outerHTML" });
            await new Promise((done) => setTimeout(done, 100));
            return [...seen];
        }"""
    )
    assert len(seen) == 1 and "UTC" not in seen[0]


def test_a_tree_with_long_ids_shows_stock_and_state_without_scrolling(page, done):
    for root in (176375000123, 1234567890123456789):
        at = 1763750000000
        children = [created(root + n, at + n, parent=root) for n in range(1, 5)]
        job = done(lines(created(root, at), *children, updated(root, at + 9, 7), ended(root, at)))
        page.goto(f"/stocksync/{job.pk}/trees/{root}/")
        for part in page.locator(".tree-parts .scroll").all():
            assert part.evaluate("each => each.scrollWidth - each.clientWidth") == 0
        lines_of = page.locator(".events td.num").evaluate_all(
            """cells => cells.map((cell) => {
                const range = document.createRange();
                range.selectNodeContents(cell);
                return range.getClientRects().length;
            })"""
        )
        assert lines_of == [1] * 7
        assert faults(page) == []


def test_a_long_refused_line_is_opened_by_keyboard_and_fits_a_phone(page, done):
    long = f"{{'type': 'ProductMoved', 'note': '{'x' * 900} the end'}}"
    job = done(lines(long))
    page.set_viewport_size(PHONE)
    page.goto(f"/stocksync/{job.pk}/not-applied/")
    fold = page.locator(".raw-fold summary")
    fold.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("the end'}")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    assert faults(page) == []


def test_a_second_click_on_cancel_begins_no_job(page, queued):
    job = queued(MIXED)
    page.clock.install()
    page.goto(f"/stocksync/{job.pk}/")
    cancel = page.get_by_role("button", name="Cancel job")
    place = cancel.bounding_box()
    cancel.click()
    expect(page.get_by_role("button", name="Cancelling…")).to_be_disabled()
    advanced(job)
    swap = "htmx.ajax('GET', location.pathname, { target: '#job', swap: 'outerHTML' })"
    page.clock.pause_at(page.evaluate("Date.now()") + 1000)  # the click comes in time
    page.evaluate(f"void window.{swap}")
    again = page.get_by_role("button", name="Run again", exact=True)
    expect(page.locator("#words")).to_contain_text("Cancelled after")
    page.mouse.click(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    page.clock.resume()
    again.click()  # once it takes clicks
    expect(page).not_to_have_url(re.compile(f"/{job.pk}/$"))
    assert SyncJob.objects.count() == 2
    assert SyncJob.objects.latest("pk").clock == job.clock

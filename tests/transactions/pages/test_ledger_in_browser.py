"""Pages of the ledger in a real browser: what changes and stays, keys, a phone, what axe finds."""

import re
from collections.abc import Iterator

import psycopg2
import pytest
from playwright.sync_api import Page, expect

from tests.browsing import DESK, PHONE, faults, watched
from tests.transactions.bookkeeping import MINUTE, Ledger, health, other, sample
from transactions.ledger import board
from transactions.ledger.engine import leadership

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ADDRESS = "/transactions/ledger/"
LONG = "A provider whose name nobody thought would ever get to be so very long " * 3


@pytest.fixture
def page(page: Page, user, sign_in, live_server, ledger: Ledger) -> Iterator[Page]:
    """A signed-in tab that fails its test for what the policy refused or what broke."""
    sign_in(user)
    with watched(page, live_server.url) as tab:
        yield tab


def hour(ledger: Ledger) -> None:
    """A full hour, with minutes that failed or are missing, and names of all kinds."""
    sample(ledger)
    names = [LONG, "銀行 €uropa", "<b>Bold</b>", "x" * 200, None, "שלום"]
    numbers = {ledger.provider(name, number * 1000): name for number, name in enumerate(names)}
    for back in range(59, 1, -1):
        if back in (30, 31):
            continue
        keys = {f"{number}_{name}": back * number % 37 for number, name in numbers.items()}
        ledger.minute(
            ledger.last - back * MINUTE,
            {"1_Visa": 1000 + (back * back) % 90, "2_Mastercard": 1800 - back, **keys},
            lateness=0.006 + back % 7 / 300,
            failure="KeyDB: connection refused" if back in (12, 13, 14) else "",
        )
    ledger.total(1, "123456789012345678901234567890.123456", 8_000_000)


def states(ledger: Ledger) -> Iterator[tuple[str, str]]:
    """Each state of the pages is there when its address comes."""
    yield "no tables", ADDRESS
    yield "no tables, one provider", f"{ADDRESS}providers/1/"
    yield "never ran, rejects", f"{ADDRESS}rejects/"
    ledger.begin(sample=False)
    yield "no transactions", ADDRESS
    yield "no rejects", f"{ADDRESS}rejects/"
    ledger.execute("DROP SCHEMA stockroom_ledger CASCADE")
    ledger.execute("DROP TABLE historical_transactions, initial_data")
    hour(ledger)
    board.publish(health())
    other("shop-2.7", waiting_for="another instance leads")
    ledger.reconciled()
    yield "running", ADDRESS
    yield "filtered", f"{ADDRESS}?find=visa"
    yield "found nothing", f"{ADDRESS}?find=none"
    yield "one provider", f"{ADDRESS}providers/1/"
    yield "a week of it", f"{ADDRESS}providers/1/?span=week"
    yield "a long name", f"{ADDRESS}providers/3/?at=2020-01-01T00:00"
    yield "at a minute", f"{ADDRESS}providers/1/?at={ledger.last:%Y-%m-%dT%H:%M}Z"
    board.publish(health(waiting_for="RabbitMQ: " + "connection refused " * 9))
    row = {"provider": 1, "key": "1_Visa", "kept": "1300", "right": "1900"}
    ledger.reconciled({"totals": [row], "notes": [LONG]}, drifts=1)
    ledger.minute(ledger.last + MINUTE, failure="KeyDB: connection refused")
    ledger.reject(b'{"id": 9, "value": 1}' * 40, "unknown_provider", message_id="x" * 90)
    ledger.reject(b"\xff" * 900, "not_utf8")
    ledger.reject(b"", "not_json")
    yield "in trouble", ADDRESS
    yield "rejects", f"{ADDRESS}rejects/"


def test_pages_fit_a_phone_and_axe_finds_no_serious_fault_in_any_state(page, ledger):
    for state, address in states(ledger):
        page.goto(address)
        assert faults(page) == [], state
        page.set_viewport_size(PHONE)
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"], state
        page.emulate_media(color_scheme="dark")
        assert faults(page) == [], f"{state}, dark"
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(DESK)


def test_balances_change_in_place(page, ledger):
    sample(ledger)
    leader = psycopg2.connect(ledger.url)
    leadership.take(leader)
    board.publish(health())
    page.goto(ADDRESS)
    page.evaluate("document.querySelectorAll('.balances tr').forEach((r) => { r.seen = true; })")
    page.get_by_role("link", name="Visa", exact=True).focus()

    ledger.minute(ledger.last + MINUTE, {"1_Visa": 1900, "2_Mastercard": 1800})
    board.publish(health(rate=4_321.0, rows=7_777))

    row = page.locator(".balances tbody tr").first
    expect(row.locator(".money")).to_have_text("1,900")
    expect(page.locator(".tiles")).to_contain_text("4,321")
    expect(page.locator("#ledger")).to_contain_text("7,777")
    # The same elements, and the keyboard is where it was.
    assert page.evaluate("[...document.querySelectorAll('.balances tr')].every((r) => r.seen)")
    expect(page.get_by_role("link", name="Visa", exact=True)).to_be_focused()
    leader.close()


def test_from_nothing_to_the_first_balances_without_a_reload(page, ledger):
    page.goto(ADDRESS)
    expect(page.get_by_role("heading", name="No tables to work with yet")).to_be_visible()
    ledger.begin(sample=False)
    expect(page.get_by_role("heading", name="No transactions yet")).to_be_visible()
    ledger.provider("Visa", 1000)
    ledger.total(1, 300, 2)
    ledger.minute(ledger.last, {"1_Visa": 1300})
    expect(page.locator(".balances tbody tr")).to_contain_text("1,300")
    expect(page.get_by_role("heading", name="No transactions yet")).to_have_count(0)


def test_the_filter_works_while_one_types(page, ledger):
    ledger.begin()
    for number in range(12):
        ledger.provider(f"Bank {number}")
    page.goto(ADDRESS)
    page.get_by_label("Filter by id or name").focus()
    page.keyboard.type("nk 11")
    expect(page.locator(".balances tbody tr")).to_have_count(1)
    expect(page.locator(".balances tbody th")).to_contain_text("Bank 11")
    expect(page).to_have_url(re.compile(r"\?find=nk\+11$"))


def test_minutes_are_read_by_mouse_and_by_keys(page, ledger):
    hour(ledger)
    page.goto(ADDRESS)
    said = page.locator("#at-moment")
    slider = page.get_by_role("slider", name="Moment")
    slider.focus()
    page.keyboard.press("End")
    expect(said).to_contain_text("· 9 ms")
    for _ in range(12):
        page.keyboard.press("ArrowLeft")
    expect(said).to_contain_text("· KeyDB: connection refused")
    plot = page.locator(".plot").bounding_box()
    assert plot is not None
    page.mouse.move(plot["x"] + plot["width"] * 28.6 / 59, plot["y"] + 20)
    expect(said).to_contain_text("· not written")


def test_a_balance_is_asked_for_by_keyboard_in_the_readers_zone(page, ledger, browser_context):
    ledger.begin()
    ledger.minute(ledger.last - 3 * MINUTE, {"1_Visa": 1234})
    ledger.minute(ledger.last, {"1_Visa": 1300})
    page.goto(f"{ADDRESS}providers/1/")
    wanted = (ledger.last - 3 * MINUTE).timestamp() * 1000
    local = page.evaluate(
        "(ms) => { const at = new Date(ms); return new Date(at - at.getTimezoneOffset() * 60000)"
        ".toISOString().slice(0, 16); }",
        wanted,
    )
    page.get_by_label("Balance at").fill(local)
    page.get_by_role("button", name="Show").press("Enter")
    expect(page.locator("#then")).to_contain_text("1,234")
    expect(page.get_by_label("Balance at")).to_have_value(local)
    page.get_by_role("link", name="24 hours").click()
    expect(page.locator("#then")).to_contain_text("1,234")
    page.get_by_role("link", name="Now").click()
    expect(page.locator("#then")).to_have_count(0)
    expect(page.get_by_role("link", name="24 hours")).to_have_attribute("aria-current", "true")


def test_rejects_are_filtered_and_downloaded_by_keyboard(page, ledger):
    ledger.begin()
    ledger.reject(b"no json")
    ledger.reject(b'{"id": 9, "value": 1}', "unknown_provider")
    page.goto(ADDRESS)
    page.get_by_role("link", name="Rejects", exact=True).press("Enter")
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_label("Reason").select_option("unknown provider")
    page.get_by_role("button", name="Filter").press("Enter")
    expect(page.locator("tbody tr")).to_have_count(1)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "ledger-rejects-unknown_provider.jsonl"

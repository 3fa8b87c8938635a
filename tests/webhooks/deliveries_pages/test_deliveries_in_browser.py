"""The pages of deliveries in a real browser: filters, live rows, retry, keys, what axe finds."""

import json
import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, Route, expect

from tests.browsing import DESK, PHONE, faults, watched
from tests.services.waiting import until
from tests.webhooks.receiver import Receiver, status
from webhooks.engine import message
from webhooks.models import Delivery, Event

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LOG = "/webhooks/deliveries/"


@pytest.fixture
def page(page: Page, user, sign_in, live_server) -> Page:
    """A signed-in tab that fails its test for what the policy refused or what broke."""
    sign_in(user)
    with watched(page, live_server.url) as tab:
        yield tab


@pytest.fixture
def log(make_endpoint, make_delivery, make_attempt) -> list[Delivery]:
    """60 deliveries of two endpoints: every third failed, the last one waits."""
    erp = make_endpoint("https://erp.example.com/hooks/stockroom", description="ERP")
    shop = make_endpoint("https://shop.example.com/" + "long/" * 60)
    made = [
        make_delivery(
            shop if n % 2 else erp,
            "succeeded" if n % 3 else "failed",
            ago=timedelta(hours=60 - n, minutes=-30),
            last_status_code=200 if n % 3 else 503,
        )
        for n in range(59)
    ]
    soon = timezone.now() + timedelta(minutes=20)
    made.append(
        make_delivery(
            erp, "pending", next_attempt_at=soon, attempts_made=2, tries=2, last_status_code=503
        )
    )
    for number in (1, 2):
        make_attempt(made[-1], number, status_code=503, response_body="<h1>down</h1>" * 300)
    return made


def rows(page: Page):
    return page.locator("#results tbody tr")


def test_filters_work_at_once_and_are_in_the_address(page, log):
    page.goto(LOG)
    expect(rows(page)).to_have_count(50)
    page.get_by_text("Failed", exact=True).click()
    expect(rows(page)).to_have_count(20)
    expect(page).to_have_url(f"{LOG}?state=failed")
    page.get_by_label("Endpoint", exact=True).select_option("ERP · erp.example.com/hooks/stockroom")
    expect(rows(page)).to_have_count(10)
    page.get_by_label("Since", exact=True).select_option("Last 24 hours")
    expect(rows(page)).to_have_count(4)
    expect(page.locator("#announce")).to_have_text("4 deliveries on this page")

    page.go_back()
    expect(rows(page)).to_have_count(10)
    expect(page.get_by_label("Since", exact=True)).to_have_value("")
    page.go_back()
    page.go_back()
    expect(page).to_have_url(LOG)
    expect(rows(page)).to_have_count(50)
    expect(page.get_by_label("All", exact=True)).to_be_checked()
    page.go_forward()
    expect(page.get_by_label("Failed", exact=True)).to_be_checked()
    expect(rows(page)).to_have_count(20)

    page.get_by_label("Event", exact=True).select_option("product.deleted")
    expect(page.get_by_role("heading", name="No deliveries match")).to_be_visible()
    page.get_by_role("link", name="Clear the filter").click()
    expect(rows(page)).to_have_count(50)
    expect(page.get_by_label("All", exact=True)).to_be_checked()
    expect(page.get_by_label("Event", exact=True)).to_have_value("")
    page.get_by_role("link", name="Older").click()
    expect(rows(page)).to_have_count(10)
    page.get_by_role("link", name="Newer").click()
    expect(rows(page)).to_have_count(50)


def test_a_sku_or_a_webhook_id_is_found(page, log, make_delivery):
    sought = make_delivery(log[0].endpoint, data={"product": {"sku": "AB-7"}})
    page.goto(LOG)
    field = page.get_by_label("Find SKU or webhook-id")
    field.fill("ab-7")
    field.press("Enter")
    expect(rows(page)).to_have_count(1)
    expect(page).to_have_url(f"{LOG}?q=ab-7")
    expect(field).to_be_focused()
    field.fill(log[0].event.webhook_id)
    page.get_by_text("Failed", exact=True).click()
    expect(page.locator(f"#row-{log[0].pk}")).to_be_visible()
    expect(rows(page)).to_have_count(1)
    field.fill("nothing")
    field.press("Enter")
    expect(page.get_by_role("heading", name="No deliveries match")).to_be_visible()
    page.go_back()
    expect(field).to_have_value(log[0].event.webhook_id)
    page.goto(f"{LOG}?q=AB-7")
    expect(page.locator(f"#row-{sought.pk}")).to_be_visible()
    field.fill("")
    field.press("Enter")
    expect(rows(page)).to_have_count(50)
    expect(page).to_have_url(LOG)


def test_an_instant_is_chosen_in_the_readers_own_time(page, log):
    page.goto(LOG)
    field = page.get_by_label("Since this time")
    expect(field).to_be_hidden()
    page.get_by_label("Since", exact=True).select_option("Since …")
    expect(field).to_be_visible()
    expect(rows(page)).to_have_count(24)  # a day before now, until another time is chosen
    at = page.evaluate(
        "() => new Date(Date.now() - 36e5 * 11 - new Date().getTimezoneOffset()"
        " * 6e4).toISOString().slice(0, 16)"
    )
    field.fill(at)
    expect(rows(page)).to_have_count(11)
    expect(page).to_have_url(re.compile(r"\?since=20\d\d-\d\d-\d\dT\d\d%3A\d\d%3A00Z$"))
    page.reload()
    expect(field).to_have_value(at)
    expect(rows(page)).to_have_count(11)


def test_the_keyboard_is_enough(page, log):
    page.goto(LOG)
    page.get_by_label("All", exact=True).focus()
    page.keyboard.press("ArrowLeft")  # round to the last one
    expect(rows(page)).to_have_count(20)
    expect(page.get_by_label("Failed", exact=True)).to_be_focused()
    rows(page).first.get_by_role("link").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("product.updated song-7")
    page.get_by_role("button", name="Retry now").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("It is sent again to")
    expect(page.locator("#state")).to_have_text("waiting")


def test_a_row_opens_wherever_it_is_clicked(page, log):
    page.goto(LOG)
    rows(page).nth(1).get_by_role("cell", name="200 OK", exact=True).click()
    expect(page).to_have_url(re.compile(rf"{LOG}\d+/$"))


def test_new_deliveries_come_by_themselves_but_not_under_the_hands(page, log, make_delivery):
    erp = log[0].endpoint
    page.goto(LOG)
    page.mouse.move(5, 5)
    first = make_delivery(erp)
    expect(page.locator(f"#row-{first.pk}")).to_be_visible()
    expect(rows(page)).to_have_count(50)

    page.locator(f"#delivery-{first.pk}").focus()
    second = make_delivery(erp)
    Delivery.objects.filter(pk=first.pk).update(state="failed")
    new = page.get_by_role("button", name="1 new")
    expect(new).to_be_visible()
    expect(page.locator(f"#row-{first.pk} .tag")).to_have_text("failed")  # in its place
    expect(page.locator(f"#row-{second.pk}")).to_have_count(0)
    expect(page.locator(f"#delivery-{first.pk}")).to_be_focused()
    new.click()
    expect(rows(page).first).to_have_id(f"row-{second.pk}")
    expect(new).to_be_hidden()

    page.get_by_role("link", name="Older").click()
    expect(page.locator("#live-tag")).to_be_hidden()


STREAM = """
window.EventSource = class extends EventTarget {
  static OPEN = 1;
  static CLOSED = 2;
  constructor() { super(); this.readyState = 1; window.stream = this; }
  close() { this.readyState = 2; }
};
"""
SAY = "([name, data]) => stream.dispatchEvent(new MessageEvent(name, { data }))"
CALL = ["snapshot", '{"at": 1}']


def news(page: Page) -> None:
    """The stream calls; the page has asked for its part again, and has it."""
    with page.expect_response(lambda each: "hx-request" in each.request.headers) as answer:
        page.evaluate(SAY, CALL)
    answer.value.finished()
    page.evaluate("new Promise((done) => setTimeout(done))")  # the answer's own handlers are done


def test_what_is_pressed_is_not_taken_away(page, log):
    page.add_init_script(STREAM)
    page.goto(LOG)
    waiting = log[-1]
    page.locator(f"#row-{waiting.pk} time[data-until]").filter(visible=True).hover()
    page.mouse.down()
    Delivery.objects.filter(pk=waiting.pk).update(state="succeeded")
    news(page)
    expect(page.locator(f"#row-{waiting.pk} .tag")).to_have_text("waiting")
    page.mouse.up()
    expect(page).to_have_url(re.compile(rf"{LOG}{waiting.pk}/$"))


def test_what_came_meanwhile_is_shown_when_it_is_let_go(page, log, make_delivery):
    page.add_init_script(STREAM)
    page.goto(LOG)
    page.mouse.move(5, 5)
    page.mouse.down()
    new = make_delivery(log[0].endpoint)
    news(page)
    expect(page.locator(f"#row-{new.pk}")).to_have_count(0)
    page.mouse.up()
    expect(page.locator(f"#row-{new.pk}")).to_be_visible()


def test_an_attempt_is_opened_while_another_comes(page, log, make_attempt):
    page.add_init_script(STREAM)
    waiting = log[-1]
    page.goto(f"{LOG}{waiting.pk}/")
    older = page.locator(".attempts details").last
    older.locator("summary").hover()
    page.mouse.down()
    make_attempt(waiting, 3, status_code=404)
    page.evaluate("delete document.querySelector('#delivery').dataset.far")
    news(page)
    expect(page.locator(".attempts details")).to_have_count(2)
    page.mouse.up()
    expect(older).to_have_attribute("open", "")
    expect(page.locator(".attempts details")).to_have_count(3)


def test_many_calls_of_the_stream_are_one_request(page, log, make_delivery):
    page.add_init_script(STREAM)
    page.goto(LOG)
    page.mouse.move(5, 5)
    asked: list[str] = []
    page.on("request", lambda request: request.url.endswith(LOG) and asked.append(request.url))
    page.evaluate(SAY, ["stream-open", ""])
    expect(page.locator("#live-tag")).to_have_text("live")
    delivery = make_delivery(log[0].endpoint)
    page.evaluate(f"(said) => {{ for (let n = 0; n < 20; n += 1) ({SAY})(said); }}", CALL)
    expect(page.locator(f"#row-{delivery.pk}")).to_be_visible()
    assert len(asked) <= 3  # at the opening, for the first call, for the rest


def test_the_first_delivery_ends_the_explanation(page, make_endpoint, make_delivery):
    erp = make_endpoint()
    page.goto(LOG)
    expect(page.get_by_role("heading", name="No deliveries yet")).to_be_visible()
    expect(page.get_by_label("Endpoint", exact=True)).to_be_hidden()
    make_delivery(erp)
    expect(rows(page)).to_have_count(1)
    expect(page.get_by_label("Endpoint", exact=True)).to_be_visible()


def test_retry_is_seen_through_to_its_answer(
    page, make_endpoint, make_delivery, make_attempt, deliverer, settings
):
    settings.WEBHOOK_RETRY_SECONDS = [3600]  # it is not sent again before the button is pressed
    with Receiver([status(503, "busy"), status(200, "taken")]) as receiver:
        endpoint = make_endpoint(receiver.address("/hook"), headers={"X-Key": "very-secret"})
        delivery = make_delivery(endpoint, "failed", last_status_code=500)
        make_attempt(delivery, 1, status_code=500)
        page.goto(f"{LOG}{delivery.pk}/")
        page.get_by_role("button", name="Retry now").click()
        until(lambda: Delivery.objects.get(pk=delivery.pk).attempts_made == 2)
        expect(page.locator(".attempts > li")).to_have_count(2)
        expect(page.locator("#state")).to_have_text("waiting")
        expect(page.get_by_text("busy", exact=True)).to_be_visible()
        expect(page.get_by_text("very-secret")).to_have_count(0)
        page.get_by_role("button", name="Retry now").click()
        expect(page.locator("#state")).to_have_text("succeeded")
        expect(page.get_by_text("taken", exact=True)).to_be_visible()
        expect(page.get_by_role("button", name="Send again")).to_be_visible()
        ids = {request.headers["webhook-id"] for request in receiver.requests}
        assert ids == {delivery.event.webhook_id}


def test_what_is_open_stays_open_while_attempts_come(page, log, make_attempt):
    waiting = log[-1]
    page.goto(f"{LOG}{waiting.pk}/")
    expect(page.locator("time[data-until]").first).to_have_text(re.compile(r"in (19|20) min"))
    older = page.locator(".attempts details").nth(1)
    older.locator("summary").click()
    make_attempt(waiting, 3, status_code=404)
    Delivery.objects.filter(pk=waiting.pk).update(
        attempts_made=3, next_attempt_at=None, state="failed"
    )
    page.evaluate("document.querySelector('[data-until]').dateTime = new Date(0).toISOString()")
    expect(page.locator("#state")).to_have_text("failed")
    expect(page.locator("#announce")).to_contain_text("failed after 3 attempts")
    expect(page.locator(".attempts details")).to_have_count(3)
    assert (
        page.locator(".attempts details").evaluate_all("all => all.map((d) => d.open)")
        == [True] * 3
    )


def test_a_replay_is_counted_before_and_told_after(page, log):
    page.goto(LOG)
    page.get_by_role("link", name="Replay failed…").click()
    expect(page.get_by_role("button", name="Send 8 again")).to_be_visible()
    page.get_by_label("Since", exact=True).select_option("Last 7 days")
    expect(page.get_by_role("button", name="Send 20 again")).to_be_visible()
    page.get_by_label("Endpoint", exact=True).select_option("ERP · erp.example.com/hooks/stockroom")
    page.get_by_role("button", name="Send 10 again").click()
    expect(page.get_by_text("10 deliveries are sent again.")).to_be_visible()
    assert Delivery.objects.filter(state="failed").count() == 10


def test_what_is_chosen_before_the_scripts_are_there_counts(page, log):
    held: list[Route] = []
    page.route(re.compile(r"/htmx\S*\.js"), lambda route: held.append(route))
    page.goto(f"{LOG}replay/", wait_until="commit")
    expect(page.get_by_role("button", name="Send 8 again")).to_be_visible()
    page.get_by_label("Since", exact=True).select_option("Last 7 days")
    (script,) = held
    script.continue_()
    expect(page.get_by_role("button", name="Send 20 again")).to_be_visible()


def test_without_a_script_all_of_it_works(chromium, live_server, browser_context, page, log):
    cookies = browser_context.cookies()
    context = chromium.new_context(base_url=live_server.url, java_script_enabled=False)
    context.add_cookies(cookies)
    page = context.new_page()
    page.goto(LOG)
    page.get_by_label("Failed", exact=True).check(force=True)
    page.get_by_label("Since", exact=True).select_option("Last 24 hours")
    page.get_by_role("button", name="Show").click()
    expect(rows(page)).to_have_count(8)
    page.get_by_label("Since", exact=True).select_option("Since …")
    page.get_by_label("Since this time").fill("2026-01-01T00:00")
    page.get_by_role("button", name="Show").click()
    expect(rows(page)).to_have_count(20)
    expect(page.get_by_label("Since this time")).to_have_value("2026-01-01T00:00")
    page.get_by_label("Find SKU or webhook-id").fill(log[0].event.webhook_id)
    page.get_by_role("button", name="Show").click()
    expect(rows(page)).to_have_count(1)
    expect(page.get_by_label("Find SKU or webhook-id")).to_have_value(log[0].event.webhook_id)
    rows(page).first.get_by_role("link").click()
    page.get_by_role("button", name="Retry now").click()
    expect(page.locator("#state")).to_have_text("waiting")
    page.goto(f"{LOG}replay/")
    page.get_by_label("Since", exact=True).select_option("At any time")
    page.get_by_role("button", name="Count again").click()
    page.get_by_role("button", name="Send 19 again").click()
    expect(page.get_by_text("19 deliveries are sent again.")).to_be_visible()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(page, log, scheme):
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    found: dict[str, list[str]] = {}
    for size in (DESK, PHONE):
        page.set_viewport_size(size)
        for name, address in (
            ("log", LOG),
            ("nothing", f"{LOG}?state=sending&since=2026-01-01T00:00:00Z"),
            ("delivery", f"{LOG}{log[-1].pk}/"),
            ("replay", f"{LOG}replay/"),
        ):
            page.goto(address)
            expect(page.locator("main")).to_be_visible()
            found[f"{name} {size['width']}"] = faults(page)
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_the_payload_is_copied_as_it_is_sent(page, browser_context, log):
    browser_context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.clock.install()
    page.goto(f"{LOG}{log[0].pk}/")
    shown = page.locator("#payload").inner_text()
    page.clock.pause_at(page.evaluate("Date.now()") + 1000)  # "Copied" stays
    page.get_by_role("button", name="Copy the payload").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    event = Event.objects.get(pk=log[0].event_id)
    body = message.body(event.type, event.occurred_at, event.data)
    assert page.evaluate("navigator.clipboard.readText()").encode() == body
    assert "\n  " in shown and json.loads(shown) == json.loads(body)


def test_a_phone_shows_the_last_answer_below_the_state(page, log):
    page.set_viewport_size(PHONE)
    page.goto(LOG)
    state = page.locator(f"#row-{log[-1].pk} td").filter(has=page.locator(".tag"), visible=True)
    expect(state.get_by_text("503 Service Unavailable")).to_be_visible()


def test_the_pages_fit_a_phone(page, log, make_endpoint, make_delivery, make_attempt):
    far = make_endpoint("https://x.example.com/" + "y" * 1900, description="z" * 200)
    sku = {"product": {"sku": "s" * 128}}
    wide = make_delivery(far, "failed", data=sku, last_error="e" * 200, test=True)
    make_attempt(
        wide,
        status_code=500,
        error="e" * 200,
        response_headers={"h" * 90: "v" * 900},
        response_body="b" * 4096,
    )
    page.set_viewport_size(PHONE)
    for address in (LOG, f"{LOG}?since=2026-01-01T00:00Z", f"{LOG}{wide.pk}/", f"{LOG}replay/"):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"], address
        assert page.evaluate("document.querySelector('.scroll')?.scrollWidth ?? 0") <= 390

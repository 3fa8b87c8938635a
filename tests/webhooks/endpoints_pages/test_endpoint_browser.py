"""The pages of endpoints in a real browser: secret, tests, keys, live, and what axe finds."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect
from standardwebhooks import Webhook

from tests.browsing import PATIENCE_MS, PHONE, faults, watched
from tests.look.test_browser import ACCESSIBILITY
from tests.webhooks.receiver import Receiver, status
from webhooks.models import Endpoint, Secret

from .conftest import LIST, add_deliveries, page_of, set_health

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

NEW = "/webhooks/endpoints/new/"
LONG = f"https://127.0.0.1/{'segment-of-a-path/' * 20}{'x' * 300}"


@pytest.fixture
def page(page: Page, user, sign_in, live_server) -> Page:
    """An editor's tab that fails its test for what the policy refused or what broke."""
    sign_in(user)
    with watched(page, live_server.url) as tab:
        yield tab


def test_an_endpoint_is_made_its_secret_copied_and_a_test_sent(
    page, browser_context, deliverer, live_server
):
    browser_context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.clock.install()
    with Receiver(status(200, "thank you")) as receiver:
        page.goto(LIST)
        page.get_by_role("link", name="Add endpoint").click()
        page.get_by_label("URL").fill(receiver.url)
        page.get_by_label("Description").fill("The shop")
        page.get_by_role("button", name="Add endpoint").click()

        secret = page.locator("#secret").inner_text()
        page.clock.pause_at(page.evaluate("Date.now()") + 1000)  # "Copied" stays
        page.locator(".secret-once").get_by_role("button", name="Copy").first.click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        page.clock.resume()
        assert (
            page.evaluate("navigator.clipboard.readText()") == secret == Secret.objects.get().value
        )

        result = page.locator("#test-result")
        page.get_by_label("Event", exact=True).select_option("product.deleted")
        page.get_by_role("button", name="Send test").click()
        expect(result).to_contain_text("200 OK")
        expect(result).to_contain_text(re.compile(r"in \d+ ms"))
        expect(result).to_contain_text("thank you")
        (request,) = receiver.wait(1)
        assert request.headers["webhook-test"] == "true"
        assert Webhook(secret).verify(request.body, request.headers)["type"] == "product.deleted"
        expect(page.locator("#latest")).to_contain_text("product.deleted")

        receiver.answer = status(503, "busy")
        page.get_by_role("button", name="Send test").click()
        expect(result).to_contain_text("503 Service Unavailable")
        expect(result).to_contain_text("busy")
    page.get_by_role("button", name="Send test").click()
    expect(result).to_contain_text("no answer")
    expect(result).to_contain_text("refused")
    expect(page.get_by_text("enabled", exact=True)).to_be_visible()  # tests don't count

    page.reload()
    expect(page.get_by_role("button", name="Send test")).to_be_visible()
    expect(page.locator("#secret")).to_have_count(0)
    page.get_by_role("button", name="Send test").click()
    result.get_by_role("link", name="See the delivery").click()
    expect(page).to_have_url(re.compile(r"/webhooks/deliveries/\d+/$"))


def test_a_test_is_sent_by_enter_and_the_focus_stays(page, endpoint):
    page.goto(page_of(endpoint))
    button = page.get_by_role("button", name="Send test")
    button.focus()
    for _ in range(2):
        with page.expect_response(lambda each: each.url.endswith("/test/")):
            page.keyboard.press("Enter")
        expect(page.get_by_text("Sending…")).to_be_visible()
        expect(button).to_be_focused()


def test_a_pause_is_ended(page, endpoint):
    until = timezone.now() + timedelta(minutes=5)
    set_health(endpoint, held_until=until, failures_in_a_row=5, failing_since=timezone.now())
    page.goto(page_of(endpoint))
    page.get_by_role("button", name="Try now").click()
    expect(page.get_by_text("The pause of The shop is over.")).to_be_visible()
    expect(page.get_by_role("button", name="Try now")).to_have_count(0)


def test_a_phone_shows_what_waits(page, endpoint):
    add_deliveries(endpoint, 3)
    page.set_viewport_size(PHONE)
    page.goto(LIST)
    expect(page.get_by_text("3 waiting")).to_be_visible()


def test_the_secret_is_rotated_with_the_keyboard_alone(page, endpoint):
    page.goto(page_of(endpoint))
    tab_to(page, "Rotate…")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Rotate the signing secret?")).to_be_visible()
    tab_to(page, "Rotate secret")
    page.keyboard.press("Enter")
    expect(page.locator("#secret")).to_be_visible()
    expect(page.locator("#secret")).to_have_text(Secret.objects.get(expires_at=None).value)
    expect(page.get_by_text("The one before signs beside it until")).to_be_visible()


def test_an_endpoint_is_made_with_the_keyboard_alone(page):
    page.goto(LIST)
    tab_to(page, "Add endpoint")
    page.keyboard.press("Enter")
    expect(page.get_by_label("URL")).to_be_focused()
    page.keyboard.type("http://127.0.0.1:9/hook")
    page.keyboard.press("Tab")
    page.keyboard.type("The shop")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label("Only these")).to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    tab_to(page, "Add a header")
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Name of header 1")).to_be_focused()
    page.keyboard.type("X-Shop")
    page.keyboard.press("Tab")
    page.keyboard.type("7")
    page.keyboard.press("Enter")
    expect(page.locator("#secret")).to_be_visible()
    made = Endpoint.objects.get()
    assert made.event_types == ["product.created"] and made.headers == {"X-Shop": "7"}


def tab_to(page: Page, name: str) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText").strip() == name:
            return
    raise AssertionError(f"Tab does not come to {name}")


def test_rows_for_headers_come_and_go(page, endpoint):
    page.goto(page_of(endpoint, "edit/"))
    names = page.get_by_placeholder("Name").filter(visible=True)
    expect(names).to_have_count(1)
    page.get_by_role("button", name="Add a header").click()
    page.get_by_role("textbox", name="Name of header 2").fill("X-Second")
    page.get_by_role("textbox", name="Value of header 2").fill("2")
    page.get_by_role("button", name="Remove header 1").click()
    expect(page.get_by_role("button", name="Remove header 1")).to_be_focused()
    expect(page.get_by_role("textbox", name="Name of header 1")).to_have_value("X-Second")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").first).to_contain_text("is saved")
    endpoint.refresh_from_db()
    assert endpoint.headers == {"X-Second": "2"}


def test_what_was_typed_is_not_lost_by_a_slip(page, endpoint):
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.goto(page_of(endpoint, "edit/"))
    page.get_by_label("Description").fill("Another")
    page.get_by_role("link", name="Products").click()
    expect(page.get_by_label("Description")).to_have_value("Another")
    assert asked == ["beforeunload"]
    page.get_by_role("link", name="Cancel").click()
    expect(page).to_have_url(re.compile(f"{page_of(endpoint)}$"))


def test_the_list_follows_what_happens_and_leaves_the_reader_alone(page, endpoint, make_endpoint):
    """By polling: this server has no streams. The one of web has its own tests."""
    page.goto(LIST)
    link = page.get_by_role("link", name="127.0.0.1/hooks/stockroom")
    link.focus()
    make_endpoint("https://127.0.0.1/second")
    set_health(endpoint, failures_in_a_row=2, failing_since=timezone.now())
    second = page.get_by_role("link", name="127.0.0.1/second")
    expect(second).to_be_visible()
    expect(page.get_by_text("2 failures in a row").filter(visible=True)).to_be_visible()
    expect(link).to_be_focused()


STREAM = """window.EventSource = class extends EventTarget {
  static OPEN = 1;
  static CLOSED = 2;
  readyState = 1;
  constructor() { super(); window.stream = this; setTimeout(() => this.say("stream-open", {})); }
  close() { this.readyState = 2; }
  say(name, data) { this.dispatchEvent(new MessageEvent(name, { data: JSON.stringify(data) })); }
}"""


def test_many_events_of_the_stream_are_one_request(page, endpoint, make_endpoint):
    page.add_init_script(STREAM)
    asked: list[str] = []
    page.on("request", lambda r: "hx-request" in r.headers and asked.append(r.url))
    page.goto(LIST)
    expect(page.locator("#live-tag")).to_have_text("live")
    expect(page.locator(".htmx-request")).to_have_count(0)
    before = len(asked)
    make_endpoint("https://127.0.0.1/second")
    page.evaluate("for (let at = 1; at <= 5; at += 1) stream.say('snapshot', { at })")
    second = page.get_by_role("link", name="127.0.0.1/second")
    expect(second).to_be_visible()
    assert len(asked) == before + 1


def test_what_is_pressed_or_selected_is_not_taken_away(page, endpoint):
    page.add_init_script(STREAM)
    page.goto(LIST)
    expect(page.locator("#live-tag")).to_have_text("live")
    expect(page.locator(".htmx-request")).to_have_count(0)
    link = page.get_by_role("link", name="127.0.0.1/hooks/stockroom")
    link.hover()
    page.mouse.down()
    endpoint_says(page, endpoint, "First")
    page.mouse.up()
    expect(page).to_have_url(re.compile(f"{page_of(endpoint)}$"))

    page.goto(LIST)
    expect(page.locator("#live-tag")).to_have_text("live")
    expect(page.locator(".htmx-request")).to_have_count(0)
    page.evaluate("getSelection().selectAllChildren(document.querySelector('tbody th a'))")
    endpoint_says(page, endpoint, "Second")
    expect(page.get_by_text("Second")).to_have_count(0)
    page.evaluate("getSelection().removeAllRanges()")
    expect(page.get_by_text("Second")).to_be_visible()


def endpoint_says(page: Page, endpoint: Endpoint, description: str) -> None:
    """It is changed, and the page asks for that and has the answer."""
    Endpoint.objects.filter(pk=endpoint.pk).update(description=description)
    with page.expect_response(lambda each: "hx-request" in each.request.headers) as answer:
        page.evaluate("stream.say('snapshot', { at: 1 })")
    assert description in answer.value.text()
    expect(page.locator(".htmx-request")).to_have_count(0)


def test_an_endpoint_that_is_given_up_says_so_at_once(page, endpoint):
    page.goto(page_of(endpoint))
    expect(page.get_by_role("button", name="Disable")).to_be_visible()
    Endpoint.objects.update(
        enabled=False, disabled_at=timezone.now(), disabled_reason="It answered 410 Gone."
    )
    expect(page.get_by_text("It answered 410 Gone.")).to_be_visible()
    expect(page.get_by_text("disabled automatically")).to_be_visible()
    expect(page.get_by_role("button", name="Disable")).to_be_hidden()
    page.get_by_role("button", name="Enable").filter(visible=True).click()
    expect(page.get_by_text("The shop is enabled.")).to_be_visible()
    expect(page.get_by_role("button", name="Disable")).to_be_visible()


def test_it_works_without_javascript(chromium, live_server, user, client):
    context = chromium.new_context(base_url=live_server.url, java_script_enabled=False)
    context.set_default_timeout(PATIENCE_MS)
    context.add_cookies(
        [
            {"name": name, "value": cookie.value, "url": live_server.url}
            for name, cookie in client.cookies.items()
        ]
    )
    page = context.new_page()
    page.goto(NEW)
    page.get_by_label("URL").fill("http://127.0.0.1:9/hook")
    page.get_by_label("Only these").check()
    page.get_by_label("product.updated").check()
    page.get_by_role("textbox", name="Name of header 2").fill("X-Shop")
    page.get_by_role("textbox", name="Value of header 2").fill("7")
    page.get_by_role("button", name="Add endpoint").click()
    made = Endpoint.objects.get()
    assert made.event_types == ["product.updated"] and made.headers == {"X-Shop": "7"}
    expect(page.locator("#secret")).to_have_text(Secret.objects.get().value)
    page.get_by_text("Values").click()
    expect(page.locator(".reveal dd")).to_have_text("7")
    page.get_by_role("button", name="Send test").click()
    expect(page).to_have_url(re.compile(r"/webhooks/deliveries/\d+/$"))
    page.goto(page_of(made))
    page.get_by_role("button", name="Disable").click()
    page.get_by_role("button", name="Enable").click()
    expect(page.get_by_role("button", name="Disable")).to_be_visible()
    page.get_by_role("link", name="Delete endpoint…").click()
    expect(page.get_by_text("1 delivery waits for it")).to_be_visible()
    page.get_by_role("button", name="Delete endpoint").click()
    expect(page.get_by_role("heading", name="No endpoints yet")).to_be_visible()
    context.close()


@pytest.fixture
def every_kind(make_endpoint) -> list[Endpoint]:
    """Enabled, failing, paused, disabled, given up; with long words and without any."""
    now = timezone.now()
    headers = {"X-A-Rather-Long-Name-Of-A-Header": "v" * 300}
    made = [
        make_endpoint(LONG, description="d" * 200, headers=headers),
        make_endpoint(f"{LONG}/2", event_types=["product.created", "products.bulk_deleted"]),
        make_endpoint("https://127.0.0.1/3"),
        make_endpoint("https://127.0.0.1/4", enabled=False, disabled_at=now),
        make_endpoint(
            f"{LONG}/5", enabled=False, disabled_at=now, disabled_reason="It answered 410 Gone."
        ),
    ]
    since = now - timedelta(hours=1)
    failing = {"failures_in_a_row": 12_345, "failing_since": since, "last_failure_at": now}
    set_health(made[1], **failing)
    set_health(made[2], held_until=now + timedelta(hours=1), **failing)
    for endpoint in made[1:3]:
        failed = {"state": "failed", "last_error": "No answer. " * 15, "attempts_made": 10}
        add_deliveries(endpoint, 2, event_type="products.bulk_restored", **failed)
        add_deliveries(endpoint, 2, next_attempt_at=now, test=True)
    return made


def addresses(endpoints: list[Endpoint]) -> list[str]:
    actions = ("edit/", "delete/", "rotate/")
    return [
        LIST,
        NEW,
        *[page_of(each) for each in endpoints],
        *[page_of(endpoints[0], action) for action in actions],
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(page, every_kind, scheme):
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    found: dict[str, list[str]] = {}
    for address in addresses(every_kind):
        page.goto(address)
        found[address] = faults(page)
    page.goto(page_of(every_kind[0]))
    page.get_by_text("Values").click()
    page.get_by_role("button", name="Send test").click()
    expect(page.get_by_text("Sending…")).to_be_visible()
    found["sending"] = faults(page)
    page.goto(NEW)
    page.get_by_label("URL").fill("ftp://example.com")
    page.get_by_label("Only these").check()
    page.get_by_role("button", name="Add a header").click()
    page.get_by_role("button", name="Add endpoint").click()
    expect(page.get_by_text("Choose at least one event.")).to_be_visible()
    found["errors"] = faults(page)
    page.get_by_label("URL").fill("http://127.0.0.1:9/")
    page.get_by_label("All, also those that come later").check()
    page.get_by_role("button", name="Add endpoint").click()
    expect(page.locator("#secret")).to_be_visible()
    found["secret"] = faults(page)
    page.set_viewport_size(PHONE)
    page.goto(LIST)
    found["list on a phone"] = faults(page)
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_the_pages_fit_a_phone_and_can_be_used_without_seeing_them(page, every_kind):
    page.set_viewport_size(PHONE)
    for address in addresses(every_kind):
        page.goto(address)
        assert page.evaluate(ACCESSIBILITY) == [], address
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"], address
        wide = "[...document.querySelectorAll('.scroll')].map((each) => each.scrollWidth)"
        assert all(width <= PHONE["width"] for width in page.evaluate(wide)), address

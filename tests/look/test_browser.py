"""The shell in a real browser: policy, keyboard, phone, colours."""

import pytest
from playwright.sync_api import Page, expect

from config.accounts import tokens

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

OWN_PAGES = [
    "/account/",
    "/account/password/",
    "/webhooks/",
    "/webhooks/endpoints/new/",
    "/stocksync/",
    "/streaming/sales/",
    "/streaming/prices/",
    "/transactions/orders/",
    "/transactions/ledger/",
    "/operations/",
    "/nothing/",
]
PHONE = {"width": 390, "height": 800}

# What a page must have for those who don't see it, as a list of what is wrong.
ACCESSIBILITY = """() => {
  const wrong = [];
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  const doubled = ids.filter((id, at) => ids.indexOf(id) !== at);
  if (doubled.length) wrong.push(`ids twice: ${doubled}`);
  if (document.querySelectorAll("h1").length !== 1) wrong.push("not one h1");
  if (document.querySelectorAll("main").length !== 1) wrong.push("not one main");
  if (!document.documentElement.lang) wrong.push("no language");
  for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea"))
    if (!field.labels?.length && !field.ariaLabel) wrong.push(`no label: ${field.name}`);
  for (const button of document.querySelectorAll("button, a[href]"))
    if (!button.textContent.trim() && !button.ariaLabel) wrong.push(`no name: ${button.outerHTML}`);
  for (const cell of document.querySelectorAll("th"))
    if (!cell.scope) wrong.push(`no scope: ${cell.textContent}`);
  for (const attribute of ["aria-describedby", "aria-labelledby"])
    for (const element of document.querySelectorAll(`[${attribute}]`))
      for (const id of element.getAttribute(attribute).split(/\\s+/))
        if (!document.getElementById(id)) wrong.push(`points nowhere: ${id}`);
  return wrong;
}"""


@pytest.fixture
def page(page: Page, live_server):
    """A tab that fails its test for what the policy refused or another host was asked for."""
    refused: list[str] = []
    page.on("request", lambda r: r.url.startswith(live_server.url) or refused.append(r.url))
    page.on("pageerror", lambda error: refused.append(str(error)))
    page.on(
        "console",
        lambda message: "Content Security Policy" in message.text and refused.append(message.text),
    )
    yield page
    assert refused == []


def background(page: Page) -> str:
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


LIGHT, DARK = "rgb(246, 247, 249)", "rgb(15, 19, 24)"


def test_one_signs_in_and_out_with_the_keyboard_alone(page, user):
    page.goto("/operations/")
    expect(page).to_have_url("/login/?next=/operations/")
    expect(page.get_by_label("Username")).to_be_focused()
    page.keyboard.type("ana")
    page.keyboard.press("Tab")
    page.keyboard.type("a-long-enough-password")
    page.keyboard.press("Enter")
    expect(page).to_have_url("/operations/")
    page.wait_for_load_state()  # the address changes before there is a link to go to
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.get_by_role("button", name="Sign out").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url("/login/")


def test_who_signs_out_is_not_asked_to_go_on_with_a_live_page(page, user, sign_in):
    """What the page asks for between the end of the session and the login page is answered."""
    sign_in(user)
    held = []
    page.route("**/logout/", lambda route: held.append((route, route.fetch(max_redirects=0))))
    page.goto("/operations/")
    with page.expect_response(lambda answer: "hx-redirect" in answer.headers):
        page.get_by_role("button", name="Sign out").click(no_wait_after=True)
    route, answer = held.pop()
    route.fulfill(response=answer)
    expect(page).to_have_url("/login/")


def test_a_wrong_password_is_said_and_announced(page, user):
    page.goto("/login/")
    page.get_by_label("Username").fill("ana")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not match")


@pytest.mark.parametrize("address", OWN_PAGES)
def test_a_page_fits_a_phone_and_can_be_used_without_seeing_it(page, user, sign_in, address):
    tokens.issue(user, "nightly export with quite a long name", ["catalogue:read"])
    sign_in(user)
    page.set_viewport_size(PHONE)
    page.goto(address)
    assert page.evaluate(ACCESSIBILITY) == []
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_the_login_page_too(page):
    page.set_viewport_size(PHONE)
    page.goto("/login/")
    assert page.evaluate(ACCESSIBILITY) == []
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_on_a_phone_the_menu_opens_by_touch_and_keyboard_and_closes_again(page, user, sign_in):
    sign_in(user)
    page.set_viewport_size(PHONE)
    page.goto("/stocksync/")
    ledger = page.get_by_role("link", name="Ledger")
    expect(ledger).to_be_hidden()
    page.get_by_role("button", name="Menu").press("Enter")
    expect(ledger).to_be_visible()
    page.keyboard.press("Escape")
    expect(ledger).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    ledger.click()
    expect(page).to_have_url("/transactions/ledger/")
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()


def test_on_a_desk_the_whole_navigation_is_there(page, user, sign_in):
    sign_in(user)
    page.goto("/stocksync/")
    expect(page.get_by_role("button", name="Menu")).to_be_hidden()
    for name in ("Products", "Imports", "Ledger", "Operations", "ana"):
        expect(page.get_by_role("link", name=name, exact=True)).to_be_visible()


def test_colours_follow_the_system_until_one_chooses(page, user, sign_in):
    sign_in(user)
    page.emulate_media(color_scheme="dark")
    page.goto("/stocksync/")
    assert background(page) == DARK
    page.get_by_role("button", name="Light").click()
    assert background(page) == LIGHT
    page.goto("/account/")
    assert background(page) == LIGHT
    expect(page.get_by_role("button", name="Light")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Auto").click()
    assert background(page) == DARK


def test_a_chosen_scheme_is_there_before_the_first_paint(page, user, sign_in):
    """The body is not parsed yet when the stylesheet's scheme is already the chosen one."""
    sign_in(user)
    page.add_init_script("localStorage.setItem('theme', 'dark')")
    page.add_init_script(
        "new MutationObserver((_, self) => { if (document.body) { self.disconnect();"
        " window.themeAtBody = document.documentElement.dataset.theme; } })"
        ".observe(document, { childList: true, subtree: true })"
    )
    page.goto("/stocksync/")
    assert page.evaluate("window.themeAtBody") == "dark"


def test_a_token_is_made_copied_and_revoked(page, browser_context, user, sign_in):
    browser_context.grant_permissions(["clipboard-read", "clipboard-write"])
    sign_in(user)
    page.goto("/account/")
    page.get_by_label("Name").fill("nightly export")
    page.get_by_label("Products and imports: read", exact=True).check()
    page.get_by_role("button", name="Create token").click()
    secret = page.locator("#secret").inner_text()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == secret
    assert tokens.verify(secret).scopes == ["catalogue:read"]

    page.get_by_role("link", name="I have copied it").click()
    page.get_by_role("button", name="Revoke nightly export").click()
    expect(page.get_by_role("button", name="Keep it")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.get_by_role("button", name="Revoke nightly export").click()
    page.get_by_role("button", name="Revoke token").click()
    expect(page.get_by_role("status")).to_contain_text("is revoked")
    with pytest.raises(tokens.TokenRefused):
        tokens.verify(secret)


def test_a_part_of_a_page_asked_for_after_the_session_ended_leads_to_the_login(
    page, browser_context, user, sign_in
):
    sign_in(user)
    page.goto("/stocksync/")
    browser_context.clear_cookies(name="sessionid")
    # Not waited for: on its way to the login the tab may forget who asked.
    page.evaluate("() => void htmx.ajax('GET', '/operations/', 'main')")
    page.wait_for_url("**/login/?next=/stocksync/")


def test_htmx_sends_the_csrf_token_and_failures_are_said(page, user, sign_in):
    sign_in(user)
    page.goto("/stocksync/")
    with page.expect_request("**/logout/") as sent:
        page.evaluate("htmx.ajax('POST', '/logout/', 'main')")
    assert sent.value.headers["x-csrftoken"] == page.evaluate("stockroom.csrf()")
    page.goto("/login/")
    page.evaluate("htmx.ajax('GET', '/nothing/', 'main')")
    expect(page.get_by_role("status")).to_contain_text("not there any more")


def test_animations_stop_for_those_who_asked_for_less_motion(page):
    page.emulate_media(reduced_motion="reduce")
    page.goto("/login/")
    seconds = page.evaluate(
        "(() => { const bar = document.createElement('progress'); bar.className = 'bar';"
        " document.body.append(bar); return getComputedStyle(bar).animationDuration; })()"
    )
    assert float(seconds.removesuffix("s")) < 0.001

"""The page Operations in a real browser: live, on a phone, in the dark, by keyboard, by axe."""

import re
from collections.abc import Iterator

import pytest
import redis
from playwright.sync_api import Page, expect

from config.operations import sample
from tests.browsing import DESK, PHONE, faults, watched
from tests.operations.example import EXAMPLE
from tests.operations.keeping import KEYS, OLD_SECONDS, PERIOD_SECONDS, apart, taken, well

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ADDRESS = "/operations/"
LONG = "ValueError: " + "something that nobody thought would ever get so very long " * 9


@pytest.fixture
def user(django_user_model):
    return django_user_model.objects.create_user("ana", password="a-long-enough-password")


@pytest.fixture
def engine(settings) -> Iterator[redis.Redis]:
    """Redis, with no sample in it before and after."""
    settings.OPERATIONS_SAMPLE_SECONDS = PERIOD_SECONDS
    settings.REDIS_URL = apart(settings.REDIS_URL)
    with redis.Redis.from_url(settings.REDIS_URL) as engine:
        engine.delete(*KEYS)
        yield engine
        engine.delete(*KEYS)


@pytest.fixture
def page(page: Page, user, sign_in, live_server, engine) -> Iterator[Page]:
    """A signed-in tab that fails its test for what the policy refused or what broke."""
    sign_in(user)
    with watched(page, live_server.url) as tab:
        yield tab


def trouble() -> None:
    """A sample in which much is wrong, with long words."""
    engines = [
        {**each, "status": status, "detail": "no answer in time", "advice": "Start it."}
        for each, status in zip(
            EXAMPLE["engines"], ("ok", "ok", "degraded", "degraded"), strict=True
        )
    ]
    versions = ("0.0.9", "0.1.0", "0.1.0")
    processes = [
        {**each, "version": versions[number % 3]}
        for number, each in enumerate(EXAMPLE["processes"])
    ]
    first, *rest = EXAMPLE["consumers"]
    taken(
        engines=engines,
        processes=processes,
        consumers=[
            {**first, "state": "crashed", "error": LONG},
            *({**each, "lag": 1_234_567, "says": [["waiting for", LONG]]} for each in rest[:2]),
        ],
        queues=[{**each, "oldest_seconds": 999.0} for each in EXAMPLE["queues"]],
        orders={"error": "PostgreSQL: no answer in time"},
        rollup={**EXAMPLE["rollup"], "missed": True, "failure": "KeyDB: connection refused"},
        performance={**EXAMPLE["performance"], "missed": True, "failed": 3},
        rejects=[{**each, "last_hour": 123_456} for each in EXAMPLE["rejects"]],
    )


def states(engine: redis.Redis, settings) -> Iterator[str]:
    """Each state of the page is there when its name comes."""
    yield "no sample"
    empty: list[dict] = []
    taken(
        **well(),
        consumers=empty,
        rejects=[{**each, "last_hour": 0} for each in EXAMPLE["rejects"]],
    )
    engine.delete(sample.POINTS)
    yield "nothing has run yet"
    taken(**well())
    yield "all is well"
    trouble()
    yield "in trouble"
    url, settings.REDIS_URL = settings.REDIS_URL, "redis://127.0.0.1:1/0"
    yield "Redis is away"
    settings.REDIS_URL = url


def test_it_fits_a_phone_in_light_and_dark_and_axe_finds_no_serious_fault_in_any_state(
    page, engine, settings
):
    for state in states(engine, settings):
        for scheme, size in (("light", DESK), ("dark", PHONE)):
            page.set_viewport_size(size)
            page.emulate_media(color_scheme=scheme)
            page.goto(ADDRESS)
            assert faults(page) == [], (state, scheme)
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= size["width"], (state, width)


def test_what_changes_is_shown_without_a_reload_and_the_focus_stays(page, settings):
    taken(**well())
    page.goto(ADDRESS)
    headline = page.locator("#headline")
    expect(headline).to_have_text("All is well")
    engines = page.locator(".scroll[aria-labelledby=engines-title]")
    engines.focus()
    taken()
    expect(headline).to_have_text("3 problems")
    expect(page).to_have_title(re.compile("^3 problems · Operations"))
    expect(page.locator(".problems > li")).to_have_count(3)
    expect(engines).to_be_focused()
    taken(**well())
    expect(headline).to_have_text("All is well")
    expect(page.locator(".problems > li")).to_have_count(0)


def test_a_sample_that_gets_old_counts_up_and_is_then_said_to_be_old(page, engine):
    taken(**well())
    page.goto(ADDRESS)
    expect(page.locator("#sampled")).to_have_text(re.compile(r"^[1-9][0-9]* s$"))
    engine.pexpire(sample.SAMPLE, round((sample.KEPT_SECONDS - OLD_SECONDS) * 1000))
    expect(page.locator(".problems")).to_contain_text("No sample for 50 min")
    expect(page.locator("#operations")).to_have_class(re.compile("old"))


def test_a_problem_leads_to_its_page_by_the_keyboard_alone(page):
    taken()
    page.goto(ADDRESS)
    page.locator("main").focus()
    link = page.get_by_role("link", name=re.compile("^Show ?: The stock sync 3 stands still"))
    for _ in range(6):
        page.keyboard.press("Tab")
        if link.evaluate("link => link === document.activeElement"):
            break
    expect(link).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url("/stocksync/3/")

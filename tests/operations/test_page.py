"""The page Operations: what it shows of a sample, and what it shows without one."""

import copy
import time
from typing import Any

import pytest
import redis

from config import health
from config.accounts.models import Role
from config.operations import sample
from config.operations.sections import SECTIONS
from tests.operations.example import EXAMPLE
from tests.operations.keeping import KEYS, OLD_SECONDS, PERIOD_SECONDS, apart, taken, well

pytestmark = pytest.mark.django_db
DEMO = "tests.consumers.demo.Demo"


@pytest.fixture
def user(django_user_model):
    return django_user_model.objects.create_user("ana", password="a-long-enough-password")


@pytest.fixture(autouse=True)
def engine(settings):
    """Redis, with no sample in it before and after, and no other brokers."""
    settings.OPERATIONS_SAMPLE_SECONDS = PERIOD_SECONDS
    settings.REDIS_URL = apart(settings.REDIS_URL)
    settings.KAFKA_BOOTSTRAP_SERVERS, settings.AMQP_URL = [], ""
    health._monitor.forget()
    with redis.Redis.from_url(settings.REDIS_URL) as engine:
        engine.delete(*KEYS)
        yield engine
        engine.delete(*KEYS)


@pytest.fixture
def page(client, user):
    """`page()`: its text, for a signed-in viewer."""
    client.force_login(user)
    return lambda **headers: client.get("/operations/", headers=headers).content.decode()


def test_all_is_well(page):
    taken(**well())
    shown = page()
    assert "<title>All is well · Operations" in shown
    assert 'role="status"><span class="dot " aria-hidden="true"></span>All is well<' in shown
    assert 'class="problems"' not in shown


def test_problems_say_what_to_do_and_lead_to_more(page):
    taken()
    shown = page()
    assert "<title>3 problems · Operations" in shown and "All is well" not in shown
    assert "The stock sync 3 stands still: events.txt" in shown
    assert "look whether <code>worker</code> and <code>beat</code> run" in shown
    assert '<a href="/webhooks/endpoints/13/">Show' in shown
    assert shown.count('class="notice bad"') == 2 and shown.count('class="notice warn"') == 1


def test_problems_are_told_as_text(page):
    consumer = {**EXAMPLE["consumers"][0], "state": "crashed", "error": "ValueError: <b>"}
    taken(**well(), consumers=[consumer])
    shown = page()
    assert "ValueError: &lt;b&gt;" in shown and "<b>ValueError" not in shown


def test_thousands_of_problems_are_not_all_shown(page):
    endpoints = [{"id": n, "url": f"https://{n}.example/", "failures": 5} for n in range(1000)]
    taken(**{**well(), "deliveries": {**EXAMPLE["deliveries"], "failing_endpoints": endpoints}})
    shown = page()
    assert "1,001 problems" in shown and "951 more. Begin with these." in shown


def test_each_section_has_its_figures(page):
    taken(**well())
    shown = page()
    for words in (
        ">PostgreSQL</th>",
        "4.2 ms",
        'class="mono">one · 106</td>',
        "121 MB",
        ">imports</th>",
        "4.5 s",
        ">812<",  # records per second
        "<b>400 ms</b>",
        "<b>100</b>",
        "in 1.2 s",
        "<b>25</b>",
        "of 20,000, the oldest for 61 s",
        "due, the oldest for 2.5 s",
        "webhooks given up in the last hour",
        "250,000 of 500,000",
        '<progress class="bar small" max="500000" value="250000"',
    ):
        assert words in shown, words


def test_the_last_hour_is_drawn_in_five_plots(page):
    taken(**well())
    shown = page()
    assert shown.count('<svg class="spark"') == 5
    assert (
        'aria-label="Sales taken in, last hour: 812 per second now, 1,172 per second at most"'
        in shown
    )
    assert "style=" not in shown


def test_an_hour_that_has_not_begun_is_not_drawn(page):
    sample.keep({**EXAMPLE, "at": time.time()})
    assert '<svg class="spark"' not in page()


def test_a_section_that_can_not_be_told_is_one_line(page):
    away = {"error": "PostgreSQL: no answer in time"}
    sections = ("jobs", "deliveries", "rollup", "performance", "orders", "rejects")
    taken(**dict.fromkeys(sections, away))
    shown = page()
    assert "Imports and jobs can't be told just now: PostgreSQL: no answer in time" in shown
    assert "Nobody knows just now: imports and jobs, deliveries, the last rollup" in shown
    assert ">PostgreSQL</th>" in shown


def test_a_section_that_is_there_in_part_shows_its_rows_and_what_is_missing(page):
    why = "PostgreSQL needed more than a second"
    rejects = [{"kind": "ledger", "last_hour": 77, "total": None, "url": ""}]
    taken(**well(), rejects=rejects, unread=[{"section": "rejects", "why": why}])
    shown = page()
    assert "Nobody knows just now: some rejects" in shown and why in shown
    assert '<td class="num">77</td>' in shown


@pytest.mark.parametrize("name", SECTIONS)
def test_it_opens_whatever_section_is_away(page, name):
    taken(**{name: {"error": "away just now"}})
    assert "away just now" in page()


@pytest.mark.parametrize("name", SECTIONS)
def test_it_opens_where_an_older_web_has_taken_the_sample(page, name):
    taken(**{name: None})
    assert 'id="headline"' in page()


def test_checks_and_retention_have_their_outcomes(page):
    taken(**well())
    shown = page()
    for words in (
        '<span class="tag">all right</span>',
        '<span class="tag warn">not checked</span>',
        '<span class="tag off">never run</span>',
        '<th scope="row">import rejects</th>',
        "12,000",
        "<code>REJECT_KEEP_DAYS</code>",
    ):
        assert words in shown, words


def test_before_its_first_turn_retention_says_so(page):
    taken(**well(), retention={"at": None, "purges": []})
    assert "It has not happened yet." in page()


def test_what_could_not_be_let_go_of_is_a_problem_with_its_reason(page):
    purge = {"name": "orders", "setting": "ORDER_KEEP_DAYS", "deleted": 0, "more": False}
    taken(**well(), retention={"at": 1.0, "purges": [{**purge, "error": "OperationalError"}]})
    shown = page()
    assert "Old orders could not be let go of: OperationalError" in shown
    assert 'orders<span class="under-line bad">OperationalError</span>' in shown


def test_what_a_consumer_says_has_its_commands_as_code(page):
    says = [["waiting for", "the producer makes it, or `manage.py seed_ledger`"]]
    taken(**well(), consumers=[{**EXAMPLE["consumers"][0], "says": says}])
    assert "or <code>manage.py seed_ledger</code>" in page()


def test_an_old_sample_is_said_clearly(page, engine):
    taken(**well())
    engine.pexpire(sample.SAMPLE, round((sample.KEPT_SECONDS - OLD_SECONDS) * 1000))
    shown = page()
    assert "No sample for 50 min" in shown and "1 problem · Operations" in shown
    assert 'class="operations old"' in shown


def test_versions_beside_this_ones_are_marked(page, settings):
    processes = copy.deepcopy(EXAMPLE["processes"])
    for each, version in zip(processes, ("0.0.9+1a", "999.0.0", "main"), strict=False):
        each["version"] = version
    taken(processes=processes)
    shown = page()
    for version, word in (("0.0.9+1a", "older"), ("999.0.0", "newer"), ("main", "other")):
        assert f'{version} <span class="tag warn">{word}</span>' in shown


def test_it_reads_the_sample_only(page, django_assert_num_queries):
    taken()
    page()
    with django_assert_num_queries(2) as asked:
        page()
    tables = ("django_session", "accounts_user")
    assert all(any(table in each["sql"] for table in tables) for each in asked.captured_queries)


def test_the_script_gets_the_part_alone(page):
    taken()
    part = page(**{"HX-Request": "true"})
    assert part.lstrip().startswith('<div id="operations"') and "<html" not in part


# Consumers


def beat(name: str, **fields: Any) -> dict[str, Any]:
    """What the sample holds of a consumer called `name`."""
    running = {"host": "box", "pid": 7000, "state": "running", "error": None}
    return {"name": name, **running, "lag": None, "rate": None, "says": [], **fields}


def test_it_shows_a_consumer_with_what_it_says(page):
    says = [["lag", "12"], ["last round", "2026-01-02T03:04:06+00:00"], ["<b>", "9"]]
    taken(consumers=[beat("look-test", state="crashed", error="ValueError: <b>", says=says)])
    shown = page()
    assert "look-test" in shown and '<span class="muted">lag</span> 12' in shown
    assert 'last round</span> <time datetime="2026-01-02T03:04:06+00:00" data-local="time"' in shown
    assert '<span class="tag bad">crashed</span>' in shown and "box · 7000" in shown
    assert "ValueError: &lt;b&gt;" in shown and "&lt;b&gt;</span> 9" in shown


def test_it_says_how_to_start_a_consumer_that_does_not_run(page, settings):
    settings.CONSUMER_CLASSES = {"deliveries": DEMO, "own-one": DEMO}
    taken(consumers=[])
    shown = page()
    assert shown.count(">not running<") == 2
    assert "<code>make run</code> starts it" in shown
    procfile = (settings.BASE_DIR / "Procfile").read_text()
    command = "celery -A config.celery worker --pool solo --consumer deliveries -l INFO"
    assert f"deliveries: {command}\n" in procfile
    assert f'<code class="command">{command}</code>' in shown
    start = '<code class="command">celery -A config.celery worker --pool solo --consumer own-'
    assert f"Start it with {start}" in shown


def test_one_that_is_heard_of_needs_no_start(page, settings):
    settings.CONSUMER_CLASSES = {"own-two": DEMO}
    taken(consumers=[])
    assert ">not running<" in page()
    taken(consumers=[beat("own-two")])
    shown = page()
    assert ">not running<" not in shown and "box · 7000" in shown


def test_a_record_of_one_that_does_not_run_is_not_shown_twice(page, settings):
    settings.CONSUMER_CLASSES = {"own-three": DEMO}
    taken(consumers=[{"name": "own-three", "state": "not running"}])
    assert page().count(">not running<") == 1


# Without a sample


def test_before_the_first_sample_the_engines_are_asked(page):
    shown = page()
    assert "Nothing measured yet" in shown and "All is well" not in shown
    assert ">PostgreSQL</th>" in shown and ">Redis</th>" in shown
    assert "The first sample comes within 10 min" in shown


def test_it_opens_while_redis_is_away(page, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    shown = page()
    assert "Redis is away" in shown and "nothing else can be known" in shown
    assert "1 problem · Operations" in shown and "Redis is down: it can" in shown
    assert ">PostgreSQL</th>" in shown


def test_nobody_sees_it_without_a_login(client):
    assert client.get("/operations/").headers["Location"] == "/login/?next=/operations/"


def test_viewers_see_it(page, user):
    user.role = Role.VIEWER
    user.save()
    taken()
    assert "3 problems" in page()


def test_nothing_can_be_sent_to_it(client, user):
    client.force_login(user)
    assert client.post("/operations/").status_code == 405

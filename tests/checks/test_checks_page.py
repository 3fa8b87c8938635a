"""Pages and API of checks: who may look and start, what they say, and how they look."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from django.utils.html import escape
from playwright.sync_api import expect

from config.checks import registry
from config.checks.models import CheckRun, CheckState, Origin
from tests.api_client import client_of, error, send
from tests.browsing import PHONE, faults, watched

pytestmark = pytest.mark.django_db
NAMES = [check.name for check in registry.ALL]


def ran(name: str = "ledger", **values: Any) -> CheckRun:
    """A run that has ended well, unless `values` say otherwise."""
    now = timezone.now()
    return CheckRun.objects.create(
        **{
            "name": name,
            "state": CheckState.PASSED,
            "looked_at": 3,
            "summary": "3 transactions of 2 providers added up.",
            "started_at": now - timedelta(seconds=2),
            "finished_at": now,
            **values,
        }
    )


def wrong(number: int) -> dict[str, str]:
    return {
        "place": f"import {number}",
        "what": "=4 lines went in, and 5 came out",
        "advice": "Import the file again.",
        "url": "/imports/",
    }


def found(count: int) -> CheckRun:
    """One that has found so much, of which 1,000 at most are kept."""
    kept = [wrong(number) for number in range(min(count, 1000))]
    return ran("catalogue", state=CheckState.FAILED, found=count, findings=kept)


def test_before_the_first_run_it_names_all_checks_and_says_what_to_do(client, editor):
    client.force_login(editor)
    shown = client.get("/operations/checks/").content.decode()
    assert "No check has run yet" in shown and shown.count(">never run<") == len(NAMES)
    assert all(escape(check.compares) in shown for check in registry.ALL)
    assert shown.count(">Run</button>") == len(NAMES) and ">Run all</button>" in shown


def test_each_outcome_is_told(client, viewer):
    ran("ledger")
    ran("orders", looked_at=0, summary="There are no users.")
    ran("sales", state=CheckState.ERROR, error="Kafka is away.", summary="")
    found(1234)
    ran("prices", state=CheckState.RUNNING, finished_at=None, progress="7 of 9 stocks")
    client.force_login(viewer)
    shown = client.get("/operations/checks/").content.decode()
    for words in ("all right", "nothing to check", "not checked", "1,234 findings", "running"):
        assert f">{words}</span>" in shown
    assert "Kafka is away." in shown and "7 of 9 stocks" in shown
    assert "No check has run yet" not in shown
    # Viewers look only.
    assert ">Run</button>" not in shown and ">Run all</button>" not in shown


def test_editors_start_one_or_all_and_nobody_a_second(client, editor):
    client.force_login(editor)
    answer = client.post("/operations/checks/run/", {"check": "ledger"})
    run = CheckRun.objects.get()
    assert answer.headers["Location"] == f"/operations/checks/{run.pk}/"
    assert (run.name, run.state, run.created_by) == ("ledger", "queued", editor)
    assert client.post("/operations/checks/run/").headers["Location"] == "/operations/checks/"
    assert sorted(CheckRun.objects.values_list("name", flat=True)) == sorted(NAMES)
    shown = client.get("/operations/checks/").content.decode()
    assert shown.count("disabled>Run</button>") == len(NAMES)
    assert "disabled>Run all</button>" in shown
    assert "Waits for a worker" in client.get(f"/operations/checks/{run.pk}/").content.decode()
    assert client.post("/operations/checks/run/", {"check": "nine"}).status_code == 404


def test_viewers_start_none(client, viewer):
    client.force_login(viewer)
    assert client.post("/operations/checks/run/").status_code == 403
    assert not CheckRun.objects.exists()


def test_a_run_tells_what_it_found_and_gives_it_as_a_file(client, viewer):
    run = found(1500)
    client.force_login(viewer)
    shown = client.get(f"/operations/checks/{run.pk}/").content.decode()
    assert "1,500 findings" in shown and "import 99<" in shown and "import 100<" not in shown
    assert "And 1,400 more; the download has the first 1,000" in shown
    file = client.get(f"/operations/checks/{run.pk}/findings.csv")
    lines = file.content.decode().splitlines()
    assert len(lines) == 1001
    assert lines[1] == 'import 0,"\'=4 lines went in, and 5 came out",Import the file again.'
    assert client.get("/operations/checks/99999/").status_code == 404


def test_the_table_takes_few_queries(client, viewer, django_assert_max_num_queries):
    for name in NAMES:
        for _ in range(3):
            ran(name)
    client.force_login(viewer)
    with django_assert_max_num_queries(8):
        client.get("/operations/checks/")


class TestApi:
    def test_it_starts_checks_and_tells_how_they_end(self, editor):
        client = client_of(editor, "operations:write")
        answer = send(client, "post", "/api/checks/", {"checks": ["orders", "ledger"]})
        assert answer.status_code == 202
        first, second = answer.json()["results"]
        assert (first["check"], second["check"]) == ("ledger", "orders")
        assert (first["state"], first["started_by"], first["ended"]) == ("queued", "ana", False)
        again = send(client, "post", "/api/checks/", {"checks": ["ledger"]}).json()["results"]
        assert again[0]["id"] == first["id"]
        CheckRun.objects.filter(pk=first["id"]).update(
            state="failed", found=1, findings=[wrong(1)], finished_at=timezone.now()
        )
        run = client.get(first["url"]).json()
        assert run["ended"] is True and run["findings"] == [wrong(1)]
        table = client.get("/api/checks/").json()["results"]
        assert [each["name"] for each in table] == NAMES
        assert table[0]["last"]["id"] == first["id"] and table[0]["now"] is None
        assert table[1]["now"]["id"] == second["id"]
        runs = client.get("/api/checks/runs/?check=orders").json()
        assert [each["id"] for each in runs["results"]] == [second["id"]]

    def test_without_names_it_starts_all(self, editor):
        answer = send(client_of(editor, "operations:write"), "post", "/api/checks/", {})
        assert [each["check"] for each in answer.json()["results"]] == NAMES

    def test_it_refuses_who_may_not_and_what_is_not(self, editor, viewer):
        assert error(send(client_of(viewer, "operations:write"), "post", "/api/checks/", {}), 403)
        assert error(send(client_of(editor, "operations:read"), "post", "/api/checks/", {}), 403)
        assert error(client_of(editor, "catalogue:read").get("/api/checks/"), 403)
        assert client_of(viewer, "operations:read").get("/api/checks/").status_code == 200
        client = client_of(editor, "operations:write")
        said = error(send(client, "post", "/api/checks/", {"checks": ["nine"]}), 400)
        assert "stock-trees" in json.dumps(said)
        assert error(client.get("/api/checks/runs/?check=nine"), 400)
        assert error(client.get("/api/checks/runs/99999/"), 404)


@pytest.mark.django_db(transaction=True)
def test_it_works_in_a_browser_on_a_phone_and_in_the_dark(page, sign_in, editor, live_server):
    ran("sales", state=CheckState.ERROR, error="It can't be checked now. Kafka is away.")
    ran("orders", looked_at=0, summary="There are no users.", origin=Origin.NIGHT)
    ran("prices")
    run = found(3)
    sign_in(editor)
    with watched(page, live_server.url):
        page.goto("/operations/checks/")
        expect(page.get_by_role("heading", name="Checks", exact=True)).to_be_visible()
        assert faults(page) == []
        page.get_by_role("button", name="Run Ledger").click()
        expect(page.get_by_text("Waits for a worker")).to_be_visible()
        started = CheckRun.objects.get(name="ledger")
        # No stream in a live_server: the page polls.
        CheckRun.objects.filter(pk=started.pk).update(
            state="passed", looked_at=3, summary="3 transactions.", finished_at=timezone.now()
        )
        expect(page.get_by_role("heading", name="All right")).to_be_visible()
        assert faults(page) == []
        page.emulate_media(color_scheme="dark")
        page.set_viewport_size(PHONE)
        for address in ("/operations/checks/", f"/operations/checks/{run.pk}/"):
            page.goto(address)
            assert faults(page) == []
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= PHONE["width"]

"""One provider's page: curve, balance at a minute, and providers that are gone."""

import json
from html import unescape

import pytest

from config import chart
from tests.transactions.bookkeeping import MINUTE, sample

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("ledger")]

ADDRESS = "/transactions/ledger/providers/1/"


def test_a_provider_has_its_figures_and_curve(read, client, ledger):
    sample(ledger)
    page = read(ADDRESS)
    assert "Visa provider 1 · in KeyDB 1_Visa" in page
    assert "+600 since then 3 transactions 1,000 began with" in page
    body = client.get(ADDRESS).content.decode()
    assert "Balances from 1,200 to 1,300, 1,300 last" in body
    points = json.loads(unescape(body.split('data-points="')[1].split('"')[0]))
    assert [amount for _, amount in points] == ["1,200", "1,300"]
    assert points[-1][0] == ledger.last.timestamp()
    assert 'href="/api/ledger/1/"' in body


def test_the_curve_has_gaps_and_its_spans(read, client, ledger):
    ledger.begin()
    for back, balance in ((7000, 7), (90, 6), (30, 5), (29, 4), (3, 3), (2, 2)):
        ledger.minute(ledger.last - back * MINUTE, {"1_Visa": balance})
    read(ADDRESS)
    found = {}
    for span in ("hour", "day", "week"):
        body = client.get(f"{ADDRESS}?span={span}").content.decode()
        assert f'href="?span={span}" aria-current="true"' in body
        found[span] = json.loads(unescape(body.split('data-points="')[1].split('"')[0]))
    assert [amount for _, amount in found["hour"]] == ["5", "4", "no balance", "3", "2"]
    assert [amount for _, amount in found["day"]][:3] == ["6", "no balance", "5"]
    assert [amount for _, amount in found["week"]][:2] == ["7", "no balance"]


def test_a_curve_below_zero_stands_on_the_ground_of_its_plot(read, client, ledger):
    ledger.begin()
    for back, balance in enumerate((-12_000, -18_000, -16_000)):
        ledger.minute(ledger.last - back * MINUTE, {"1_Visa": balance})
    read(ADDRESS)
    body = client.get(ADDRESS).content.decode()
    area = body.split('class="area" d="')[1].split('"')[0]
    assert area.endswith(f",{chart.HEIGHT:.1f}z")


@pytest.mark.parametrize("form", ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%MZ", "%Y-%m-%dT%H:%M:59+00:00"])
def test_the_balance_at_a_minute(read, ledger, form):
    sample(ledger)
    at = (ledger.last - MINUTE).strftime(form)
    page = read(ADDRESS, data={"at": at})
    assert "1,200 at" in page and "the last full minute that was written" not in page.replace(
        "the last full minute that was written until then", "" if ":59" in form else "?"
    )


def test_the_balance_of_a_minute_that_was_not_written_is_the_one_before(read, ledger):
    ledger.begin()
    ledger.minute(ledger.last - 9 * MINUTE, {"1_Visa": 1250})
    ledger.minute(ledger.last, {"1_Visa": 1300})
    at = (ledger.last - 2 * MINUTE).strftime("%Y-%m-%dT%H:%M")
    page = read(ADDRESS, data={"at": at})
    assert "1,250 at" in page and "the last full minute that was written until then" in page
    at = (ledger.last - 10 * MINUTE).strftime("%Y-%m-%dT%H:%M")
    assert "No balance is kept from before" in read(ADDRESS, data={"at": at})


@pytest.mark.parametrize(
    "text", ["now", "2026-13-01T00:00", "<b>", "9999-12-31T23:59-23:59", "２０２６"]
)
def test_what_is_no_instant_is_said(read, ledger, text):
    sample(ledger)
    assert f"“{text}” is no instant." in read(ADDRESS, data={"at": text})


@pytest.mark.parametrize("text", ["0001-01-01T00:00", "9999-12-31T23:59"])
def test_instants_far_away_are_no_failure(read, ledger, text):
    sample(ledger)
    assert "Visa" in read(ADDRESS, data={"at": text})


def test_a_new_provider_waits_for_its_first_minute(read, ledger):
    sample(ledger)
    number = ledger.provider("Amex", "0.5")
    page = read(f"/transactions/ledger/providers/{number}/")
    assert "from the next full minute on 0.5 will be written" in page
    assert "No curve yet" in page


def test_a_provider_that_is_gone_keeps_its_past(read, ledger):
    sample(ledger)
    ledger.execute("DELETE FROM historical_transactions WHERE provider_id = 2")
    ledger.execute("DELETE FROM initial_data WHERE id = 2")
    page = read("/transactions/ledger/providers/2/")
    assert "no longer in initial_data" in page and "1,800 last, at" in page


def test_a_negative_id_is_an_id(read, ledger):
    sample(ledger)
    ledger.execute("INSERT INTO initial_data VALUES (-5, 'Odd', 7)")
    assert "-5 Odd –" in read("/transactions/ledger/")
    assert "Odd provider -5" in read("/transactions/ledger/providers/-5/")


@pytest.mark.parametrize("number", ["3", "0", "-1", "9223372036854775807"])
def test_an_unknown_one_is_not_found(client, user, ledger, number):
    sample(ledger)
    client.force_login(user)
    response = client.get(f"/transactions/ledger/providers/{number}/")
    assert response.status_code == 404
    assert client.get("/transactions/ledger/providers/9223372036854775808/").status_code == 404


def test_without_tables_it_leads_to_what_to_do(read):
    assert "There is nothing to show yet: table initial_data is missing" in read(ADDRESS)

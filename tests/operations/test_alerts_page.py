"""The page of alerts, as a browser shows it."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from config.accounts.models import Role
from config.operations.models import Alert
from tests.browsing import PHONE, faults, watched
from webhooks.models import Endpoint

PAGE = "/operations/alerts/"


@pytest.fixture
def user(django_user_model):
    return django_user_model.objects.create_user("ana", role=Role.EDITOR)


@pytest.fixture
def shown(client, user):
    """`shown(query)`: the page's text."""
    client.force_login(user)
    return lambda query="": client.get(PAGE + query).content.decode()


def alert(key: str, minutes: float, lasted: float | None = None, **columns) -> Alert:
    """One that began so many minutes ago, and is over if it `lasted` some."""
    began = timezone.now() - timedelta(minutes=minutes)
    over = None if lasted is None else began + timedelta(minutes=lasted)
    given = {"severity": "warning", "title": f"Wrong: {key}", "advice": "Look.", "raised_at": began}
    return Alert.objects.create(
        **{"key": key, **given, **columns},
        first_seen_at=began,
        last_seen_at=over or timezone.now(),
        missing_since=over,
        resolved_at=over,
    )


def some() -> None:
    alert(
        "rollup:missed",
        130,
        12,
        severity="critical",
        title="The ledger's balances were not written at the last full minute",
        advice="Look whether the consumer ledger runs and what it waits for.",
        url="/transactions/ledger/",
    )
    alert(
        "consumer:sales:lag",
        7,
        title="The consumer sales is 1,240,000 behind",
        advice="If that does not get less, start one more process of it.",
        url="/streaming/sales/",
    )
    alert(
        "endpoint:12:disabled",
        3,
        severity="critical",
        title="A webhook endpoint was disabled: https://old.example/hooks/stockroom/a-long-address",
        advice="It said 410 Gone. Nothing is sent to it. Enable it once it answers again.",
        url="/webhooks/endpoints/12/",
    )


@pytest.mark.django_db
class TestPage:
    def test_without_any_it_tells_how_to_receive_them(self, shown):
        page = shown()
        assert "No alerts" in page
        assert "/webhooks/endpoints/new/?event=alert.raised&amp;event=alert.resolved" in page

    def test_a_viewer_is_not_led_to_a_form_they_may_not_use(self, client, django_user_model):
        client.force_login(django_user_model.objects.create_user("vera", role=Role.VIEWER))
        page = client.get(PAGE).content.decode()
        assert "endpoints/new/" not in page and "Editors can add one" in page

    def test_open_ones_come_first_and_what_nobody_was_told_of_not_at_all(self, shown):
        alert("over", 10, 5)
        alert("seen", 1, raised_at=None)
        alert("open", 60)
        page = shown()
        assert page.index("Wrong: open") < page.index("Wrong: over")
        assert "Wrong: seen" not in page
        assert "5 min" in page

    def test_it_says_when_nobody_gets_them(self, shown):
        alert("open", 60)
        Endpoint.objects.create(url="https://a.example/", event_types=["*"])
        assert "No endpoint gets alerts" in shown()
        Endpoint.objects.create(url="https://a.example/", event_types=["alert.raised"])
        assert "No endpoint gets alerts" not in shown()

    def test_the_past_has_pages(self, shown):
        rows = [alert(f"past-{number}-", 600 - number, 1) for number in range(60)]
        alert("open", 60)
        first = shown()
        assert "past-59-" in first and "past-9-" not in first
        second = shown(f"?before={rows[10].pk}")
        assert "past-9-" in second and "past-10-" not in second and "Wrong: open" not in second
        assert "past-59-" in shown("?before=1"), "all of that page were deleted"


@pytest.mark.django_db(transaction=True)
class TestBrowser:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_it_is_for_everybody_at_a_desk_and_on_a_phone(
        self, page, live_server, sign_in, user, scheme
    ):
        some()
        sign_in(user)
        page.emulate_media(color_scheme=scheme)
        with watched(page, live_server.url):
            page.goto(PAGE)
            expect(page.get_by_role("heading", name="Now")).to_be_visible()
            assert faults(page) == []
            page.set_viewport_size(PHONE)
            assert faults(page) == []
            wide = "document.documentElement.scrollWidth > innerWidth"
            assert page.evaluate(wide) is False

    def test_an_endpoint_for_alerts_is_two_clicks_away(self, page, live_server, sign_in, user):
        sign_in(user)
        with watched(page, live_server.url):
            page.goto(PAGE)
            page.get_by_role("link", name="Add an endpoint for alerts").click()
            expect(page.get_by_label("alert.raised")).to_be_checked()
            expect(page.get_by_label("alert.resolved")).to_be_checked()
            expect(page.get_by_label("Only these")).to_be_checked()
            assert faults(page) == []

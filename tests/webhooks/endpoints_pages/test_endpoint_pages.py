"""The list of endpoints and one of them, as a browser without JavaScript uses them."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from webhooks.models import Attempt, Delivery, Endpoint, Event, Secret

from .conftest import HTMX, LIST, add_deliveries, page_of, said, set_health, text

pytestmark = pytest.mark.django_db

REASON = "It answered 410 Gone: it does not want any more."


def give_up(endpoint: Endpoint) -> None:
    Endpoint.objects.filter(pk=endpoint.pk).update(
        enabled=False, disabled_at=timezone.now(), disabled_reason=REASON
    )


def test_nothing_yet_offers_the_first_step_to_who_may_take_it(client, reader):
    offer = text(client.get(LIST))
    assert "No endpoints yet" in offer and "Add endpoint" in offer
    plain = text(reader.get(LIST))
    assert "No endpoints yet" in plain and "/endpoints/new/" not in plain


def test_the_list_shows_each_endpoint_at_a_glance(client, endpoint, make_endpoint):
    make_endpoint("https://127.0.0.1/second", event_types=["product.deleted"])
    set_health(endpoint, failures_in_a_row=3, failing_since=timezone.now())
    add_deliveries(endpoint, 2)
    page = text(client.get(LIST))
    assert page.index("/second") < page.index(endpoint.url)
    assert "The shop" in page and "2 types" in page and "product.deleted" in page
    assert "failing" in page and "enabled" in page
    assert f'href="/webhooks/deliveries/?endpoint={endpoint.pk}&amp;state=pending">2</a>' in page


def test_the_list_asks_as_often_for_many_as_for_one(
    client, endpoint, make_endpoint, django_assert_max_num_queries
):
    for n in range(20):
        make_endpoint(f"https://127.0.0.1/{n}")
    with django_assert_max_num_queries(5):  # session, user, endpoints, how they do, the engine
        client.get(LIST)


def test_deleted_endpoints_are_not_listed(client, endpoint, user):
    client.post(page_of(endpoint, "delete/"))
    assert "No endpoints yet" in text(client.get(LIST))


def test_what_was_disabled_automatically_is_said_on_top_and_enabled_there(client, reader, endpoint):
    give_up(endpoint)
    page = text(client.get(LIST))
    assert REASON in page and "disabled automatically" in page
    assert 'value="enable"' in page
    viewed = text(reader.get(LIST))
    assert REASON in viewed and 'value="enable"' not in viewed
    answer = client.post(page_of(endpoint, "state/"), {"action": "enable", "next": "list"})
    assert answer.url == LIST
    after = client.get(LIST)
    assert said(after) == ["The shop is enabled."] and REASON not in text(after)


def test_of_many_that_were_disabled_the_list_shows_a_few_on_top(client, make_endpoint):
    for n in range(5):
        give_up(make_endpoint(f"https://127.0.0.1/{n}"))
    page = text(client.get(LIST))
    assert page.count(REASON) == 3 and "More were disabled automatically" in page


def test_it_is_disabled_without_a_question_and_enabled_again(client, endpoint):
    add_deliveries(endpoint, 3)
    answer = client.post(page_of(endpoint, "state/"), {"action": "disable"})
    assert answer.url == page_of(endpoint)
    shown = client.get(answer.url)
    assert said(shown) == ["The shop is disabled. What waits is kept."]
    assert "3 deliveries from before wait until it is enabled." in text(shown)
    endpoint.refresh_from_db()
    assert not endpoint.enabled
    client.post(page_of(endpoint, "state/"), {"action": "enable"})
    assert said(client.get(page_of(endpoint))) == ["The shop is enabled. What waits goes out now."]


def test_the_way_back_is_one_of_ours(client, endpoint):
    sent = {"action": "disable", "next": "https://evil.example/"}
    assert client.post(page_of(endpoint, "state/"), sent).url == page_of(endpoint)


@pytest.mark.parametrize("action", ["state/", "test/"])
def test_what_changes_something_is_not_done_by_a_link(client, endpoint, action):
    assert client.get(page_of(endpoint, action)).status_code == 405


def test_viewers_see_all_but_values_and_buttons(client, reader, endpoint):
    page = text(reader.get(page_of(endpoint)))
    assert endpoint.url in page and "X-Shop" in page and "product.updated" in page
    assert "s3cret-value" not in page
    for path in ("edit/", "delete/", "rotate/", "state/", "test/"):
        assert page_of(endpoint, path) not in page
        assert reader.post(page_of(endpoint, path)).status_code == 403
    for path in ("edit/", "delete/", "rotate/"):
        assert reader.get(page_of(endpoint, path)).status_code == 403
    assert "s3cret-value" in text(client.get(page_of(endpoint)))
    part = text(reader.get(page_of(endpoint), headers=HTMX))
    assert "s3cret-value" not in part


def test_a_secret_is_on_no_page(client, endpoint):
    secret = Secret.objects.get().value
    for path in ("", "edit/", "delete/", "rotate/"):
        assert secret not in text(client.get(page_of(endpoint, path)))
    assert secret not in text(client.get(LIST))


def test_forged_requests_are_refused(user, endpoint):
    forger = Client(enforce_csrf_checks=True)
    forger.force_login(user)
    for path in ("state/", "delete/", "rotate/", "test/", "edit/"):
        assert forger.post(page_of(endpoint, path)).status_code == 403
    endpoint.refresh_from_db()
    assert endpoint.enabled and endpoint.deleted_at is None


def test_a_header_may_have_any_name(client, reader, make_endpoint):
    odd = make_endpoint(headers={"items": "7", "values": "a"})
    page = text(client.get(page_of(odd)))
    assert '<dt class="mono">items</dt><dd class="mono">7</dd>' in page
    assert "items, values" in page and "items, values" in text(reader.get(page_of(odd)))
    form = text(client.get(page_of(odd, "edit/")))
    assert 'value="items"' in form and 'value="7"' in form


class TestPause:
    NOTE = "The pause of The shop is over."

    @pytest.fixture
    def paused(self, endpoint) -> Endpoint:
        now = timezone.now()
        failing = {"failures_in_a_row": 7, "failing_since": now}
        set_health(endpoint, held_until=now + timedelta(minutes=5), **failing)
        return endpoint

    def end(self, client, endpoint) -> str:
        answer = client.post(page_of(endpoint, "state/"), {"action": "resume"})
        assert answer.url == page_of(endpoint)
        return said(client.get(answer.url))[0]

    def test_who_may_write_can_end_it(self, client, reader, paused):
        assert "Try now" in text(client.get(page_of(paused)))
        assert "Try now" not in text(reader.get(page_of(paused)))
        assert reader.post(page_of(paused, "state/"), {"action": "resume"}).status_code == 403
        add_deliveries(paused, 1, next_attempt_at=timezone.now())
        assert self.end(client, paused) == (
            f"{self.NOTE} What waits is tried now. If that fails, it is paused again."
        )
        page = client.get(page_of(paused))
        assert page.context["condition"].words == "failing" and "Try now" not in text(page)

    def test_it_says_where_nothing_is_tried(self, client, paused):
        later = timezone.now() + timedelta(hours=1)
        add_deliveries(paused, 1, next_attempt_at=later)
        assert "Nothing is due now" in self.end(client, paused)
        Endpoint.objects.update(enabled=False)
        assert "It is disabled" in self.end(client, paused)

    def test_one_that_asked_for_it_is_tried_too(self, client, endpoint):
        assert "Try now" not in text(client.get(page_of(endpoint)))
        set_health(endpoint, held_until=timezone.now() + timedelta(minutes=5))
        page = text(client.get(page_of(endpoint)))
        assert "It asked for a pause" in page and "Try now" in page


class TestHealth:
    def test_nothing_was_sent_yet(self, client, endpoint):
        page = text(client.get(page_of(endpoint)))
        assert page.count("<b>never</b>") == 2 and "Nothing was sent so far." in page

    def test_failing_says_since_when_and_what_comes_of_it(self, client, endpoint, settings):
        settings.WEBHOOK_DISABLE_AFTER_HOURS = 5
        since = timezone.now() - timedelta(hours=2)
        set_health(endpoint, failures_in_a_row=7, failing_since=since, last_failure_at=since)
        page = client.get(page_of(endpoint))
        assert "The last 7 attempts failed" in text(page)
        assert page.context["disabled_then"] == since + timedelta(hours=5)
        assert page.context["condition"].words == "failing"

    def test_held_says_until_when(self, client, endpoint):
        until = timezone.now() + timedelta(minutes=5)
        set_health(endpoint, failures_in_a_row=7, failing_since=until, held_until=until)
        page = client.get(page_of(endpoint))
        assert page.context["condition"].words == "paused until"
        assert "then one attempt at a time" in text(page)

    def test_held_before_is_not_held(self, client, endpoint):
        past = timezone.now() - timedelta(minutes=5)
        set_health(endpoint, failures_in_a_row=1, failing_since=past, held_until=past)
        assert client.get(page_of(endpoint)).context["condition"].words == "failing"

    def test_given_up_says_why(self, client, endpoint):
        give_up(endpoint)
        page = client.get(page_of(endpoint))
        assert REASON in text(page)
        assert page.context["condition"].words == "disabled automatically"

    def test_times_have_their_unit_once(self, client, endpoint):
        delivery = add_deliveries(endpoint, 1, state="succeeded", attempts_made=1)[0]
        for ms in (120, 480):
            Attempt.objects.create(
                delivery=delivery, endpoint=endpoint, number=ms, status_code=200, duration_ms=ms
            )
        assert "120 / 480 ms" in text(client.get(page_of(endpoint)))

    def test_the_latest_deliveries_are_shown_with_a_link_to_all(self, client, endpoint):
        add_deliveries(endpoint, 12, state="failed", last_error="Connection refused.")
        page = client.get(page_of(endpoint))
        assert len(page.context["deliveries"]) == 10
        assert "Connection refused." in text(page)
        assert f'href="/webhooks/deliveries/?endpoint={endpoint.pk}"' in text(page)

    def test_for_htmx_there_is_only_what_changes(self, client, endpoint):
        part = text(client.get(page_of(endpoint), headers=HTMX))
        assert 'id="health"' in part and 'hx-swap-oob="true"' in part
        assert "<html" not in part and "Custom headers" not in part
        listed = client.get(LIST, headers=HTMX)
        assert "<html" not in text(listed) and "HX-Request" in listed.headers["Vary"]


def test_a_url_as_a_script_is_only_a_url(client, make_endpoint):
    evil = make_endpoint("https://127.0.0.1/<script>alert(1)</script>", description="<b>x</b>")
    for path in ("", "edit/", "delete/", "rotate/"):
        page = text(client.get(page_of(evil, path)))
        assert "<script>alert" not in page and "<b>x</b>" not in page
    assert "<script>alert" not in text(client.get(LIST))


@pytest.mark.parametrize("address", [LIST, "/webhooks/deliveries/"])
@pytest.mark.parametrize("headers", [{}, HTMX])
def test_an_engine_that_stands_still_is_said_on_top(client, endpoint, address, headers):
    def page() -> str:
        return text(client.get(address, headers=headers))

    assert 'id="behind"' not in page()
    due = timezone.now() - timedelta(minutes=2.5)
    Endpoint.objects.update(updated_at=due)
    made = add_deliveries(endpoint, 2, next_attempt_at=due)
    assert (
        "Nothing has been sent for 2 min although 2 deliveries are due: is the consumer"
        ' <code>deliveries</code> running? See <a id="behind-operations" href="/operations/">'
    ) in page()
    Attempt.objects.create(delivery=made[0], endpoint=endpoint, number=1)
    assert "Sending is behind: 2 deliveries are due, the oldest for 2 min." in page()
    Delivery.objects.update(state="succeeded", next_attempt_at=None)
    assert 'id="behind"' not in page()
    Attempt.objects.all().delete()
    Event.objects.filter(pk=made[0].event_id).delete()
    Event.objects.update(occurred_at=due)
    assert "Nothing has been sent for 2 min although 1 event waits" in page()

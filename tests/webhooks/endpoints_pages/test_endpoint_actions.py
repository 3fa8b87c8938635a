"""Rotating, deleting and testing an endpoint, as a browser without JavaScript does it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from webhooks.models import Attempt, Delivery, Event, Secret

from .conftest import HTMX, LIST, add_deliveries, page_of, said, text

pytestmark = pytest.mark.django_db


class TestRotation:
    def rotate(self, client, endpoint):
        present = client.get(page_of(endpoint, "rotate/")).context["present_secret"]
        return client.post(page_of(endpoint, "rotate/"), {"present": str(present.pk)})

    def test_it_asks_and_then_shows_the_new_secret_once(self, client, endpoint):
        old = Secret.objects.get()
        question = text(client.get(page_of(endpoint, "rotate/")))
        assert "For 24 hours requests are signed with both" in question
        assert Secret.objects.count() == 1
        answer = self.rotate(client, endpoint)
        new = Secret.objects.get(expires_at=None)
        shown = text(client.get(answer.url))
        assert new.value in shown and old.value not in shown
        assert "The one before signs beside it until" in shown
        after = text(client.get(answer.url))
        assert new.value not in after and "signs too until" in after

    def test_a_form_sent_twice_rotates_once_and_the_secret_is_seen(self, client, endpoint):
        sent = {"present": str(Secret.objects.get().pk)}
        client.post(page_of(endpoint, "rotate/"), sent)
        answer = client.post(page_of(endpoint, "rotate/"), sent)
        assert Secret.objects.count() == 2
        shown = client.get(answer.url)
        assert Secret.objects.get(expires_at=None).value in text(shown)

    def test_without_a_time_for_both_it_says_so(self, client, endpoint, settings):
        settings.WEBHOOK_ROTATION_HOURS = 0
        assert "stops signing at once" in text(client.get(page_of(endpoint, "rotate/")))


class TestDeleting:
    def test_it_asks_and_says_what_is_lost(self, client, endpoint):
        assert "waits for it" not in text(client.get(page_of(endpoint, "delete/")))
        add_deliveries(endpoint, 12)
        page = text(client.get(page_of(endpoint, "delete/")))
        assert "12 deliveries wait for it and are not sent any more." in page
        assert "kept" in page or "keeps what was sent for 30 days" in page
        endpoint.refresh_from_db()
        assert endpoint.deleted_at is None

    def test_it_deletes_and_leads_to_the_list(self, client, endpoint):
        waiting = add_deliveries(endpoint, 1)[0]
        answer = client.post(page_of(endpoint, "delete/"))
        assert answer.url == LIST and said(client.get(LIST)) == ["The shop is deleted."]
        waiting.refresh_from_db()
        assert waiting.state == "failed"

    @pytest.mark.parametrize("path", ["", "edit/", "delete/", "rotate/"])
    def test_a_deleted_one_is_said_to_be_and_leads_to_its_deliveries(self, client, endpoint, path):
        client.post(page_of(endpoint, "delete/"))
        page = client.get(page_of(endpoint, path))
        assert page.status_code == 404 and "This endpoint was deleted" in text(page)
        assert f"/webhooks/deliveries/?endpoint={endpoint.pk}" in text(page)

    @pytest.mark.parametrize("path", ["edit/", "delete/", "rotate/", "state/", "test/"])
    def test_nothing_can_be_done_with_a_deleted_one(self, client, endpoint, path):
        client.post(page_of(endpoint, "delete/"))
        sent = {"action": "enable", "event_type": "product.created"}
        assert client.post(page_of(endpoint, path), sent).status_code == 404
        assert not Event.objects.exists()

    def test_one_that_never_was_is_not_found(self, client):
        for path in ("", "edit/", "delete/", "rotate/"):
            assert client.get(f"/webhooks/endpoints/999/{path}").status_code == 404


class TestSendingATest:
    def send(self, client, endpoint, event_type: str = "product.deleted", **headers):
        sent = {"event_type": event_type}
        return client.post(page_of(endpoint, "test/"), sent, headers=headers)

    def test_without_a_script_it_leads_to_the_delivery(self, client, endpoint):
        answer = self.send(client, endpoint)
        delivery = Delivery.objects.get()
        assert delivery.test and delivery.event_type == "product.deleted"
        assert answer.url == f"/webhooks/deliveries/{delivery.pk}/"

    def test_with_htmx_it_is_asked_for_until_it_has_ended(self, client, endpoint):
        part = text(self.send(client, endpoint, **HTMX))
        delivery = Delivery.objects.get()
        result = page_of(endpoint, f"test/{delivery.pk}/")
        assert "Sending…" in part and f'hx-get="{result}"' in part
        Attempt.objects.create(
            delivery=delivery,
            endpoint=endpoint,
            number=1,
            status_code=503,
            duration_ms=183,
            response_body="<b>busy</b>",
            response_truncated=True,
        )
        Delivery.objects.update(state="failed", last_status_code=503, finished_at=timezone.now())
        ended = text(client.get(result, headers=HTMX))
        assert "503 Service Unavailable" in ended and "in 183 ms" in ended
        assert "&lt;b&gt;busy&lt;/b&gt;…" in ended and "hx-get" not in ended
        assert f"/webhooks/deliveries/{delivery.pk}/" in ended

    def test_no_answer_is_said_in_words(self, client, endpoint):
        self.send(client, endpoint)
        delivery = Delivery.objects.get()
        Attempt.objects.create(
            delivery=delivery, endpoint=endpoint, number=1, error="Connection refused."
        )
        Delivery.objects.update(state="failed", last_error="Connection refused.")
        ended = text(client.get(page_of(endpoint, f"test/{delivery.pk}/"), headers=HTMX))
        assert "no answer" in ended and "Connection refused." in ended

    def test_a_test_that_nobody_sends_is_wondered_at(self, client, endpoint):
        self.send(client, endpoint)
        Delivery.objects.update(created_at=timezone.now() - timedelta(minutes=1))
        delivery = Delivery.objects.get()
        part = text(client.get(page_of(endpoint, f"test/{delivery.pk}/"), headers=HTMX))
        assert "Still waiting" in part and "hx-get" in part

    def test_an_unknown_event_is_refused(self, client, endpoint):
        answer = self.send(client, endpoint, "product.eaten")
        assert not Delivery.objects.exists()
        assert "There is no event type product.eaten" in said(client.get(answer.url))[0]

    def test_a_result_is_only_of_this_endpoints_tests(self, client, endpoint, make_endpoint):
        self.send(client, endpoint)
        test = Delivery.objects.get()
        other = make_endpoint()
        plain = add_deliveries(endpoint, 1)[0]
        for address in (
            page_of(other, f"test/{test.pk}/"),
            page_of(endpoint, f"test/{plain.pk}/"),
        ):
            assert client.get(address, headers=HTMX).status_code == 404
        there = client.get(page_of(endpoint, f"test/{test.pk}/"))
        assert there.url == f"/webhooks/deliveries/{test.pk}/"

    def test_the_first_event_it_wants_is_offered_first(self, client, make_endpoint):
        wanting = make_endpoint(event_types=["product.deleted"])
        assert client.get(page_of(wanting)).context["test_first"] == "product.deleted"

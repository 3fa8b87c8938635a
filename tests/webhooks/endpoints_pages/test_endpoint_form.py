"""The form of an endpoint, as a browser without JavaScript uses it."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.sessions.models import Session
from django.db import connections
from django.test import Client

from config.accounts.actors import Actor
from webhooks.endpoints import service
from webhooks.event_types import EVENT_TYPES
from webhooks.models import Endpoint, Secret

from .conftest import URL, fields_of, page_of, said, text

pytestmark = pytest.mark.django_db

NEW = "/webhooks/endpoints/new/"


def edit_of(endpoint: Endpoint) -> str:
    return page_of(endpoint, "edit/")


def new(client, **changes):
    """What is sent of the form for a new one."""
    return fields_of(client.get(NEW)) | {"url": URL} | changes


def test_it_adds_an_endpoint_and_leads_to_its_page(client, user):
    sent = new(
        client,
        url=f" {URL} ",
        description="The shop",
        events="some",
        event_types=["product.updated", "product.created"],
        header_name=["Authorization", "", "X-Shop"],
        header_value=["Bearer abc", "", "7"],
    )
    answer = client.post(NEW, sent)
    made = Endpoint.objects.get()
    assert answer.status_code == 302 and answer.url == page_of(made)
    assert (made.url, made.description, made.enabled, made.created_by) == (
        URL,
        "The shop",
        True,
        user,
    )
    assert made.event_types == ["product.created", "product.updated"]
    assert made.headers == {"Authorization": "Bearer abc", "X-Shop": "7"}


def test_all_events_are_chosen_before_anything_is_touched(client):
    client.post(NEW, new(client, event_types=["product.created"]))
    assert Endpoint.objects.get().event_types == ["*"]


def test_alerts_are_chosen_besides(client):
    client.post(NEW, new(client, event_types=["product.created", "alert.raised"]))
    made = Endpoint.objects.get()
    assert made.event_types == ["*", "alert.raised"]
    assert fields_of(client.get(edit_of(made)))["event_types"] == ["alert.raised"]
    assert "all events and alerts" in text(client.get("/webhooks/"))
    assert "alert.raised" in text(client.get(page_of(made)))


def test_an_address_may_choose_events_for_the_form(client):
    page = f"{NEW}?event=alert.raised&event=alert.resolved&event=product.eaten"
    client.post(NEW, fields_of(client.get(page)) | {"url": URL})
    assert Endpoint.objects.get().event_types == ["alert.raised", "alert.resolved"]


def test_each_event_is_offered_with_what_it_means(client):
    page = text(client.get(NEW))
    for name, kind in EVENT_TYPES.items():
        assert f'value="{name}"' in page and kind.description in page


def test_the_secret_is_shown_once(client):
    answer = client.post(NEW, new(client))
    secret = Secret.objects.get().value
    assert secret not in text(answer)
    client.head(answer.url)  # shows nothing, so takes nothing
    client.get(answer.url, headers={"HX-Request": "true"})
    shown = client.get(answer.url)
    assert secret in text(shown) and "Copy the secret now" in text(shown)
    assert "no-store" in shown.headers["Cache-Control"]
    again = text(client.get(answer.url))
    assert secret not in again and "Copy the secret now" not in again
    assert secret not in text(client.get(edit_of(Endpoint.objects.get())))


def test_the_secret_is_shown_to_nobody_else(client, reader):
    answer = client.post(NEW, new(client))
    assert Secret.objects.get().value not in text(reader.get(answer.url))


def test_two_new_secrets_wait_for_their_pages(client):
    first = client.post(NEW, new(client))
    second = client.post(NEW, new(client))
    for answer in (second, first):
        shown = client.get(answer.url)
        endpoint = shown.context["endpoint"]
        assert endpoint.secrets.get().value in text(shown)
        assert "webhooks.secrets" not in client.session or answer is second


def test_a_form_sent_twice_makes_one_endpoint_and_shows_its_secret(client):
    sent = new(client)
    first, second = client.post(NEW, sent), client.post(NEW, sent)
    assert first.url == second.url
    assert Endpoint.objects.count() == 1
    assert Secret.objects.get().value in text(client.get(second.url))
    third = client.post(NEW, sent)  # sent again after the secret was shown
    assert third.url == first.url and Endpoint.objects.count() == 1
    assert Secret.objects.get().value not in text(client.get(third.url))


@pytest.mark.django_db(transaction=True)
def test_a_form_sent_twice_at_once_makes_one_endpoint_and_shows_its_secret(client):
    """Both have read the session before either writes to it."""
    sent = new(client)

    def send(_) -> str:
        twin = Client()
        twin.cookies = client.cookies
        try:
            return twin.post(NEW, sent).url
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=4) as pool:
        (address,) = set(pool.map(send, range(4)))
    assert Endpoint.objects.count() == 1
    assert Secret.objects.get().value in text(client.get(address))
    assert Secret.objects.get().value not in text(client.get(address))


def test_who_signed_out_meanwhile_makes_nothing(client, monkeypatch):
    sent = new(client)

    def create(*given):
        Session.objects.all().delete()
        return service_create(*given)

    service_create = service.create
    monkeypatch.setattr(service, "create", create)
    assert client.post(NEW, sent).status_code == 400
    assert not Endpoint.objects.exists()


def test_a_form_sent_again_with_other_values_makes_another(client):
    sent = new(client)
    client.post(NEW, sent)
    client.post(NEW, sent | {"url": f"{URL}/other"})
    assert Endpoint.objects.count() == 2


def test_what_is_wrong_is_said_at_the_fields_and_what_was_typed_stays(client):
    sent = new(
        client,
        url="ftp://example.com/",
        description="My <b>shop</b>",
        events="some",
        event_types=[],
        header_name=["", "X-Shop", "X-Shop"],
        header_value=["no-name", "7", "8"],
    )
    del sent["enabled"]
    answer = client.post(NEW, sent)
    page = text(answer)
    assert answer.status_code == 422 and not Endpoint.objects.exists()
    assert set(answer.context["form"].errors) == {"url", "event_types", "headers"}
    assert 'id="url-error"' in page and 'value="ftp://example.com/"' in page
    assert "Choose at least one event." in page
    assert "choose-events wrong" in page
    wrong = {(row.value, row.error) for row in answer.context["form"].headers}
    assert wrong == {
        ("no-name", "A header needs a name."),
        ("7", ""),
        ("8", "X-Shop: given twice; case makes no difference."),
    }
    assert page.count('aria-invalid="true"') == 1 + 2 * 2  # the URL, two rows
    assert page.count("given twice") == 1 and 'id="headers-error"' not in page
    assert "My &lt;b&gt;shop&lt;/b&gt;" in page and 'value="no-name"' in page
    assert fields_of(answer)["once"] == sent["once"]
    assert "enabled" not in fields_of(answer)


@pytest.mark.parametrize(
    "name, value", [("Host", "example.com"), ("Bad name", "1"), ("X-Shop", "line\r\nbreak")]
)
def test_headers_that_must_not_be_sent_are_refused(client, name, value):
    answer = client.post(NEW, new(client, header_name=[name], header_value=[value]))
    assert answer.status_code == 422
    (row,) = answer.context["form"].headers
    assert name in row.error
    assert "Look at: Custom headers." in text(answer)


def test_an_edit_marks_the_header_that_is_wrong(client, endpoint):
    sent = fields_of(client.get(edit_of(endpoint)))
    rows = {"header_name": ["X-Shop", "Host"], "header_value": ["7", "x"]}
    answer = client.post(edit_of(endpoint), sent | rows)
    assert [bool(row.error) for row in answer.context["form"].headers] == [False, True]


def test_too_many_headers_are_no_fault_of_one(client):
    many = [f"X-{n}" for n in range(21)]
    answer = client.post(NEW, new(client, header_name=many, header_value=many))
    assert 'id="headers-error"' in text(answer) and "at most 20 are allowed" in text(answer)
    assert not any(row.error for row in answer.context["form"].headers)


def test_private_addresses_are_refused(client, settings):
    settings.WEBHOOK_ALLOWED_NETWORKS = []
    answer = client.post(NEW, new(client))
    assert answer.status_code == 422 and answer.context["form"].errors["url"]


def test_there_can_be_too_many(client, make_endpoint, monkeypatch):
    make_endpoint()
    monkeypatch.setattr(service, "MAX_ENDPOINTS", 1)
    answer = client.post(NEW, new(client))
    assert answer.status_code == 422 and "which is the most" in text(answer)
    assert Endpoint.objects.count() == 1


@pytest.mark.parametrize(
    "allow_http, ports, words",
    [
        (False, [443, 8443], "A public https address, at port 443 or 8443."),
        (True, [], "A public http or https address."),
        (False, [443], "A public https address, at port 443."),
    ],
)
def test_the_form_says_which_addresses_are_taken(client, settings, allow_http, ports, words):
    settings.WEBHOOK_ALLOW_HTTP, settings.WEBHOOK_PORTS = allow_http, ports
    assert words in text(client.get(NEW))


def test_an_edit_saves_what_was_changed(client, endpoint):
    sent = fields_of(client.get(edit_of(endpoint)))
    answer = client.post(edit_of(endpoint), sent | {"description": "The new shop", "events": "all"})
    assert answer.url == page_of(endpoint)
    assert said(client.get(answer.url)) == ["The new shop is saved."]
    endpoint.refresh_from_db()
    assert (endpoint.description, endpoint.event_types) == ("The new shop", ["*"])
    assert endpoint.headers == {"X-Shop": "s3cret-value"} and endpoint.version == 2


def test_an_edit_without_a_change_changes_nothing(client, endpoint):
    client.post(edit_of(endpoint), fields_of(client.get(edit_of(endpoint))))
    endpoint.refresh_from_db()
    assert endpoint.version == 1


def test_a_url_that_is_not_touched_is_not_checked_again(client, endpoint, settings):
    """A host that is away or was allowed once does not stop the change of a description."""
    settings.WEBHOOK_ALLOWED_NETWORKS = []
    sent = fields_of(client.get(edit_of(endpoint)))
    assert client.post(edit_of(endpoint), sent | {"description": "x"}).status_code == 302
    assert client.post(edit_of(endpoint), sent | {"url": f"{URL}/x"}).status_code == 422


def test_headers_go_when_their_rows_are_emptied(client, endpoint):
    sent = fields_of(client.get(edit_of(endpoint)))
    client.post(edit_of(endpoint), sent | {"header_name": [""], "header_value": [""]})
    endpoint.refresh_from_db()
    assert endpoint.headers == {}


class TestSomebodyElseSavedMeanwhile:
    @pytest.fixture
    def other(self, django_user_model) -> Actor:
        return Actor(django_user_model.objects.create_user("ben"))

    def test_the_same_field_is_shown_twice_and_asked_for(self, client, endpoint, other):
        sent = fields_of(client.get(edit_of(endpoint))) | {"description": "Mine"}
        service.update(other, endpoint.pk, {"description": "Theirs", "enabled": False})
        answer = client.post(edit_of(endpoint), sent)
        page = text(answer)
        assert answer.status_code == 409
        assert "<td>Theirs</td><td>Mine</td>" in page and 'value="Mine"' in page
        assert "Save mine over it" in page and "Keep theirs" in page
        endpoint.refresh_from_db()
        assert endpoint.description == "Theirs"

        client.post(edit_of(endpoint), fields_of(answer))
        endpoint.refresh_from_db()
        assert (endpoint.description, endpoint.enabled) == ("Mine", False)

    def test_other_fields_stay_as_they_saved_them(self, client, endpoint, other):
        sent = fields_of(client.get(edit_of(endpoint))) | {"description": "Mine"}
        service.update(other, endpoint.pk, {"headers": {"X-New": "1"}, "event_types": ["*"]})
        answer = client.post(edit_of(endpoint), sent)
        page = text(answer)
        assert answer.status_code == 409 and "Save mine as well" in page
        assert "X-New: 1" in page and "as theirs" in page
        client.post(edit_of(endpoint), fields_of(answer))
        endpoint.refresh_from_db()
        assert endpoint.description == "Mine"
        assert endpoint.headers == {"X-New": "1"} and endpoint.event_types == ["*"]

    def test_the_same_change_is_nobodys_conflict(self, client, endpoint, other):
        sent = fields_of(client.get(edit_of(endpoint))) | {"description": "Same"}
        service.update(other, endpoint.pk, {"description": "Same"})
        assert client.post(edit_of(endpoint), sent).status_code == 302

    def test_changed_and_changed_back_is_as_it_was(self, client, endpoint, other):
        sent = fields_of(client.get(edit_of(endpoint))) | {"description": "Mine"}
        service.disable(other, endpoint.pk)
        service.enable(other, endpoint.pk)
        assert client.post(edit_of(endpoint), sent).status_code == 302
        endpoint.refresh_from_db()
        assert endpoint.description == "Mine"

    def test_deleted_is_said(self, client, endpoint, other):
        sent = fields_of(client.get(edit_of(endpoint)))
        service.delete(other, endpoint.pk)
        answer = client.post(edit_of(endpoint), sent)
        assert answer.status_code == 404 and "This endpoint was deleted" in text(answer)


@pytest.mark.parametrize("seen", ["", "nonsense", "[]", "[" * 50_000, '{"url": 7}'])
def test_a_form_that_lost_what_it_began_with_is_still_saved(client, endpoint, seen):
    sent = fields_of(client.get(edit_of(endpoint))) | {"description": "New", "seen": seen}
    assert client.post(edit_of(endpoint), sent).status_code == 302
    endpoint.refresh_from_db()
    assert endpoint.description == "New"


def test_the_engine_disabling_it_meanwhile_is_a_change_too(client, endpoint):
    sent = fields_of(client.get(edit_of(endpoint))) | {"description": "Mine"}
    Endpoint.objects.filter(pk=endpoint.pk).update(enabled=False, version=2)
    answer = client.post(edit_of(endpoint), sent)
    assert answer.status_code == 409
    assert [each.label for each in answer.context["form"].theirs] == ["Enabled"]

"""REST API of endpoints: list, add, read, change, delete."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from config.accounts.models import Role
from config.idempotency.models import GivenAnswer
from tests.api_client import client_of, error, send
from tests.webhooks.endpoints.conftest import BODY, URL, path_of
from webhooks.endpoints import service
from webhooks.models import Endpoint, Health, Secret

pytestmark = pytest.mark.django_db

PATH = "/api/webhooks/endpoints/"
SECRETIVE = {"X-Key": "hush-hush"}


def fields(response) -> list[str]:
    return list(error(response, 400)["fields"])


def test_an_endpoint_is_added_with_its_address_and_secret(api, user):
    given = BODY | {"description": "The shop", "headers": SECRETIVE}
    response = send(api, "post", PATH, given)

    assert response.status_code == 201
    endpoint = Endpoint.objects.get()
    found = response.json()
    assert found["secret"] == Secret.objects.get().value
    assert (
        found["api_url"] == response.headers["Location"] == f"http://testserver{path_of(endpoint)}"
    )
    assert given.items() <= found.items()
    assert (found["enabled"], found["disabled_at"], found["disabled_reason"]) == (True, None, "")
    assert found["health"] == {
        "waiting": 0,
        "failed_24h": 0,
        "last_success_at": None,
        "last_failure_at": None,
        "failures_in_a_row": 0,
        "failing_since": None,
        "held_until": None,
        "p50_ms": None,
        "p95_ms": None,
    }
    assert (endpoint.created_by, endpoint.headers) == (user, SECRETIVE)
    again = api.get(response.headers["Location"])
    assert again.headers["ETag"] == response.headers["ETag"] == '"1"'
    assert again.json() == {name: value for name, value in found.items() if name != "secret"}


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, ["url", "event_types"]),
        ({"url": "", "event_types": []}, ["url", "event_types"]),
        (BODY | {"url": 7, "description": None, "event_types": "*", "headers": [], "enabled": "1"},
         ["url", "description", "event_types", "headers", "enabled"]),
        (BODY | {"headers": {"Host": "x"}}, ["headers"]),
        (BODY | {"headers": {"X-A": None}}, ["headers"]),
        (BODY | {"event_types": ["product.eaten"]}, ["event_types"]),
        (BODY | {"description": "x" * 201}, ["description"]),
        (BODY | {"secret": "whsec_x", "id": 7}, ["secret", "id"]),
        (BODY | {"url": "http://10.0.0.1/"}, ["url"]),
    ],
)  # fmt: skip
def test_wrong_fields_are_named(api, make_endpoint, body, wrong):
    assert fields(send(api, "post", PATH, body)) == wrong
    endpoint = make_endpoint(URL)
    assert fields(send(api, "put", path_of(endpoint), body)) == wrong
    if body:
        assert fields(send(api, "patch", path_of(endpoint), body)) == wrong
    assert Endpoint.objects.get().version == 1


def test_who_names_no_event_is_told_how_to_name_all(api):
    for body in ({"url": URL}, BODY | {"event_types": []}):
        said = error(send(api, "post", PATH, body), 400)["fields"]
        assert said == {"event_types": ['Name at least one event type, or give ["*"] for all.']}


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"null", b'{"url": ', b"[" * 100_000, b""])
def test_a_body_that_is_no_object_is_refused(api, body):
    response = api.post(PATH, body, content_type="application/json")
    assert error(response, 400)["message"]
    assert not Endpoint.objects.exists()


def test_put_replaces_and_patch_changes(api, make_endpoint):
    endpoint = make_endpoint(description="old", headers=SECRETIVE, enabled=False)
    patched = send(api, "patch", path_of(endpoint), {"url": URL}).json()
    assert (patched["description"], patched["headers"], patched["enabled"]) == (
        *("old", SECRETIVE),
        False,
    )
    replaced = send(api, "put", path_of(endpoint), BODY).json()
    assert (replaced["description"], replaced["headers"], replaced["enabled"]) == ("", {}, True)
    assert replaced["event_types"] == ["product.created"]


def test_an_endpoint_is_switched_off_and_on(api, make_endpoint):
    endpoint = make_endpoint()
    off = send(api, "patch", path_of(endpoint), {"enabled": False}).json()
    assert off["disabled_at"] is not None and off["disabled_reason"] == ""
    Endpoint.objects.update(disabled_reason="It answered 410 Gone.")
    Health.objects.update(failures_in_a_row=9)
    assert api.get(path_of(endpoint)).json()["disabled_reason"] == "It answered 410 Gone."
    on = send(api, "patch", path_of(endpoint), {"enabled": True}).json()
    assert (on["disabled_at"], on["disabled_reason"]) == (None, "")
    assert on["health"]["failures_in_a_row"] == 0


def test_who_was_overtaken_is_told_and_overwrites_nothing(api, make_endpoint):
    endpoint = make_endpoint()
    path = path_of(endpoint)
    read = api.get(path).headers["ETag"]
    mine = send(api, "patch", path, {"description": "mine"}, If_Match=read)
    assert mine.status_code == 200 and mine.headers["ETag"] == '"2"'

    for method, body in (("patch", {"description": "x"}), ("put", BODY)):
        late = send(api, method, path, body, If_Match=read)
        assert error(late, 412)["code"] == "stale"
        assert late.headers["ETag"] == '"2"'
    assert error(send(api, "delete", path, If_Match=read), 412)["code"] == "stale"
    assert fields(send(api, "patch", path, {"description": "x"}, If_Match="2")) == ["If-Match"]
    assert Endpoint.objects.get(deleted_at=None).description == "mine"
    assert send(api, "patch", path, {"description": "b"}, If_Match='"1", "2"').status_code == 200
    assert send(api, "delete", path, If_Match="*").status_code == 204


def test_the_health_is_read_anew_whatever_the_client_has(api, make_endpoint):
    path = path_of(make_endpoint())
    tag = api.get(path).headers["ETag"]
    Health.objects.update(failures_in_a_row=3)
    again = send(api, "get", path, If_None_Match=tag)
    assert again.status_code == 200 and again.json()["health"]["failures_in_a_row"] == 3


def test_a_deleted_endpoint_is_gone(api, make_endpoint):
    endpoint = make_endpoint()
    gone = api.delete(path_of(endpoint))
    assert (gone.status_code, gone.content) == (204, b"")
    body: dict[str, Any] = {"enabled": True}
    for response in (
        api.get(path_of(endpoint)),
        send(api, "patch", path_of(endpoint), body),
        send(api, "put", path_of(endpoint), BODY),
        api.delete(path_of(endpoint)),
        send(api, "post", path_of(endpoint, "rotate-secret/")),
        send(api, "post", path_of(endpoint, "test/"), {"event_type": "product.created"}),
        api.get(f"{PATH}{10**30}/"),
    ):
        assert (
            error(response, 404)["message"]
            == "There is no such endpoint. It may have been deleted."
        )
    assert api.get(PATH).json()["results"] == []


def test_endpoints_come_in_pages_the_newest_first(api, make_endpoint):
    made = [make_endpoint(f"http://127.0.0.1:9/{n}").pk for n in range(5)]
    first = api.get(PATH, {"page_size": 2}).json()
    assert [row["id"] for row in first["results"]] == [made[4], made[3]]
    assert first["previous"] is None
    second = api.get(first["next"]).json()
    assert [row["id"] for row in second["results"]] == [made[2], made[1]]
    last = api.get(second["next"]).json()
    assert [row["id"] for row in last["results"]] == [made[0]] and last["next"] is None
    one = api.get(f"{PATH}{made[0]}/").json()
    assert last["results"] == [one]


def test_the_list_takes_the_same_queries_for_many(api, make_endpoint, django_assert_num_queries):
    make_endpoint()
    api.get(PATH)
    with CaptureQueriesContext(connection) as few:
        api.get(PATH)
    for _ in range(5):
        make_endpoint()
    with django_assert_num_queries(len(few)):
        assert len(api.get(PATH).json()["results"]) == 6


@pytest.mark.parametrize(
    "query", ["color=red", "cursor=x", "page_size=0", "page_size=501", "page_size=2&page_size=3"]
)
def test_unknown_parameters_are_refused(api, query):
    assert fields(api.get(f"{PATH}?{query}")) == [query.partition("=")[0]]


def test_a_repeated_request_adds_one_endpoint(api):
    first = send(api, "post", PATH, BODY, Idempotency_Key="k-1")
    again = send(api, "post", PATH, BODY, Idempotency_Key="k-1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json() and "secret" in again.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Location"] == first.headers["Location"]
    other = send(api, "post", PATH, BODY | {"description": "x"}, Idempotency_Key="k-1")
    assert error(other, 409)["code"] == "idempotency_conflict"
    assert Endpoint.objects.count() == 1


def test_the_secret_of_a_repeated_request_is_for_its_owner_alone(api, django_user_model):
    first = send(api, "post", PATH, BODY, Idempotency_Key="k-1").json()
    somebody = django_user_model.objects.create_user("otto", role=Role.EDITOR)
    theirs = send(client_of(somebody, "webhooks:write"), "post", PATH, BODY, Idempotency_Key="k-1")
    assert theirs.json()["id"] != first["id"] and theirs.json()["secret"] != first["secret"]


def test_too_many_endpoints_are_a_conflict(api, monkeypatch):
    monkeypatch.setattr(service, "MAX_ENDPOINTS", 1)
    send(api, "post", PATH, BODY)
    refused = error(send(api, "post", PATH, BODY, Idempotency_Key="k-1"), 409)
    assert refused["code"] == "too_many_endpoints" and "Delete one" in refused["message"]
    assert Endpoint.objects.count() == 1 and not GivenAnswer.objects.exists()


def test_no_get_shows_a_secret(api, make_endpoint):
    endpoint = make_endpoint()
    rotated = send(api, "post", path_of(endpoint, "rotate-secret/")).json()["secret"]
    send(api, "post", path_of(endpoint, "test/"), {"event_type": "product.created"})
    (delivery,) = endpoint.deliveries.all()
    paths = [
        *(PATH, path_of(endpoint), "/api/webhooks/event-types/", "/api/webhooks/deliveries/"),
        f"/api/webhooks/deliveries/{delivery.pk}/",
    ]
    for path in paths:
        response = api.get(path)
        assert response.status_code == 200
        for secret in (*Secret.objects.values_list("value", flat=True), rotated, "whsec_"):
            assert secret not in response.content.decode()
    assert (
        "whsec_" not in send(api, "patch", path_of(endpoint), {"description": "x"}).content.decode()
    )


def test_values_of_headers_are_for_those_who_may_write(api, user, viewer, make_endpoint, client):
    endpoint = make_endpoint(headers=SECRETIVE)
    client.force_login(viewer)
    for reader in (client, client_of(viewer, "webhooks:write"), client_of(user, "webhooks:read")):
        for response in (reader.get(PATH), reader.get(path_of(endpoint))):
            assert response.status_code == 200
            assert "hush-hush" not in response.content.decode()
        assert response.json()["headers"] == {"X-Key": None}
    assert api.get(path_of(endpoint)).json()["headers"] == SECRETIVE
    client.force_login(user)
    assert client.get(path_of(endpoint)).json()["headers"] == SECRETIVE


def test_what_a_viewer_reads_can_not_be_put_back_by_mistake(api, viewer, make_endpoint):
    endpoint = make_endpoint(headers=SECRETIVE)
    read = client_of(viewer, "webhooks:read").get(path_of(endpoint)).json()
    body = {name: read[name] for name in ("url", "event_types", "headers")}
    assert fields(send(api, "put", path_of(endpoint), body)) == ["headers"]
    assert Endpoint.objects.get().headers == SECRETIVE


def test_viewers_change_nothing(viewer, user, make_endpoint):
    endpoint = make_endpoint()
    event = {"event_type": "product.created"}
    for reader in (client_of(viewer, "webhooks:write"), client_of(user, "webhooks:read")):
        for response in (
            send(reader, "post", PATH, BODY),
            send(reader, "patch", path_of(endpoint), {"enabled": False}),
            send(reader, "put", path_of(endpoint), BODY),
            reader.delete(path_of(endpoint)),
            send(reader, "post", path_of(endpoint, "rotate-secret/")),
            send(reader, "post", path_of(endpoint, "test/"), event),
        ):
            assert error(response, 403)["code"] == "permission_denied"
    assert Endpoint.objects.get(deleted_at=None).version == 1
    assert Secret.objects.count() == 1 and not endpoint.deliveries.exists()


def test_other_scopes_are_not_enough(user, make_endpoint, client):
    endpoint = make_endpoint()
    other = client_of(user, "catalogue:write")
    for path in (PATH, path_of(endpoint), "/api/webhooks/event-types/"):
        assert error(other.get(path), 403) and error(client.get(path), 401)

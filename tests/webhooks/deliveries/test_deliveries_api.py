"""REST API of deliveries: the log, one with its attempts, retry, replay."""

import json
from typing import Any

import pytest
from django.test import Client
from rest_framework.pagination import Cursor

from config.accounts.models import Role
from config.api_pages import NewestFirst
from tests.api_client import client_of, error
from tests.webhooks.deliveries.conftest import NOON, deliver, minutes
from webhooks.deliveries import replay, walk
from webhooks.models import Attempt, Delivery

pytestmark = pytest.mark.django_db

LIST = "/api/webhooks/deliveries/"
REPLAY = "/api/webhooks/replay/"
HEADERS = {"content-type": "application/json", "x-key": "•••"}


def path(delivery: Delivery, action: str = "") -> str:
    return f"{LIST}{delivery.pk}/{action}"


def post(client: Client, path: str, data: Any = None):
    body = {} if data is None else {"data": json.dumps(data)}
    return client.post(path, content_type="application/json", **body)


def listed(client: Client, **given: Any) -> list[int]:
    """Ids on all pages."""
    answer = client.get(LIST, given)
    found = []
    while True:
        assert answer.status_code == 200, answer.content
        found += [row["id"] for row in answer.json()["results"]]
        if answer.json()["next"] is None:
            return found
        answer = client.get(answer.json()["next"])


def test_a_delivery_says_what_goes_where_and_how_it_stands(api, make_endpoint):
    endpoint = make_endpoint("http://127.0.0.1:9/hook")
    delivery = deliver(
        endpoint, "pending", NOON, last_status_code=503, last_error="HTTP 503", attempts_made=2
    )
    (row,) = api.get(LIST).json()["results"]
    assert row == {
        "id": delivery.pk,
        "url": f"http://testserver{path(delivery)}",
        "endpoint": {"id": endpoint.pk, "url": "http://127.0.0.1:9/hook"},
        "event": {
            "id": delivery.event.webhook_id,
            "type": "product.updated",
            "occurred_at": "2026-03-01T12:00:00Z",
        },
        "callback_url": "",
        "state": "pending",
        "state_label": "Waiting",
        "attempts_made": 2,
        "next_attempt_at": "2026-03-01T12:00:00Z",
        "last_status_code": 503,
        "last_error": "HTTP 503",
        "test": False,
        "created_at": "2026-03-01T12:00:00Z",
        "finished_at": None,
    }


def test_the_list_filters(api, make_endpoint):
    one, two = make_endpoint(), make_endpoint(deleted_at=NOON)
    rows = [
        deliver(one, "failed", NOON),
        deliver(two, "failed", NOON + minutes(5)),
        deliver(two, "succeeded", NOON + minutes(9), event_type="product.deleted"),
    ]
    first, second, third = (row.pk for row in rows)
    assert listed(api) == [third, second, first]
    assert listed(api, endpoint=two.pk) == [third, second]
    assert listed(api, state="failed") == [second, first]
    assert listed(api, event_type="product.deleted") == [third]
    assert listed(api, since="2026-03-01T13:05:00+01:00") == [third, second]
    assert listed(api, state="failed", endpoint=two.pk, since="2026-03-01T12:01Z") == [second]
    assert listed(api, endpoint=10**18) == []


def test_the_list_finds_a_sku_and_a_webhook_id(api, make_endpoint):
    one, two = make_endpoint(), make_endpoint()
    lamp = deliver(one, "failed", data={"product": {"sku": "Lamp-7"}}, event_type="product.deleted")
    again = deliver(two, data={"product": {"sku": "LAMP-7"}})
    deliver(two, data={"product": {"sku": "LAMP-77"}})
    assert listed(api, sku="lamp-7", page_size=1) == [again.pk, lamp.pk]
    assert listed(api, sku="lamp-7", state="failed") == [lamp.pk]
    for text in (lamp.event.webhook_id, lamp.event_id.hex, str(lamp.event_id)):
        assert listed(api, webhook_id=text) == [lamp.pk]
    assert listed(api, webhook_id=lamp.event.webhook_id, sku="LAMP-77") == []
    assert listed(api, webhook_id=f"evt_{'0' * 32}") == []


@pytest.mark.parametrize(
    "given",
    [
        {"endpoint": "x"},
        {"endpoint": "0"},
        {"endpoint": ""},
        {"state": "done"},
        {"state": ""},
        {"event_type": "*"},
        {"since": "2026-03-01"},
        {"since": "2026-03-01T09:30:00 01:00"},
        {"status": "failed"},
        {"cursor": ""},
        {"cursor": "x"},
        {"page_size": "0"},
        {"page_size": "501"},
        {"state": ["failed", "pending"]},
        {"webhook_id": "evt_7"},
        {"webhook_id": ""},
        {"sku": ""},
        {"sku": "\0"},
        {"q": "AB-7"},
        {"state": "done", "colour": "red"},
    ],
)
def test_wrong_parameters_are_named(api, given):
    assert set(error(api.get(LIST, given), 400)["fields"]) == set(given)


def test_pages_lead_there_and_back(api, endpoint, monkeypatch):
    monkeypatch.setattr(walk, "LOOKED_AT", 4)
    states = ["failed" if n % 6 < 2 else "succeeded" for n in range(30)]
    rows = [deliver(endpoint, state) for state in states]
    for given in ({}, {"state": "failed"}, {"state": "failed", "endpoint": endpoint.pk}):
        wanted = [row.pk for row in reversed(rows) if "state" not in given or row.state == "failed"]
        assert listed(api, page_size=3, **given) == wanted
        page = first = api.get(LIST, {"page_size": 3, **given}).json()
        assert first["previous"] is None
        page = api.get(first["next"]).json()
        assert api.get(page["previous"]).json() == first


@pytest.mark.parametrize("reverse", [False, True])
def test_a_cursor_that_leads_nowhere_is_refused(api, endpoint, reverse):
    pages = NewestFirst()
    pages.base_url = f"http://testserver{LIST}"
    assert api.get(pages.encode_cursor(Cursor(0, reverse, "7"))).status_code == 200
    forged = pages.encode_cursor(Cursor(0, reverse, None))
    assert set(error(api.get(forged), 400)["fields"]) == {"cursor"}


def test_one_has_its_body_and_attempts(api, endpoint):
    delivery = deliver(endpoint, "failed", attempts_made=2)
    for number in (1, 2):
        Attempt.objects.create(
            delivery=delivery,
            endpoint=endpoint,
            number=number,
            state="failed",
            url="http://127.0.0.1:9/then",
            request_headers=HEADERS,
            address="127.0.0.1:9",
            status_code=500,
            error="HTTP 500",
            response_headers={"server": "x"},
            response_body="<b>no</b>",
            response_truncated=True,
            started_at=NOON,
            duration_ms=12,
        )
    found = api.get(path(delivery)).json()
    (row,) = api.get(LIST).json()["results"]
    assert {name: found[name] for name in row} == row
    assert found["request_body"] == (
        '{"type":"product.updated","timestamp":"2026-03-01T12:00:00.000000Z","data":{"n":1}}'
    )
    assert [attempt["number"] for attempt in found["attempts"]] == [2, 1]
    assert found["attempts"][0] == {
        "number": 2,
        "state": "failed",
        "url": "http://127.0.0.1:9/then",
        "address": "127.0.0.1:9",
        "request_headers": HEADERS,
        "status_code": 500,
        "error": "HTTP 500",
        "response_headers": {"server": "x"},
        "response_body": "<b>no</b>",
        "response_truncated": True,
        "started_at": "2026-03-01T12:00:00Z",
        "duration_ms": 12,
    }
    attempts = api.get(path(delivery, "attempts/"), {"page_size": 1}).json()
    assert attempts["results"] == found["attempts"][:1]
    assert api.get(attempts["next"]).json()["results"] == found["attempts"][1:]


def test_what_is_not_there_is_not_found(api):
    for answer in (
        api.get(f"{LIST}1/"),
        api.get(f"{LIST}1/attempts/"),
        post(api, f"{LIST}1/retry/"),
    ):
        assert "no such delivery" in error(answer, 404)["message"]


def test_a_retry_is_accepted_and_can_be_followed(api, endpoint):
    delivery = deliver(endpoint, "succeeded")
    answer = post(api, path(delivery, "retry/"))
    assert answer.status_code == 202
    assert answer.json()["state"] == "pending"
    assert answer.headers["Location"] == answer.json()["url"]
    followed = api.get(answer.headers["Location"]).json()
    assert {name: followed[name] for name in answer.json()} == answer.json()


def test_a_retry_is_refused_where_it_is_not_possible(api, endpoint, make_endpoint):
    sending = deliver(endpoint, "sending")
    assert "at this moment" in error(post(api, path(sending, "retry/")), 409)["message"]
    gone = deliver(make_endpoint(deleted_at=NOON), "failed")
    assert "deleted" in error(post(api, path(gone, "retry/")), 409)["message"]
    failed = deliver(endpoint, "failed")
    assert error(post(api, path(failed, "retry/"), {"now": True}), 400)["fields"].keys() == {"now"}
    assert Delivery.objects.get(pk=failed.pk).state == "failed"


def test_a_replay_says_how_many_and_whether_there_are_more(api, make_endpoint, monkeypatch):
    monkeypatch.setattr(replay, "AT_MOST", 2)
    one, two = make_endpoint(), make_endpoint()
    for endpoint in (one, one, one, two):
        deliver(endpoint, "failed")
    of_one = {"since": "2026-03-01T12:00:00Z", "endpoint": one.pk}
    answer = post(api, REPLAY, of_one)
    assert (answer.status_code, answer.json()) == (202, {"replayed": 2, "more": True})
    assert post(api, REPLAY, of_one).json() == {"replayed": 1, "more": False}
    assert post(api, REPLAY, {"since": "2026-03-01T12:00:01Z"}).json()["replayed"] == 0
    assert post(api, REPLAY, {"since": "2026-03-01T13:00:00+01:00"}).json()["replayed"] == 1


def test_as_many_as_one_replay_takes_are_not_more(api, endpoint, monkeypatch):
    monkeypatch.setattr(replay, "AT_MOST", 2)
    deliver(endpoint, "failed"), deliver(endpoint, "failed")
    answer = post(api, REPLAY, {"since": "2026-03-01T12:00:00Z"})
    assert answer.json() == {"replayed": 2, "more": False}


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, {"since"}),
        ({"since": None}, {"since"}),
        ({"since": "yesterday"}, {"since"}),
        ({"since": "2026-03-01T12:00:00"}, {"since"}),
        ({"since": 1772366400}, {"since"}),
        ({"since": "2026-03-01T12:00:00Z", "endpoint": "1"}, {"endpoint"}),
        ({"since": "2026-03-01T12:00:00Z", "endpoint": 10**30}, {"endpoint"}),
        ({"since": "2026-03-01T12:00:00Z", "endpoint": 10**18}, {"endpoint"}),
        ({"since": "2026-03-01T12:00:00Z", "state": "failed"}, {"state"}),
    ],
)
def test_a_wrong_replay_is_refused(api, endpoint, body, wrong):
    deliver(endpoint, "failed")
    assert set(error(post(api, REPLAY, body), 400)["fields"]) == wrong
    assert Delivery.objects.get().state == "failed"


def test_a_replay_of_a_deleted_endpoint_is_refused(api, make_endpoint):
    gone = make_endpoint(deleted_at=NOON)
    body = {"since": "2026-03-01T12:00:00Z", "endpoint": gone.pk}
    assert "endpoint" in error(post(api, REPLAY, body), 400)["fields"]


def test_viewers_read_and_editors_write(endpoint, user, django_user_model):
    viewer = django_user_model.objects.create_user("vera", role=Role.VIEWER)
    delivery = deliver(endpoint, "failed")
    reads = [LIST, path(delivery), path(delivery, "attempts/")]
    changes = [(path(delivery, "retry/"), None), (REPLAY, {"since": "2026-03-01T12:00:00Z"})]
    may_read = (client_of(viewer, "webhooks:write"), client_of(user, "webhooks:read"))
    for client in may_read:
        assert [client.get(address).status_code for address in reads] == [200] * 3
        for address, body in changes:
            assert error(post(client, address, body), 403)
    other = client_of(user, "catalogue:write")
    assert [other.get(address).status_code for address in reads] == [403] * 3
    assert [Client().get(address).status_code for address in reads] == [401] * 3
    assert Delivery.objects.get().state == "failed"


def test_the_schema_describes_it(api):
    schema = api.get("/api/schema/?format=json").json()
    operations = {
        operation["operationId"]: operation
        for path, methods in schema["paths"].items()
        if "/webhooks/deliveries/" in path or path == REPLAY
        for operation in methods.values()
    }
    assert set(operations) == {
        "webhook_deliveries_list",
        "webhook_deliveries_retrieve",
        "webhook_deliveries_retry",
        "webhook_deliveries_replay",
        "webhook_attempts_list",
    }
    assert all(operation["tags"] == ["Webhooks"] for operation in operations.values())
    given = {each["name"]: each for each in operations["webhook_deliveries_list"]["parameters"]}
    filters = {"endpoint", "event_type", "state", "since", "webhook_id", "sku"}
    assert set(given) == filters | {"cursor", "page_size"}
    assert given["since"]["schema"]["format"] == "date-time"
    assert set(given["state"]["schema"]["enum"]) == {"pending", "sending", "succeeded", "failed"}
    answers = operations["webhook_deliveries_retry"]["responses"]
    assert {"202", "404", "409"} <= set(answers) and "Location" in answers["202"]["headers"]
    assert operations["webhook_deliveries_replay"]["requestBody"]["content"]["application/json"]
    listed = operations["webhook_deliveries_list"]["responses"]["200"]
    page = listed["content"]["application/json"]["schema"]
    name = page.get("$ref", "").rsplit("/", 1)[-1]
    page = schema["components"]["schemas"].get(name, page)
    assert page["properties"]["results"]["items"]["$ref"].endswith("/Delivery")
    detail = schema["components"]["schemas"]["DeliveryDetail"]["properties"]
    assert detail["attempts"]["items"]["$ref"].endswith("/Attempt")
    assert detail["request_body"]["type"] == "string"

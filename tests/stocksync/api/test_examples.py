"""What the schema shows is what happens."""

import json

import pytest

from config.api_schema import Generator
from stocksync import api_examples, serializers

from .syncing import body, path, synchronized

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_examples_are_answers_to_the_example(api, user):
    job = synchronized(user, api_examples.EVENTS.encode())
    assert body(api.get(path(job, "output"))).decode() == api_examples.OUTPUT
    assert body(api.get(path(job, "rejects"))).decode() == api_examples.REJECTS
    summary = api.get(path(job, "summary.json")).json()
    assert {**summary, "id": 7} == api_examples.SUMMARY
    assert api.get(path(job, "trees/")).json()["results"] == [api_examples.TREE]
    assert api.get(path(job, "products/2/")).json() == api_examples.PRODUCT
    stale = api.get(path(job, "decisions/"), {"verdict": "stale"}).json()
    assert stale["results"] == [api_examples.STALE]
    shown = api.get(path(job)).json()
    assert list(shown) == list(api_examples.JOB)
    asked_later = {"id", "created_by", "created_at", "started_at", "finished_at"}
    same = {name for name in shown if not name.endswith("url")} - asked_later
    assert {n: shown[n] for n in same} == {n: api_examples.JOB[n] for n in same}


def test_the_answers_are_those_of_the_schema(api, user):
    job = synchronized(user, api_examples.EVENTS.encode())
    for rest, serializer in (
        ("", serializers.SyncJobSerializer),
        ("summary.json", serializers.SyncSummarySerializer),
        ("products/2/", serializers.SyncProductSerializer),
    ):
        assert list(api.get(path(job, rest)).json()) == list(serializer().fields)


@pytest.fixture(scope="module")
def paths() -> dict:
    found = Generator().get_schema(request=None, public=True)["paths"]
    return {name: found[name] for name in found if name.startswith("/api/stocksync/")}


def test_every_refusal_is_in_the_schema(paths):
    jobs = "/api/stocksync/jobs/"
    expected = {
        ("post", jobs): {"202", "413", "415"},
        ("get", jobs): {"200"},
        ("get", f"{jobs}{{id}}/"): {"200", "404"},
        ("post", f"{jobs}{{id}}/cancel/"): {"202", "404", "409", "415"},
        ("post", f"{jobs}{{id}}/repeat/"): {"202", "404", "409", "415"},
        ("get", f"{jobs}{{id}}/output"): {"200", "304", "404", "409", "410"},
        ("get", f"{jobs}{{id}}/rejects"): {"200", "304", "404", "409", "410"},
        ("get", f"{jobs}{{id}}/summary.json"): {"200", "304", "404", "409"},
        ("get", f"{jobs}{{id}}/trees/"): {"200", "404", "409", "410"},
        ("get", f"{jobs}{{id}}/products/{{product_id}}/"): {"200", "404", "409", "410"},
        ("get", f"{jobs}{{id}}/decisions/"): {"200", "404", "409", "410"},
    }
    given = {
        (method, where): answers for where in paths for method, answers in paths[where].items()
    }
    assert set(given) == set(expected)
    for where, statuses in expected.items():
        assert statuses <= set(given[where]["responses"]), where
        assert given[where]["description"] and given[where]["tags"] == ["Stock sync"]
        assert ("410" in given[where]["responses"]) is ("410" in statuses), where


def test_files_are_described_as_lines(paths):
    for rest in ("output", "rejects"):
        (kind,) = paths[f"/api/stocksync/jobs/{{id}}/{rest}"]["get"]["responses"]["200"]["content"]
        assert kind == "application/x-ndjson"


def test_the_example_is_one_of_json_lines():
    for text in (api_examples.EVENTS, api_examples.OUTPUT, api_examples.REJECTS):
        assert all(json.loads(line) for line in text.splitlines())

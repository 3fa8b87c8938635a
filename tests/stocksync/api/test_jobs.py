"""Jobs by the API: the list, one job, cancel, repeat, and its live stream."""

from contextlib import contextmanager
from unittest.mock import ANY

import pytest
from django.db import connection
from django.test import Client

from config.accounts.models import Role
from config.jobs import runner
from config.live.channels import needed_right
from stocksync.jobs import progress
from stocksync.models import SyncJob
from tests.api_client import client_of, error, send

from .syncing import JOBS, as_lines, begin, created, path, purge, run, synchronized, updated

pytestmark = pytest.mark.django_db(transaction=True)

EVENTS = as_lines(
    created(1, None, 1, 20), created(2, 1, 2, 20), updated(2, 9, 15), updated(1, 5, 3), "nonsense"
)


def test_jobs_are_listed_newest_first(api, user):
    jobs = [begin(user, EVENTS) for _ in range(3)]
    first = api.get(JOBS, {"page_size": 2}).json()
    assert [row["id"] for row in first["results"]] == [jobs[2].pk, jobs[1].pk]
    second = api.get(first["next"]).json()
    assert [row["id"] for row in second["results"]] == [jobs[0].pk]
    assert api.get(second["previous"]).json()["results"] == [
        {**row, "silent_seconds": ANY} for row in first["results"]
    ]


def test_a_list_takes_as_many_queries_with_many_jobs(api, user, django_assert_max_num_queries):
    for _ in range(5):
        begin(user, EVENTS)
    with django_assert_max_num_queries(6):
        assert len(api.get(JOBS).json()["results"]) == 5


def test_a_job_says_how_it_stands_and_where_its_files_are(api, user):
    job = synchronized(user, EVENTS)
    shown = api.get(path(job)).json()
    assert shown["counts"] == {
        "lines": 5,
        "blank": 0,
        "comments": 0,
        "events": 5,
        "applied": 3,
        "stale": 1,
        "refused": {"malformed": 1},
        "never_created": 0,
        "waited": 0,
        "waiting": 0,
        "commands": {"UpdateProduct": 1, "EndProduct": 0},
        "products": 2,
        "trees": 1,
    }
    assert (shown["state"], shown["ended"], shown["percent"]) == ("done", True, 100.0)
    assert (shown["error"], shown["repeats"], shown["traced"]) == ("", None, True)
    here = f"http://testserver{path(job)}"
    assert shown["url"] == here
    assert shown["output_url"] == f"{here}output"
    assert shown["rejects_url"] == f"{here}rejects"
    assert shown["summary_url"] == f"{here}summary.json"
    assert shown["events_url"] == f"http://testserver/events/stocksync-{job.pk}/"


def test_address_and_stream_show_the_same(api, user):
    job = synchronized(user, EVENTS)
    shown = api.get(path(job)).json()
    told = progress.snapshot(SyncJob.objects.get(pk=job.pk))
    assert set(shown) - set(told) == {
        "url", "events_url", "output_url", "rejects_url", "summary_url"
    }  # fmt: skip
    assert set(told) <= set(shown)


@pytest.mark.parametrize("pk", [0, 999_999, 2**63, 10**30])
@pytest.mark.parametrize(
    "rest",
    ["", "output", "rejects", "summary.json", "trees/", "products/1/", "decisions/"],
)
def test_an_unknown_job_is_not_found(api, pk, rest):
    assert error(api.get(f"{JOBS}{pk}/{rest}"), 404)["code"] == "not_found"


@pytest.mark.parametrize("pk", [0, 999_999, 2**63, 10**30])
@pytest.mark.parametrize("action", ["cancel", "repeat"])
def test_an_unknown_job_can_not_be_acted_on(api, pk, action):
    answer = send(api, "post", f"{JOBS}{pk}/{action}/", {}, Idempotency_Key="k")
    assert error(answer, 404)["code"] == "not_found"


def test_a_job_is_cancelled(api, user):
    job = begin(user, EVENTS)
    answer = send(api, "post", path(job, "cancel/"))
    assert answer.status_code == 202
    assert answer.headers["Location"] == answer.json()["url"]
    assert answer.json()["cancel_requested"] is True
    assert run(job).state == "cancelled"
    assert "cancelled" in error(send(api, "post", path(job, "cancel/")), 409)["message"]


def test_a_cancel_does_not_wait_for_a_frozen_worker(api, user, monkeypatch):
    job = begin(user, EVENTS)
    monkeypatch.setattr(runner, "ASK_SECONDS", 0.1)
    with step_in_another_connection(job):
        answer = send(api, "post", path(job, "cancel/"))
        assert error(answer, 503)["code"] == "busy"
        assert answer.headers["Retry-After"]
    assert send(api, "post", path(job, "cancel/")).status_code == 202


@contextmanager
def step_in_another_connection(job: SyncJob):
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT FROM stocksync_syncjob WHERE id = %s FOR UPDATE", [job.pk])
            yield
    finally:
        other.close()


def test_a_job_is_repeated_with_another_clock(api, user):
    job = synchronized(user, EVENTS)
    answer = send(api, "post", path(job, "repeat/"), {"clock": "global"})
    assert answer.status_code == 202, answer.content
    shown = answer.json()
    assert answer.headers["Location"] == shown["url"] != f"http://testserver{path(job)}"
    assert (shown["repeats"], shown["clock"], shown["state"]) == (job.pk, "global", "queued")
    again = run(SyncJob.objects.get(pk=shown["id"]))
    assert (again.state, again.events_id) == ("done", job.events_id)


@pytest.mark.parametrize("clock", ["tree", "global"])
def test_without_a_clock_it_is_repeated_with_its_own(api, user, clock):
    job = synchronized(user, EVENTS, clock=clock)
    for given in ({}, None):
        assert send(api, "post", path(job, "repeat/"), given).json()["clock"] == clock


def test_a_repeat_acts_once_with_a_key(api, user):
    job = synchronized(user, EVENTS)
    first, second = (
        send(api, "post", path(job, "repeat/"), {"clock": "tree"}, Idempotency_Key="a")
        for _ in range(2)
    )
    assert first.status_code == second.status_code == 202
    assert second.content == first.content
    assert second.headers["Location"] == first.headers["Location"]
    assert second.headers["Idempotent-Replayed"] == "true"
    assert SyncJob.objects.count() == 2
    other = send(api, "post", path(job, "repeat/"), {"clock": "global"}, Idempotency_Key="a")
    assert error(other, 409)["code"] == "idempotency_conflict"


def test_a_key_is_that_of_one_job(api, user):
    jobs = [synchronized(user, EVENTS) for _ in range(2)]
    ids = {
        send(api, "post", path(job, "repeat/"), {}, Idempotency_Key="a").json()["repeats"]
        for job in jobs
    }
    assert ids == {job.pk for job in jobs}


def test_a_refused_repeat_leaves_its_key_free(api, user):
    job = begin(user, EVENTS)
    answer = send(api, "post", path(job, "repeat/"), {}, Idempotency_Key="a")
    assert "not ended" in error(answer, 409)["message"]
    run(job)
    answer = send(api, "post", path(job, "repeat/"), {}, Idempotency_Key="a")
    assert answer.status_code == 202


def test_without_its_events_a_job_is_not_repeated(api, user):
    job = synchronized(user, EVENTS)
    purge(job)
    assert "again" in error(send(api, "post", path(job, "repeat/"), {}), 409)["message"]
    shown = api.get(path(job)).json()
    assert shown["files_kept"] is False
    assert shown["counts"]["applied"] == 3


@pytest.mark.parametrize(
    ("action", "body", "wrong"),
    [
        ("repeat", {"clock": "wall"}, "clock"),
        ("repeat", {"clock": None}, "clock"),
        ("repeat", {"clock": 7}, "clock"),
        ("repeat", {"file": "x"}, "file"),
        ("cancel", {"now": True}, "now"),
    ],
)
def test_a_wrong_field_of_an_action_is_named(api, user, action, body, wrong):
    job = begin(user, EVENTS)
    assert list(error(send(api, "post", path(job, f"{action}/"), body), 400)["fields"]) == [wrong]
    assert api.post(path(job, f"{action}/"), "x", content_type="text/plain").status_code == 415
    job.refresh_from_db()
    assert (job.cancel_requested, SyncJob.objects.count()) == (False, 1)


def test_viewers_look_and_change_nothing(viewer, user):
    job = synchronized(user, EVENTS)
    for rest in ("", "output", "rejects", "summary.json", "trees/", "products/1/", "decisions/"):
        assert viewer.get(path(job, rest)).status_code == 200
    for action in ("cancel/", "repeat/"):
        answer = send(viewer, "post", path(job, action), {})
        assert "needs the role editor" in error(answer, 403)["message"]
    assert SyncJob.objects.count() == 1


def test_a_token_that_reads_changes_nothing(user):
    job = synchronized(user, EVENTS)
    reader = client_of(user, "stocksync:read")
    assert reader.get(path(job, "output")).status_code == 200
    assert (
        "stocksync:write" in error(send(reader, "post", path(job, "repeat/"), {}), 403)["message"]
    )
    other = client_of(user, "catalogue:write", "webhooks:write")
    assert "stocksync:read" in error(other.get(path(job, "output")), 403)["message"]


def test_the_stream_of_a_job_is_for_those_who_may_read_it(user, viewer, django_user_model):
    job = synchronized(user, EVENTS)
    channel = progress.channel(job.pk)
    assert needed_right(channel) == "stocksync:read"
    stream = f"/events/{channel}/"
    # 501: granted, but this client does not come through the web process, which sends it.
    assert viewer.get(stream).status_code == 501
    assert client_of(user, "stocksync:read").get(stream).status_code == 501
    assert "stocksync:read" in error(client_of(user, "catalogue:read").get(stream), 403)["message"]
    assert Client().get(stream).status_code == 401
    gone = django_user_model.objects.create_user("gus", role=Role.VIEWER, is_active=False)
    assert client_of(gone, "stocksync:read").get(stream).status_code == 401


@pytest.mark.parametrize("name", ["stocksync-", "stocksync-x", "stocksync-7x", "stocksync"])
def test_there_are_no_other_channels(viewer, name):
    assert viewer.get(f"/events/{name}/").status_code == 404

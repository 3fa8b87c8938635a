"""Output, rejects and summary of a job as files."""

import json
import subprocess
import sys

import pytest
from django.test import Client

from config.accounts.models import Role
from config.accounts.tokens import issue
from stocksync.jobs import files, service
from stocksync.jobs.files import FileGone
from stocksync.models import FileBlock, SyncJob
from tests.api_client import client_of, error

from .syncing import (
    as_lines,
    begin,
    body,
    cancelled,
    created,
    path,
    purge,
    run,
    some_steps,
    synchronized,
    updated,
)

pytestmark = pytest.mark.django_db(transaction=True)

EVENTS = as_lines(
    created(1, None, 1, 20),
    created(2, 1, 2, 20),
    updated(2, 9, 15),
    updated(1, 10, 0),
    "nonsense",
    '{"type": "ProductUpdated", "id": 7, "timestamp": 3, "stock": 1}',
)
ALL = ("output", "rejects", "summary.json")


@pytest.mark.parametrize("clock", ["tree", "global"])
def test_the_files_are_those_of_the_command_line(api, user, tmp_path, clock):
    (tmp_path / "in").write_bytes(EVENTS)
    job = synchronized(user, EVENTS, clock=clock)
    options = ["--rejects", tmp_path / "rejects", "--clock", clock]
    command = [sys.executable, "-m", "stocksync", tmp_path / "in", tmp_path / "out", *options]
    subprocess.run(command, check=True, timeout=60)
    assert body(api.get(path(job, "output"))) == (tmp_path / "out").read_bytes() != b""
    assert body(api.get(path(job, "rejects"))) == (tmp_path / "rejects").read_bytes() != b""


@pytest.mark.parametrize("rest", ["output", "rejects"])
def test_a_file_says_its_kind_name_and_length(api, user, rest):
    job = synchronized(user, EVENTS)
    answer = api.get(path(job, rest))
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    disposition = f'attachment; filename="{rest}-{job.pk}.jsonl"'
    assert answer.headers["Content-Disposition"] == disposition
    assert answer.headers["Content-Length"] == str(len(body(answer)))
    shown = api.get(path(job)).json()
    assert str(shown[f"{rest}_bytes"]) == answer.headers["Content-Length"]


def test_the_summary_has_the_counts_of_the_job(api, user):
    job = synchronized(user, EVENTS)
    answer = api.get(path(job, "summary.json"))
    assert answer.headers["Content-Type"] == "application/json"
    assert f'filename="summary-{job.pk}.json"' in answer.headers["Content-Disposition"]
    shown = api.get(path(job)).json()
    assert answer.json() == {
        name: shown[name]
        for name in ("id", "file_name", "size_bytes", "clock", "state", "error", "counts")
    }


@pytest.mark.parametrize("rest", ALL)
def test_a_job_that_goes_on_has_no_files_yet(api, user, rest, settings):
    settings.STOCKSYNC_STEP_BYTES = 50
    job = begin(user, EVENTS)
    for state, steps in (("queued", 0), ("running", 1), ("running", 3)):
        job = some_steps(job, steps)
        assert job.state == state
        found = error(api.get(path(job, rest)), 409)
        assert (found["code"], state in found["message"]) == ("not_ended", True)
    run(job)
    assert api.get(path(job, rest)).status_code == 200


def test_a_cancelled_job_has_rejects_and_counts_but_no_output(api, user, settings):
    settings.STOCKSYNC_STEP_BYTES = len(EVENTS)
    job = some_steps(begin(user, EVENTS * 3), 2)
    service.cancel(job.pk)
    assert run(job).state == "cancelled"
    found = error(api.get(path(job, "output")), 409)
    assert (found["code"], "was cancelled" in found["message"]) == ("not_done", True)
    (first, *_) = body(api.get(path(job, "rejects"))).splitlines()
    assert json.loads(first)["raw"] == "nonsense"
    assert api.get(path(job, "summary.json")).json()["state"] == "cancelled"


def test_a_failed_job_has_rejects_and_says_why_in_its_summary(api, user, settings):
    settings.STOCKSYNC_OUTPUT_MAX_BYTES = 10
    job = synchronized(user, as_lines("nonsense") * 1000 + EVENTS)
    assert job.state == "failed"
    found = error(api.get(path(job, "output")), 409)
    assert (found["code"], "failed" in found["message"]) == ("not_done", True)
    assert api.get(path(job, "rejects")).status_code == 200
    assert "STOCKSYNC_OUTPUT_MAX_BYTES" in api.get(path(job, "summary.json")).json()["error"]


def test_a_job_cancelled_at_once_has_empty_rejects(api, user):
    job = cancelled(user, EVENTS)
    assert body(api.get(path(job, "rejects"))) == b""


def test_files_that_were_let_go_of_are_gone_and_the_summary_stays(api, user):
    job = synchronized(user, EVENTS)
    before = api.get(path(job, "summary.json")).json()
    purge(job)
    assert FileBlock.objects.count() == 0
    for rest in ("output", "rejects"):
        found = error(api.get(path(job, rest)), 410)
        assert found["code"] == "gone" and "counts are kept" in found["message"]
    assert api.get(path(job, "summary.json")).json() == before


def test_files_that_are_let_go_of_just_now_are_gone(api, user):
    job = synchronized(user, EVENTS)
    files.forget(job.output_id, job.rejects_id)
    for rest in ("output", "rejects"):
        assert error(api.get(path(job, rest)), 410)["code"] == "gone"


def test_a_file_that_is_let_go_of_in_the_middle_breaks_off(api, user, monkeypatch):
    """So that its client is told by the missing end, not given a file that looks whole."""
    monkeypatch.setattr(files, "BLOCK_BYTES", 30)
    job = synchronized(user, EVENTS)
    answer = api.get(path(job, "output"))
    pieces = iter(answer.streaming_content)
    assert len(next(pieces)) == 30
    purge(job)
    with pytest.raises(FileGone):
        list(pieces)


@pytest.mark.parametrize("rest", ALL)
def test_what_the_client_has_is_not_sent_again(api, user, rest, django_assert_max_num_queries):
    job = synchronized(user, EVENTS)
    etag = api.get(path(job, rest)).headers["ETag"]
    for known in (etag, f'"x", {etag}', f"W/{etag}", "*"):
        with django_assert_max_num_queries(4):
            again = api.get(path(job, rest), headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == etag
    assert api.get(path(job, rest), headers={"If-None-Match": '"other"'}).status_code == 200
    wrong = error(api.get(path(job, rest), headers={"If-None-Match": "other"}), 400)
    assert list(wrong["fields"]) == ["If-None-Match"]


def test_no_two_files_have_one_etag(api, user):
    jobs = [synchronized(user, EVENTS) for _ in range(2)]
    etags = {api.get(path(job, rest)).headers["ETag"] for job in jobs for rest in ALL}
    assert len(etags) == 6


def test_what_is_gone_is_gone_also_for_those_who_have_it(api, user):
    job = synchronized(user, EVENTS)
    etag = api.get(path(job, "output")).headers["ETag"]
    purge(job)
    assert api.get(path(job, "output"), headers={"If-None-Match": etag}).status_code == 410


@pytest.mark.parametrize("rest", ALL)
def test_a_head_tells_the_same_and_reads_nothing(api, user, rest):
    job = synchronized(user, EVENTS)
    there = api.get(path(job, rest))
    head = api.head(path(job, rest))
    assert head.status_code == 200
    assert b"".join(head) == b""
    for name in ("Content-Type", "Content-Disposition", "ETag"):
        assert head.headers[name] == there.headers[name]
    assert head.headers.get("Content-Length") == there.headers.get("Content-Length")


@pytest.mark.parametrize("rest", ALL)
def test_it_is_given_whatever_is_accepted(api, user, rest):
    job = synchronized(user, EVENTS)
    for accepted in ("application/x-ndjson", "text/csv", "image/png"):
        assert api.get(path(job, rest), headers={"Accept": accepted}).status_code == 200


@pytest.mark.parametrize("rest", ALL)
def test_a_file_takes_no_parameters_and_no_other_method(api, user, rest):
    job = synchronized(user, EVENTS)
    assert list(error(api.get(path(job, rest), {"format": "json"}), 400)["fields"]) == ["format"]
    for method in (api.post, api.put, api.patch, api.delete):
        assert error(method(path(job, rest)), 405)["code"] == "method_not_allowed"


def test_files_are_for_those_who_may_read(user, django_user_model):
    job = synchronized(user, EVENTS)
    assert Client().get(path(job, "output")).status_code == 401
    other = client_of(user, "orders:write")
    assert "stocksync:read" in error(other.get(path(job, "output")), 403)["message"]
    gone = django_user_model.objects.create_user("gus", role=Role.EDITOR)
    secret = issue(gone, "read", ["stocksync:read"])[1]
    gone.is_active = False
    gone.save()
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    assert client.get(path(job, "output")).status_code == 401
    browser = Client()
    browser.force_login(user)
    assert body(browser.get(path(job, "output")))


def test_an_address_with_a_slash_is_another_one(api, user):
    job = synchronized(user, EVENTS)
    assert SyncJob.objects.filter(pk=job.pk).exists()
    for rest in ALL:
        assert api.get(path(job, f"{rest}/")).status_code == 404

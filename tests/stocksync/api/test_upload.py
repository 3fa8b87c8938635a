"""POST /api/stocksync/jobs/: a file of events in a multipart form."""

from io import BytesIO

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from config.accounts.tokens import issue
from stocksync.jobs import files
from stocksync.models import FileBlock, StoredFile, SyncJob
from tests.api_client import client_of, error

from .syncing import JOBS, as_lines, created, run, updated

pytestmark = pytest.mark.django_db(transaction=True)

EVENTS = as_lines(created(1, None, 1, 20), created(2, 1, 2, 20), updated(2, 3, 15))
END = b"--x--\r\n"


def events_file(data: bytes = EVENTS, name: str = "events.txt") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, data, content_type="text/plain")


def field(name: str, value: str) -> bytes:
    head = f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
    return f"{head}{value}\r\n".encode()


def file_part(data: bytes = EVENTS, name: str = "file") -> bytes:
    head = f'--x\r\nContent-Disposition: form-data; name="{name}"; filename="e.txt"\r\n\r\n'
    return head.encode() + data + b"\r\n"


def post(client: Client, form: bytes, **more):
    return client.post(JOBS, form, content_type="multipart/form-data; boundary=x", **more)


def nothing_is_stored() -> bool:
    counts = [model.objects.count() for model in (SyncJob, StoredFile, FileBlock)]
    return counts == [0, 0, 0]


def test_a_file_becomes_a_job_that_waits_for_its_worker(api, user):
    answer = api.post(JOBS, {"file": events_file()})

    assert answer.status_code == 202, answer.content
    shown = answer.json()
    job = SyncJob.objects.get(pk=shown["id"])
    assert answer.headers["Location"] == shown["url"] == f"http://testserver{JOBS}{job.pk}/"
    assert (shown["state"], shown["clock"], shown["file_name"]) == ("queued", "tree", "events.txt")
    assert (shown["size_bytes"], shown["read_bytes"]) == (len(EVENTS), 0)
    assert (job.created_by, shown["created_by"]) == (user, "ana")
    assert b"".join(files.pieces(job.events_id)) == EVENTS
    assert run(job).counts["applied"] == 3


@pytest.mark.parametrize("order", [1, -1], ids=["before", "after"])
def test_fields_stand_before_or_after_the_file(api, order):
    parts = [field("clock", "global"), file_part()][::order]
    answer = post(api, b"".join(parts) + END)
    assert answer.status_code == 202, answer.content
    assert answer.json()["clock"] == "global"


def test_a_large_file_is_stored_while_it_comes(api, settings):
    settings.UPLOAD_BLOCK_BYTES = 100_000
    data = as_lines(*(created(n, None, n, 1) for n in range(12_000)))
    job = SyncJob.objects.get(pk=api.post(JOBS, {"file": events_file(data)}).json()["id"])
    assert FileBlock.objects.filter(file=job.events_id).count() > 3
    assert b"".join(files.pieces(job.events_id)) == data


@pytest.mark.parametrize("data", [b" ", b"\0\xff\xfe", b"no event at all\n" * 100])
def test_what_is_in_the_file_never_fails_the_upload(api, data):
    assert api.post(JOBS, {"file": events_file(data)}).status_code == 202


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\u0000b.txt", "ü" * 400, "a\r\nX: y"])
def test_the_files_name_is_only_shown(api, name):
    answer = api.post(JOBS, {"file": events_file(name=name)})
    assert answer.status_code in (202, 400)
    if answer.status_code == 202:
        shown = answer.json()["file_name"]
        assert "/" not in shown and "\0" not in shown and len(shown) <= 255


@pytest.mark.parametrize(
    ("form", "wrong"),
    [
        ({}, "file"),
        ({"clock": "tree"}, "file"),
        ({"file": "text"}, "file"),
        ({"file": events_file(b"")}, "file"),
        ({"file": events_file(), "clock": "wall"}, "clock"),
        ({"file": events_file(), "speed": "9"}, "speed"),
        ({"events": events_file()}, "file"),
    ],
)
def test_a_wrong_form_names_the_field_and_keeps_nothing(api, form, wrong):
    found = error(api.post(JOBS, form), 400)
    assert list(found["fields"]) == [wrong]
    assert nothing_is_stored()


@pytest.mark.parametrize("name", ["file", "clock", "more"])
@pytest.mark.parametrize("order", [1, -1])
def test_a_second_file_is_refused_not_left_out(api, name, order):
    parts = [file_part(), file_part(b"more", name=name)][::order]
    found = error(post(api, b"".join(parts) + END), 400)
    assert list(found["fields"]) == [name]
    assert nothing_is_stored()


def test_a_wrong_clock_is_answered_with_the_right_ones(api):
    found = error(api.post(JOBS, {"file": events_file(), "clock": "utc"}), 400)
    assert found["fields"]["clock"] == ["Use one of: tree, global."]


@pytest.mark.parametrize("cut_at", [0.3, 0.6, 0.9])
def test_a_form_that_is_cut_makes_no_job_and_keeps_nothing(api, settings, cut_at):
    settings.UPLOAD_BLOCK_BYTES = 1_000
    form = file_part(EVENTS * 100) + field("clock", "tree") + END
    cut = form[: int(len(file_part(EVENTS * 100)) * cut_at)]
    connection = {"wsgi.input": BytesIO(cut), "CONTENT_LENGTH": str(len(form))}
    assert list(error(post(api, form, **connection), 400)["fields"]) == ["file"]
    assert nothing_is_stored()


def test_a_form_that_can_not_be_read_to_its_end_keeps_nothing(api):
    many = {f"field-{n}": "x" for n in range(2_000)}
    assert api.post(JOBS, {"file": events_file(), **many}).status_code == 400
    assert api.post(JOBS, {"file": events_file(), "more": "x" * 3_000_000}).status_code == 400
    assert nothing_is_stored()


def test_a_file_over_the_limit_is_too_large(api, settings):
    settings.STOCKSYNC_MAX_BYTES = len(EVENTS)
    assert api.post(JOBS, {"file": events_file()}).status_code == 202
    SyncJob.objects.all().delete()
    StoredFile.objects.all().delete()
    found = error(api.post(JOBS, {"file": events_file(EVENTS + b"x")}), 413)
    assert found["code"] == "too_large"
    assert f"{len(EVENTS):,} bytes" in found["message"]
    assert nothing_is_stored()


def test_another_kind_of_body_is_refused(api):
    found = error(api.post(JOBS, EVENTS, content_type="text/plain"), 415)
    assert "multipart/form-data" in found["message"]
    assert nothing_is_stored()


def test_the_upload_is_for_tokens(user):
    browser = Client()
    browser.force_login(user)
    assert browser.post(JOBS, {"file": events_file()}).status_code == 401
    assert browser.get(JOBS).status_code == 200
    assert nothing_is_stored()


def test_nothing_is_stored_for_those_who_may_not(viewer, user, django_user_model):
    assert (
        "needs the role editor" in error(viewer.post(JOBS, {"file": events_file()}), 403)["message"]
    )
    for scopes in (["stocksync:read"], ["catalogue:write"], []):
        client = client_of(user, *scopes)
        assert (
            "stocksync:write" in error(client.post(JOBS, {"file": events_file()}), 403)["message"]
        )
    revoked, secret = issue(user, "old", ["stocksync:write"])
    type(revoked).objects.filter(pk=revoked.pk).update(revoked_at="2026-01-01T00:00Z")
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    assert client.post(JOBS, {"file": events_file()}).status_code == 401
    assert nothing_is_stored()

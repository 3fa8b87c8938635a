"""REST API of imports: the multipart entry, states and actions."""

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import ANY

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client

from config.accounts.tokens import issue
from config.jobs import runner
from products.imports import pipeline
from products.imports.staging import losers_table, table
from products.models import Import, ImportState, Product, Upload, UploadBlock

from .importing import HEADER, import_bytes, run, upload

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = HEADER + b"A,a,1\r\nB,b,2\r\nb,B,3\r\n"


@pytest.fixture
def client(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def api(user) -> Client:
    """A client with a token."""
    secret = issue(user, name="tests", scopes=["catalogue:write"])[1]
    return Client(headers={"Authorization": f"Bearer {secret}"})


def cancel(client: Client, job: Import):
    return client.post(f"/api/imports/{job.pk}/cancel/", content_type="application/json")


@contextmanager
def step_in_another_connection(job: Import) -> Iterator[None]:
    """The import's row is locked, as by a worker in the middle of a step."""
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT FROM products_import WHERE id = %s FOR UPDATE", [job.pk])
            yield
    finally:
        other.close()


def csv_file(data: bytes = ROWS, name: str = "p.csv") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, data, content_type="text/csv")


def test_a_multipart_form_enters_the_same_pipeline(api, user, settings):
    settings.UPLOAD_BLOCK_BYTES = 100_000
    data = ROWS + b"".join(b"Name,sku-%d,text\r\n" % n for n in range(30_000))

    response = api.post(
        "/api/imports/", {"file": csv_file(data), "new_products": "inactive", "encoding": "utf-8"}
    )

    assert response.status_code == 202, response.content
    job = Import.objects.get(pk=response.json()["id"])
    assert response["Location"].endswith(f"/api/imports/{job.pk}/")
    assert (job.created_by, job.upload.size_bytes) == (user, len(data))
    assert job.upload.blocks.count() > 1
    job = run(job)
    assert (job.state, job.created, job.duplicates) == (ImportState.DONE, 30_002, 1)
    assert not Product.objects.filter(active=True).exists()


def test_fields_after_the_file_count_too(api):
    body = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="p.csv"\r\n\r\n'
        + ROWS
        + b'\r\n--x\r\nContent-Disposition: form-data; name="check_first"\r\n\r\ntrue\r\n--x--\r\n'
    )

    response = api.post("/api/imports/", body, content_type="multipart/form-data; boundary=x")

    assert response.status_code == 202
    assert response.json()["check_first"] is True


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({}, "file"),
        ({"file": "text"}, "file"),
        ({"file": csv_file(b"")}, "file"),
        ({"file": csv_file(), "encoding": "utf-7"}, "encoding"),
        ({"file": csv_file(), "new_products": "maybe"}, "new_products"),
        ({"file": csv_file(), "check_first": "perhaps"}, "check_first"),
        ({"file": csv_file(), "delimiter": ";"}, "delimiter"),
    ],
)
def test_a_wrong_form_names_the_field_and_keeps_nothing(api, form, field):
    response = api.post("/api/imports/", form)

    assert response.status_code == 400
    assert field in response.json()["error"]["fields"]
    assert Import.objects.count() == 0
    assert UploadBlock.objects.count() == 0


def test_a_form_over_the_limit_is_refused(api, settings):
    settings.UPLOAD_MAX_BYTES = 100

    response = api.post("/api/imports/", {"file": csv_file(ROWS * 10)})

    assert response.status_code in (400, 413)
    assert Import.objects.count() == 0


def test_the_multipart_entry_is_for_tokens(client):
    assert client.post("/api/imports/", {"file": csv_file()}).status_code == 401
    assert Upload.objects.count() == 0


def test_imports_are_listed_newest_first_and_retrieved(client, user):
    jobs = [import_bytes(user, ROWS) for _ in range(3)]

    page = client.get("/api/imports/", {"page_size": 2}).json()
    assert [job["id"] for job in page["results"]] == [jobs[2].pk, jobs[1].pk]
    rest = client.get(page["next"]).json()
    assert [job["id"] for job in rest["results"]] == [jobs[0].pk]

    one = client.get(f"/api/imports/{jobs[0].pk}/").json()
    assert (one["state"], one["rows"], one["created"]) == ("done", 3, 2)
    assert client.get("/api/imports/999999/").status_code == 404


def test_approve_cancel_and_repeat_follow_the_state(client, user):
    job = import_bytes(user, ROWS, check_first=True)
    base = f"/api/imports/{job.pk}"

    assert client.post(f"{base}/repeat/", content_type="application/json").status_code == 409
    assert client.post(f"{base}/approve/", content_type="application/json").status_code == 202
    assert run(job).state == ImportState.DONE
    assert client.post(f"{base}/approve/", content_type="application/json").status_code == 409
    assert client.post(f"{base}/cancel/", content_type="application/json").status_code == 409
    gone = client.post(f"{base}/repeat/", content_type="application/json")
    assert gone.status_code == 409
    assert "upload it again" in gone.json()["error"]["message"]


def test_a_file_in_another_encoding_is_imported_again_from_the_stored_bytes(client, user):
    job = import_bytes(user, HEADER + "Café,a,crème\r\nB,b,plain\r\n".encode("cp1252"))
    assert (job.state, job.created, job.undecodable) == (ImportState.DONE, 1, 1)

    response = client.post(
        f"/api/imports/{job.pk}/repeat/", {"encoding": "cp1252"}, content_type="application/json"
    )

    assert response.status_code == 202
    again = run(Import.objects.get(pk=response.json()["id"]))
    assert (again.state, again.created, again.unchanged) == (ImportState.DONE, 1, 1)
    assert Product.objects.get(sku="a").name == "Café"


def test_rejects_are_paged_by_line_and_downloaded_as_csv(client, user):
    bad = b"".join(b"Name,,%d\r\n" % n for n in range(5))
    job = import_bytes(user, HEADER + bad + b'A,"x" y,\xff\r\n')

    page = client.get(f"/api/imports/{job.pk}/rejects/", {"page_size": 4}).json()
    assert [reject["line"] for reject in page["results"]] == [2, 3, 4, 5]
    assert page["results"][0]["column"] == "sku"
    assert page["results"][0]["raw"] == "Name,,0"
    assert len(client.get(page["next"]).json()["results"]) == 2

    response = client.get(f"/imports/{job.pk}/rejects.csv")
    lines = b"".join(response.streaming_content).decode("utf-8-sig").splitlines()
    assert lines[0] == "line,column,reason,raw"
    assert len(lines) == 7
    assert "\\xff" in lines[-1]


def test_an_unfinished_upload_can_be_cancelled(client, user):
    job = upload(user, ROWS)
    assert cancel(client, job).json()["cancel_requested"] is True
    assert run(job).state == ImportState.CANCELLED


def test_a_cancel_does_not_wait_for_a_frozen_worker(client, user, monkeypatch):
    job = upload(user, ROWS)
    monkeypatch.setattr(runner, "ASK_SECONDS", 0.1)
    with step_in_another_connection(job):
        response = cancel(client, job)

    assert response.status_code == 503
    assert response["Retry-After"]
    assert response.json()["error"] == {
        "code": "busy",
        "message": "The job is in the middle of a step. Try again in a few seconds.",
    }
    assert cancel(client, job).status_code == 202


@pytest.mark.parametrize(
    ("field", "advice"),
    [("new_products", "Use one of: active, inactive."), ("encoding", "Use one of: utf-8, ")],
)
def test_a_wrong_word_of_the_form_is_answered_with_the_right_ones(api, field, advice):
    refused = api.post("/api/imports/", {"file": csv_file(), field: "off"})
    assert refused.status_code == 400
    assert refused.json()["error"]["fields"][field][0].startswith(advice)
    assert Import.objects.count() == 0


def test_products_are_listed_by_cursor(client, user):
    import_bytes(user, ROWS)

    page = client.get("/api/products/", {"page_size": 1}).json()

    assert len(page["results"]) == 1
    assert set(page["results"][0]) >= {"id", "sku", "name", "description", "active"}
    assert client.get(page["next"]).json()["results"]


@pytest.mark.parametrize("position", ["p=abc", "p=%00", "p=1e5", "r=1&p=abc"])
def test_a_cursor_that_was_not_made_here_is_named(client, position):
    cursor = b64encode(position.encode()).decode()

    for path in ("/api/products/", "/api/imports/"):
        response = client.get(path, {"cursor": cursor})
        assert response.status_code == 400
        assert list(response.json()["error"]["fields"]) == ["cursor"]


def test_a_cursor_of_another_import_is_named(client, user):
    jobs = [import_bytes(user, HEADER + b"x,,1\r\n" * 3) for _ in range(2)]
    path = "/api/imports/{}/rejects/"
    following = client.get(path.format(jobs[0].pk), {"page_size": 1}).json()["next"]
    assert client.get(following).json()["results"][0]["line"] == 3
    other = following.replace(path.format(jobs[0].pk), path.format(jobs[1].pk))
    assert list(client.get(other).json()["error"]["fields"]) == ["cursor"]


def test_an_import_says_where_it_can_be_followed(client, user):
    job = import_bytes(user, ROWS)
    shown = client.get(f"/api/imports/{job.pk}/").json()
    assert shown["events_url"] == f"http://testserver/events/import-{job.pk}/"
    assert client.get(shown["url"]).json() == {**shown, "idle_seconds": ANY}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("repeat", {"encoding": 7}, "encoding"),
        ("repeat", {"check_first": "yes"}, "check_first"),
        ("repeat", {"check_first": None}, "check_first"),
        ("repeat", {"new_products": "active"}, "new_products"),
        ("approve", {"yes": True}, "yes"),
        ("cancel", {"now": 1}, "now"),
    ],
)
def test_a_wrong_field_of_an_action_is_named(client, user, path, body, field):
    job = import_bytes(user, ROWS, check_first=True)
    url = f"/api/imports/{job.pk}/{path}/"
    response = client.post(url, body, content_type="application/json")
    assert response.status_code == 400
    assert list(response.json()["error"]["fields"]) == [field]
    assert client.post(url, "x", content_type="text/plain").status_code == 415
    job.refresh_from_db()
    assert job.state == ImportState.READY


def test_a_form_that_can_not_be_read_to_its_end_keeps_nothing(api):
    many = {f"field-{n}": "x" for n in range(2_000)}

    assert api.post("/api/imports/", {"file": csv_file(), **many}).status_code == 400
    big = {"more": "x" * 3_000_000}
    assert api.post("/api/imports/", {"file": csv_file(), **big}).status_code == 400
    assert Import.objects.count() == 0
    assert UploadBlock.objects.count() == 0


def test_a_file_is_imported_again_once_at_a_time(client, user):
    job = import_bytes(user, HEADER + b"A,a,\xff\r\n")
    url = f"/api/imports/{job.pk}/repeat/"

    answers = [client.post(url, content_type="application/json") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202, 409, 409]
    assert "already" in answers[1].json()["error"]["message"]
    assert run(Import.objects.get(pk=answers[0].json()["id"])).state == ImportState.DONE
    assert client.post(url, content_type="application/json").status_code == 202


def test_too_many_rejects_stop_the_import(user, settings):
    settings.IMPORT_MAX_REJECTS = 3

    job = import_bytes(user, HEADER + b"x\r\n" * 5)

    assert job.state == ImportState.FAILED
    assert "right file" in job.error


def test_rejects_of_a_part_that_is_read_again_count_once(user, settings):
    settings.IMPORT_MAX_REJECTS = 3
    job = import_bytes(user, HEADER + b"A,a,1\r\n" + b"x\r\n" * 3, check_first=True)
    with connection.cursor() as cursor:  # what a crash of the database does
        cursor.execute(f"TRUNCATE products_stagedpart, {table(job.pk)}, {losers_table(job.pk)}")

    assert pipeline.approve(job.pk)
    job = run(job)

    assert (job.state, job.error) == (ImportState.DONE, "")
    assert (job.created, job.rejected) == (1, 3)


def test_rejects_csv_holds_no_formula(client, user):
    job = import_bytes(user, HEADER + b"=cmd(),,x\r\n")

    response = client.get(f"/imports/{job.pk}/rejects.csv")

    assert b"'=cmd()" in b"".join(response.streaming_content)

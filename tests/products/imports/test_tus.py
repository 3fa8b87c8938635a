"""The tus 1.0 protocol at /api/uploads/, request by request."""

import base64
import hashlib
import uuid

import pytest
from django.test import Client

from products.imports import pipeline, uploads
from products.models import Import, ImportState, Upload, UploadBlock

from .importing import HEADER, run

pytestmark = pytest.mark.django_db(transaction=True)

DATA = HEADER + b"".join(b"Name %d,sku-%d,text\r\n" % (n, n) for n in range(50))
BYTES = "application/offset+octet-stream"


@pytest.fixture
def client(user) -> Client:
    client = Client(headers={"Tus-Resumable": "1.0.0"})
    client.force_login(user)
    return client


def metadata(**values: str) -> str:
    return ",".join(f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in values.items())


def create(client: Client, size: int = len(DATA), **values: str):
    return client.post(
        "/api/uploads/",
        headers={"Upload-Length": str(size), "Upload-Metadata": metadata(**values)},
    )


def patch(client: Client, url: str, offset: int, data: bytes, **headers: str):
    return client.patch(
        url, data, content_type=BYTES, headers={"Upload-Offset": str(offset), **headers}
    )


def stored(url: str) -> bytes:
    upload_id = url.rstrip("/").rsplit("/", 1)[1]
    blocks = UploadBlock.objects.filter(upload_id=upload_id).order_by("offset")
    return b"".join(bytes(block.data) for block in blocks)


def error(response) -> str:
    return response.json()["error"]["message"]


def test_options_tell_version_size_and_extensions(client, settings):
    response = client.options("/api/uploads/")

    assert response.status_code == 204
    assert response["Tus-Version"] == "1.0.0"
    assert int(response["Tus-Max-Size"]) == settings.UPLOAD_MAX_BYTES
    assert set(response["Tus-Extension"].split(",")) == {
        "creation",
        "termination",
        "expiration",
        "checksum",
    }


def test_an_upload_in_parts_becomes_an_import(client, user):
    created = create(
        client, filename="mine.csv", new_products="inactive", check_first="true", encoding="cp1252"
    )
    assert created.status_code == 201
    url = created["Location"]
    job = Import.objects.get(pk=created["Stockroom-Import"])
    assert (job.state, job.upload.file_name) == (ImportState.RECEIVING, "mine.csv")
    assert (job.new_products_active, job.check_first, job.encoding) == (False, True, "cp1252")
    assert job.created_by == user

    first = patch(client, url, 0, DATA[:100])
    assert (first.status_code, first["Upload-Offset"]) == (204, "100")
    assert "Upload-Expires" in first
    head = client.head(url)
    assert (head.status_code, head["Upload-Offset"], head["Upload-Length"]) == (
        200,
        "100",
        str(len(DATA)),
    )
    assert head["Cache-Control"] == "no-store"
    last = patch(client, url, 100, DATA[100:])
    assert last["Upload-Offset"] == str(len(DATA))
    assert stored(url) == DATA
    assert run(job).state == ImportState.READY


def test_a_wrong_offset_is_a_conflict_that_stores_nothing(client):
    url = create(client)["Location"]
    patch(client, url, 0, DATA[:100])

    for offset in (0, 99, 101):
        response = patch(client, url, offset, DATA[100:200])
        assert response.status_code == 409
        assert "at byte 100" in error(response)
    assert stored(url) == DATA[:100]


def test_a_request_that_was_overtaken_stores_nothing_more(client):
    """A cut request may still be drained when its client asks for the offset and goes on."""
    url = create(client)["Location"]
    upload_id = url.rstrip("/").rsplit("/", 1)[1]
    old = uploads.append(uploads.take_turn(upload_id), DATA[:100])
    assert patch(client, url, 0, DATA).status_code == 409  # takes no turn away
    old = uploads.append(old, DATA[100:200])

    assert client.head(url)["Upload-Offset"] == "200"

    with pytest.raises(uploads.OffsetConflict):
        uploads.append(old, DATA[200:300])
    assert patch(client, url, 200, DATA[200:])["Upload-Offset"] == str(len(DATA))
    assert stored(url) == DATA


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "md5"])
def test_a_matching_checksum_is_accepted(client, algorithm):
    url = create(client)["Location"]
    digest = base64.b64encode(hashlib.new(algorithm, DATA).digest()).decode()

    response = patch(client, url, 0, DATA, **{"Upload-Checksum": f"{algorithm} {digest}"})

    assert response.status_code == 204
    assert stored(url) == DATA


def test_a_wrong_checksum_keeps_none_of_the_bytes(client):
    url = create(client)["Location"]
    digest = base64.b64encode(hashlib.sha1(b"other").digest()).decode()

    response = patch(client, url, 0, DATA, **{"Upload-Checksum": f"sha1 {digest}"})

    assert response.status_code == 460
    assert client.head(url)["Upload-Offset"] == "0"
    assert patch(client, url, 0, DATA, **{"Upload-Checksum": "crc32 x"}).status_code == 400


def test_more_bytes_than_announced_or_allowed_are_refused(client, settings):
    url = create(client, size=100)["Location"]
    response = patch(client, url, 0, DATA)
    assert response.status_code == 413
    assert "announced end" in error(response)
    assert stored(url) == b""

    settings.UPLOAD_CHECKED_MAX_BYTES = 50
    assert patch(client, url, 0, DATA[:60], **{"Upload-Checksum": "sha1 x"}).status_code == 413

    settings.UPLOAD_MAX_BYTES = 99
    response = create(client, size=100)
    assert response.status_code == 413
    assert "at most 99" in error(response)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upload-Length": "-1"}, 400),
        ({"Upload-Length": "many"}, 400),
        ({"Upload-Length": "9" * 30}, 400),
        ({}, 400),
        ({"Upload-Defer-Length": "1"}, 400),
        ({"Upload-Length": "5", "Upload-Metadata": "filename not-base64!"}, 400),
        ({"Upload-Length": "5", "Upload-Metadata": metadata(encoding="utf-7")}, 400),
        ({"Upload-Length": "5", "Tus-Resumable": "0.2.2"}, 412),
    ],
)
def test_a_malformed_creation_says_what_is_wrong(client, headers, status):
    response = client.post("/api/uploads/", headers=headers)

    assert response.status_code == status
    assert error(response)
    assert Upload.objects.count() == 0


@pytest.mark.parametrize("method", ["PUT", "TRACE"])
def test_a_method_that_is_not_offered_is_told_so_whatever_the_version(user, method):
    plain = Client()
    plain.force_login(user)
    assert plain.generic(method, "/api/uploads/").status_code == 405
    assert plain.generic(method, f"/api/uploads/{uuid.uuid4()}/").status_code == 405


def test_another_content_type_is_refused(client):
    url = create(client)["Location"]

    response = client.patch(
        url, DATA, content_type="application/json", headers={"Upload-Offset": "0"}
    )

    assert response.status_code == 415


def test_an_upload_is_found_by_its_fingerprint_until_it_is_complete(client):
    url = create(client, fingerprint="p.csv|1|2|abc", encoding="cp1252")["Location"]
    patch(client, url, 0, DATA[:10])

    found = client.get("/api/uploads/", {"fingerprint": "p.csv|1|2|abc"}).json()
    assert [(upload["url"], upload["offset"]) for upload in found] == [(url, 10)]
    assert found[0]["encoding"] == "cp1252"
    assert client.get("/api/uploads/", {"fingerprint": "other"}).json() == []

    patch(client, url, 10, DATA[10:])
    assert client.get("/api/uploads/", {"fingerprint": "p.csv|1|2|abc"}).json() == []


def test_termination_cancels_the_import_and_frees_the_bytes(client):
    created = create(client)
    url = created["Location"]
    patch(client, url, 0, DATA[:100])

    assert client.delete(url).status_code == 204

    assert stored(url) == b""
    assert client.head(url).status_code == 410
    assert patch(client, url, 100, DATA[100:]).status_code == 410
    job = run(Import.objects.get(pk=created["Stockroom-Import"]))
    assert job.state == ImportState.CANCELLED


def test_uploads_belong_to_their_owner(client, django_user_model):
    url = create(client)["Location"]
    other = Client(headers={"Tus-Resumable": "1.0.0"})
    other.force_login(django_user_model.objects.create_user("eve"))

    assert other.head(url).status_code == 404
    assert patch(other, url, 0, DATA).status_code == 404
    assert other.delete(url).status_code == 404


def test_nothing_answers_without_an_account(db):
    stranger = Client(headers={"Tus-Resumable": "1.0.0"})

    assert create(stranger).status_code == 401


def test_an_empty_file_fails_with_words(client):
    job = Import.objects.get(pk=create(client, size=0)["Stockroom-Import"])

    job = run(job)

    assert job.state == ImportState.FAILED
    assert "empty" in job.error


def test_a_finished_upload_still_tells_its_offset(client):
    """Whoever lost the answer to the last PATCH asks for it, maybe after the import's end."""
    created = create(client)
    url = created["Location"]
    patch(client, url, 0, DATA)
    assert run(Import.objects.get(pk=created["Stockroom-Import"])).state == ImportState.DONE

    for _ in range(2):
        head = client.head(url)
        assert (head.status_code, head["Upload-Offset"]) == (200, str(len(DATA)))
        assert client.delete(url).status_code == 204


def test_the_sender_is_told_when_the_import_is_cancelled(client):
    created = create(client)
    url = created["Location"]
    patch(client, url, 0, DATA[:100])
    job = Import.objects.get(pk=created["Stockroom-Import"])
    pipeline.cancel(job.pk)
    assert run(job).state == ImportState.CANCELLED

    assert patch(client, url, 100, DATA[100:]).status_code == 410
    assert stored(url) == b""


@pytest.mark.parametrize("value", ["a\0b", "x" * 9_000])
def test_metadata_that_can_not_be_kept_is_refused(client, value):
    assert create(client, filename=value).status_code == 400
    assert client.get("/api/uploads/", {"fingerprint": "\0"}).status_code == 400
    assert client.get("/api/uploads/", {"fingerprint": "x"}).json() == []


@pytest.mark.parametrize(
    "options", [{"new_products": "maybe"}, {"check_first": "perhaps"}, {"encoding": "utf-7"}]
)
def test_an_option_that_does_not_exist_is_refused(client, options):
    response = create(client, **options)
    assert response.status_code == 400
    assert list(response.json()["error"]["fields"]) == ["Upload-Metadata"]
    assert not Import.objects.exists()

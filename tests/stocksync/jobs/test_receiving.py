"""Forms with a file of events, stored while they arrive."""

import io

import pytest
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import RequestFactory
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from config import asgi
from config.accounts.permissions import requires
from stocksync.jobs import files, service
from stocksync.jobs.receiving import TooLarge, takes_events, taking
from stocksync.models import FileBlock, StoredFile, SyncJob

from .expected import sample

pytestmark = pytest.mark.django_db

FILE = sample(300_000, 300)
TOKEN = "a" * 32


def form(data: bytes = FILE, **fields: str) -> dict:
    return {**fields, "file": SimpleUploadedFile("events.txt", data)}


def post(user, fields: dict, **options):
    request = RequestFactory(enforce_csrf_checks=True).post("/stocksync/new/", fields, **options)
    request._dont_enforce_csrf_checks = False
    request.user = user
    request.COOKIES["csrftoken"] = TOKEN
    return request


@requires("stocksync:write")
@takes_events
def page(request):
    """As the page's view does it."""
    if request.events.too_large:
        return HttpResponse("too large", status=413)
    if request.events.stored is None:
        return HttpResponse("no file", status=400)
    job = service.begin(request.user, request.events.stored, request.POST.get("clock", "tree"))
    return HttpResponse(f"{job.pk}")


def nothing_is_left() -> bool:
    return not StoredFile.objects.exists() and not FileBlock.objects.exists()


def test_the_file_is_stored_while_it_comes(user, settings):
    settings.UPLOAD_BLOCK_BYTES = 50_000
    user.role = "editor"
    response = page(post(user, form(csrfmiddlewaretoken=TOKEN, clock="global")))

    job = SyncJob.objects.get(pk=response.content)
    assert (job.clock, job.created_by, job.events.name) == ("global", user, "events.txt")
    assert b"".join(files.pieces(job.events_id)) == FILE
    assert job.events.blocks.count() == 2


@pytest.mark.parametrize("fields", [{}, {"csrfmiddlewaretoken": "b" * 32}])
def test_a_forged_form_leaves_nothing(user, fields):
    user.role = "editor"
    assert page(post(user, form(**fields))).status_code == 403
    assert nothing_is_left()


def test_who_may_not_write_is_refused_before_anything_is_read(user):
    user.role = "viewer"
    request = post(user, form(csrfmiddlewaretoken=TOKEN))
    with pytest.raises(PermissionDenied):
        page(request)
    assert not hasattr(request, "_files")
    assert nothing_is_left()


@pytest.mark.parametrize("fields", [{}, {"csrfmiddlewaretoken": TOKEN}])
def test_too_large_a_file_leaves_nothing(user, settings, fields):
    settings.STOCKSYNC_MAX_BYTES = len(FILE) - 1
    settings.UPLOAD_BLOCK_BYTES = 50_000
    user.role = "editor"
    assert page(post(user, form(**fields))).status_code == 413
    assert nothing_is_left()

    settings.STOCKSYNC_MAX_BYTES = len(FILE)
    assert page(post(user, form(csrfmiddlewaretoken=TOKEN))).status_code == 200


def test_a_form_without_a_file_leaves_nothing(user):
    user.role = "editor"
    assert page(post(user, {"csrfmiddlewaretoken": TOKEN})).status_code == 400
    assert page(post(user, {"csrfmiddlewaretoken": TOKEN, "file": "text"})).status_code == 400
    other = {"csrfmiddlewaretoken": TOKEN, "other": SimpleUploadedFile("x", FILE)}
    assert page(post(user, other)).status_code == 400
    assert nothing_is_left()


def test_of_two_files_the_first_counts(user):
    user.role = "editor"
    two = [SimpleUploadedFile("one", b"\n"), SimpleUploadedFile("two", FILE)]
    response = page(post(user, {"csrfmiddlewaretoken": TOKEN, "file": two}))
    assert SyncJob.objects.get(pk=response.content).events.name == "one"
    assert not StoredFile.objects.filter(name="two").exists()


def test_another_file_behind_it_does_no_harm(user):
    user.role = "editor"
    fields = {**form(csrfmiddlewaretoken=TOKEN), "other": SimpleUploadedFile("two", FILE)}
    response = page(post(user, fields))
    assert b"".join(files.pieces(SyncJob.objects.get(pk=response.content).events_id)) == FILE


@pytest.mark.parametrize("kept", [1_000, 150_000, 299_000])
def test_a_cut_form_leaves_nothing(user, settings, kept):
    settings.UPLOAD_BLOCK_BYTES = 50_000
    user.role = "editor"
    body = encode_multipart(BOUNDARY, form(csrfmiddlewaretoken=TOKEN))
    request = post(user, {})
    environ = {
        **request.environ,
        "CONTENT_TYPE": MULTIPART_CONTENT,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body[:kept]),
    }
    cut = type(request)(environ)
    cut._dont_enforce_csrf_checks = False
    cut.user = user
    cut.COOKIES["csrftoken"] = TOKEN

    assert page(cut).status_code in (400, 403)

    assert nothing_is_left()


def test_a_form_that_the_view_refuses_leaves_nothing(user):
    request = post(user, form(csrfmiddlewaretoken=TOKEN))
    with pytest.raises(ValueError, match="sundial"), taking(request) as handler:
        assert request.FILES["file"].stored == handler.stored
        service.begin(user, handler.stored, "sundial")
    assert nothing_is_left()


def test_reading_the_form_tells_of_too_large_a_file(user, settings):
    settings.STOCKSYNC_MAX_BYTES = 10
    request = post(user, form())
    with pytest.raises(TooLarge, match="at most 10 bytes"), taking(request):
        _ = request.FILES
    assert nothing_is_left()


@pytest.mark.parametrize(
    ("asked", "limit"),
    [
        ("POST /api/stocksync/jobs/", "STOCKSYNC_MAX_BYTES"),
        ("POST /stocksync/new/", "STOCKSYNC_MAX_BYTES"),
        ("POST /api/stocksync/jobs/7/repeat/", None),
        ("POST /stocksync/", None),
        ("POST /api/imports/", "UPLOAD_MAX_BYTES"),
        ("POST /api/imports/7/repeat/", None),
        ("PATCH /api/uploads/7/", "UPLOAD_MAX_BYTES"),
        ("POST /api/uploads/7/", None),
        ("POST /api/uploads/", None),
        ("PATCH /other/api/uploads/7/", None),
    ],
)
def test_only_where_files_come_bodies_may_be_large(asked, limit):
    limits = [name for where, name in asgi.UPLOADS.items() if where.fullmatch(asked)]
    assert limits == ([limit] if limit else [])

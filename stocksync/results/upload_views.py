"""The page that takes a file of events and begins a job: a plain form, or from its own script."""

from http import HTTPStatus

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from config import api_errors
from config.accounts.permissions import requires
from stocksync.jobs import service
from stocksync.jobs.receiving import takes_events
from stocksync.models import Clock

from .job_words import limit

NO_FILE = "Choose the file of events first."
TWO_FILES = "Choose one file: each is a job of its own, and none was taken."
EMPTY = "This file is empty. Choose one with an event in each line."
NO_CLOCK = "Choose one of the two clocks."


@require_http_methods(["GET", "HEAD", "POST"])
@requires("stocksync:write")
@takes_events
def new_job(request: HttpRequest) -> HttpResponse:
    """Choose a file and a clock; once the file is here, its job's page."""
    if request.method != "POST":
        return _form(request)
    events = request.events  # type: ignore[attr-defined]
    clock = request.POST.get("clock", Clock.TREE.value)  # by now the whole form is read
    if events.too_large:
        most = limit(settings.STOCKSYNC_MAX_BYTES)
        wrong = f"This file is too large: at most {most} are taken."
        return _refused(request, wrong, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    if events.stored is None:
        return _refused(request, NO_FILE)
    if events.left_out:
        return _refused(request, TWO_FILES)
    if not events.stored.size_bytes:
        return _refused(request, EMPTY)
    if clock not in Clock:
        return _refused(request, NO_CLOCK)
    job = service.begin(request.user, events.stored, clock)
    if _from_script(request):
        return JsonResponse({"url": reverse("stocksync:job", args=[job.pk])})
    return redirect("stocksync:job", pk=job.pk)


def _refused(
    request: HttpRequest, wrong: str, status: HTTPStatus = HTTPStatus.UNPROCESSABLE_ENTITY
) -> HttpResponse:
    if _from_script(request):
        return api_errors.response(status, wrong)
    return _form(request, wrong, status)


def _form(
    request: HttpRequest, wrong: str = "", status: HTTPStatus = HTTPStatus.OK
) -> HttpResponse:
    too_large = status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE  # nothing of the form was read
    context = {
        "wrong": wrong,
        "clock": "tree" if too_large else request.POST.get("clock", "tree"),
        "most_bytes": settings.STOCKSYNC_MAX_BYTES,
    }
    return render(request, "stocksync/new.html", context, status=status)


def _from_script(request: HttpRequest) -> bool:
    return request.headers.get("Accept", "") == "application/json"

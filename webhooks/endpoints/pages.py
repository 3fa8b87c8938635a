"""What the pages of an endpoint share."""

from http import HTTPStatus

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from webhooks.deliveries import words
from webhooks.models import Endpoint

PAGE = ["GET", "HEAD", "POST"]
NAME_CHARACTERS = 60


def short(endpoint: Endpoint) -> str:
    """What a message calls it: its description, else where it is."""
    name = words.name(endpoint)
    return name if len(name) <= NAME_CHARACTERS else f"{name[: NAME_CHARACTERS - 1]}…"


def gone(request: HttpRequest, pk: int) -> HttpResponse:
    """Say that the endpoint was deleted. Raises Http404 where there never was one."""
    endpoint = Endpoint.objects.filter(pk=pk, for_callbacks=False).exclude(deleted_at=None).first()
    if endpoint is None:
        raise Http404
    context = {"endpoint": endpoint, "keep_days": days(settings.EVENT_KEEP_DAYS)}
    return render(request, "webhooks/endpoint_gone.html", context, status=HTTPStatus.NOT_FOUND)


def days(number: float) -> str:
    """ "30 days"."""
    return f"{number:g} day{'' if number == 1 else 's'}"

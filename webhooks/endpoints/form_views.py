"""Pages that add and edit an endpoint."""

import hashlib
import json
import uuid
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from config.accounts.actors import Actor, actor_of
from config.accounts.permissions import requires
from config.idempotency.models import GivenAnswer
from webhooks.engine import addresses
from webhooks.event_types import BY_NAME, EVENT_TYPES
from webhooks.models import Endpoint

from . import service, shown_once
from .fields import EndpointValues
from .forms import EndpointForm
from .pages import PAGE, gone, short

ONCE = "webhooks.create-page"
ONCE_CHARACTERS = 64


@require_http_methods(PAGE)
@requires("webhooks:write")
def new_endpoint(request: HttpRequest) -> HttpResponse:
    """Add an endpoint; its page then shows the secret. Sent twice with the same key it is one."""
    if request.method != "POST":
        chosen = request.GET.getlist("event")
        return _show(request, EndpointForm.blank(chosen), once=uuid.uuid4().hex)
    form = EndpointForm.sent(request.POST)
    once = request.POST.get("once", "")[:ONCE_CHARACTERS] or uuid.uuid4().hex
    values = form.clean()
    if values is not None:
        try:
            made = _create_once(request, actor_of(request), values, once)
        except service.TooMany as error:
            form.problem = str(error)
        else:
            _warn_of_name(request, values["url"])
            return redirect("webhooks:endpoint", made)
    return _show(request, form, once=once, status=HTTPStatus.UNPROCESSABLE_ENTITY)


def _create_once(request: HttpRequest, actor: Actor, values: EndpointValues, once: str) -> int:
    """The id of the endpoint made with the form's key, now or when the form was sent before.

    The key of a form that is sent with other values (Back, then another endpoint) is no key.
    """
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    with transaction.atomic():
        answer, first = GivenAnswer.objects.get_or_create(
            owner=actor.user, operation=ONCE, key=once, defaults={"request_digest": digest}
        )
        if not first and answer.request_digest == digest and answer.body is not None:
            return int(answer.body["id"])
        endpoint, secret = service.create(actor, values)
        shown_once.keep(request, endpoint.pk, secret)
        if first:
            answer.status, answer.body = HTTPStatus.CREATED, {"id": endpoint.pk}
            answer.save(update_fields=["status", "body"])
    return int(endpoint.pk)


@require_http_methods(PAGE)
@requires("webhooks:write")
def edit_endpoint(request: HttpRequest, pk: int) -> HttpResponse:
    """Change an endpoint. What somebody else saved meanwhile is shown before it is overwritten."""
    found = service.live().filter(pk=pk).first()
    if found is None:
        return gone(request, pk)
    if request.method != "POST":
        return _show(request, EndpointForm.of(found), found)
    form = EndpointForm.sent(request.POST)
    if "seen" not in request.POST:
        form.seen = EndpointForm.of(found).values
    return _save(request, form, found, request.POST.get("version", ""))


def _save(request: HttpRequest, form: EndpointForm, found: Endpoint, seen: str) -> HttpResponse:
    """Save the changes if the endpoint's version is still the one that was `seen`."""
    changes = form.changes()
    if changes is None:
        return _show(request, form, found, seen, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        saved = service.update(actor_of(request), found.pk, changes, version=seen)
    except Endpoint.DoesNotExist:
        return gone(request, found.pk)
    except service.Stale as stale:
        return _stale(request, form, stale.current)
    messages.success(request, f"{short(saved)} is saved.")
    if "url" in changes:
        _warn_of_name(request, saved.url)
    return redirect("webhooks:endpoint", saved.pk)


def _stale(request: HttpRequest, form: EndpointForm, current: Endpoint) -> HttpResponse:
    """Show what somebody else saved meanwhile; saving again is the answer to it."""
    form = form.rebased(current)
    if not form.overlaps and (not form.theirs or not form.changes()):
        # It is as this user has seen it, or as they want it: by them, or by this form sent twice.
        return _save(request, form, current, str(current.version))
    return _show(request, form, current, status=HTTPStatus.CONFLICT)


def _show(
    request: HttpRequest,
    form: EndpointForm,
    endpoint: Endpoint | None = None,
    version: str = "",
    *,
    once: str = "",
    status: int = HTTPStatus.OK,
) -> HttpResponse:
    context: dict[str, Any] = {
        "form": form,
        "endpoint": endpoint,
        "version": version or (str(endpoint.version) if endpoint is not None else ""),
        "once": once,
        "event_types": [each for name, each in EVENT_TYPES.items() if name not in BY_NAME],
        "by_name": [EVENT_TYPES[name] for name in sorted(BY_NAME)],
        "url_help": _url_help(),
        "url_characters": Endpoint.URL_CHARACTERS,
        "description_characters": Endpoint.DESCRIPTION_CHARACTERS,
    }
    return render(request, "webhooks/endpoint_form.html", context, status=status)


def _warn_of_name(request: HttpRequest, url: str) -> None:
    """A typo in a host is the most frequent of all."""
    warning = addresses.check_at_save(url, addresses.Policy.from_settings())
    if warning:
        messages.warning(request, warning)


def _url_help() -> str:
    """Which addresses are taken."""
    scheme = "http or https" if settings.WEBHOOK_ALLOW_HTTP else "https"
    ports = [str(port) for port in settings.WEBHOOK_PORTS]
    most, last = ", ".join(ports[:-1]), ports[-1] if ports else ""
    at = f", at port {f'{most} or {last}' if most else last}" if ports else ""
    return f"A public {scheme} address{at}. Redirects are not followed."

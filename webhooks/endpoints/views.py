"""Pages of endpoints: the list, one of them, and what can be done with it."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.db.models.functions import Now
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from config.accounts.actors import actor_of
from config.accounts.permissions import requires
from webhooks.deliveries import words
from webhooks.deliveries.backlog import backlog
from webhooks.event_types import EVENT_TYPES
from webhooks.models import Delivery, DeliveryState, Endpoint, Secret

from . import conditions, service, shown_once
from .form_views import edit_endpoint, new_endpoint
from .pages import PAGE, days, gone, short
from .statistics import Glance, at_a_glance

__all__ = [
    "delete_endpoint",
    "edit_endpoint",
    "endpoint",
    "endpoint_list",
    "new_endpoint",
    "rotate_secret",
    "send_test",
    "set_state",
    "test_result",
]

MOST_NOTICES = 3
LATEST_DELIVERIES = 10
ENDED = (DeliveryState.SUCCEEDED, DeliveryState.FAILED)
QUEUE_SECONDS = 5  # that a test may take beside its attempt before the page wonders


@require_safe
def endpoint_list(request: HttpRequest) -> HttpResponse:
    """All endpoints, the newest first; for htmx only what changes while one looks."""
    endpoints = list(service.live().order_by("-pk"))
    now, glances = timezone.now(), at_a_glance([each.pk for each in endpoints])
    given_up = [each for each in endpoints if conditions.given_up(each)]
    context = {
        "rows": [
            {
                "endpoint": each,
                "glance": glances[each.pk],
                "condition": conditions.condition(each, glances[each.pk], now),
            }
            for each in endpoints
        ],
        "behind": backlog(),
        "given_up": given_up[:MOST_NOTICES],
        "more_given_up": len(given_up) > MOST_NOTICES,
    }
    part = "_part" if request.htmx else ""
    response = render(request, f"webhooks/endpoint_list{part}.html", context)
    patch_vary_headers(response, ["HX-Request"])
    return response


@require_safe
def endpoint(request: HttpRequest, pk: int) -> HttpResponse:
    """One endpoint: its health, settings and latest deliveries. Shows a new secret, once."""
    found = service.live().select_related("created_by").filter(pk=pk).first()
    if found is None:
        return gone(request, pk)
    now, glance = timezone.now(), _glance(found)
    context: dict[str, Any] = {
        "endpoint": found,
        "glance": glance,
        "condition": conditions.condition(found, glance, now),
        "given_up": conditions.given_up(found),
        "paused": conditions.paused(found, glance, now),
        "disabled_then": conditions.disabled_then(
            found, glance, timedelta(hours=settings.WEBHOOK_DISABLE_AFTER_HOURS)
        ),
        "deliveries": _latest_deliveries(found, now),
        "part": bool(request.htmx),
    }
    if not request.htmx:
        types = EVENT_TYPES.values()
        wanted = [each.name for each in types if each.name in found.event_types]
        context |= {
            "present_secret": _present_secret(pk),
            "old_until": service.old_secret_expires_at(pk, now),
            "secret": shown_once.take(request, pk) if request.method == "GET" else "",
            "event_types": types,
            "test_first": wanted[0] if wanted else "",
        }
    template = "endpoint_live_part" if request.htmx else "endpoint"
    response = render(request, f"webhooks/{template}.html", context)
    patch_vary_headers(response, ["HX-Request"])
    return response


@require_POST
@requires("webhooks:write")
def set_state(request: HttpRequest, pk: int) -> HttpResponse:
    """Enable, disable or end a pause, by the button that was pressed; leads back to where it is."""
    enable = request.POST.get("action") == "enable"
    try:
        if request.POST.get("action") == "resume":
            return _resume(request, pk)
        changed = (service.enable if enable else service.disable)(actor_of(request), pk)
    except Endpoint.DoesNotExist:
        return gone(request, pk)
    text = f"{short(changed)} is {'enabled' if enable else 'disabled'}."
    if _glance(changed).waiting:
        text += " What waits goes out now." if enable else " What waits is kept."
    messages.success(request, text)
    if request.POST.get("next") == "list":
        return redirect("webhooks:endpoints")
    return redirect("webhooks:endpoint", pk)


def _resume(request: HttpRequest, pk: int) -> HttpResponse:
    """Raises Endpoint.DoesNotExist."""
    resumed = service.resume(actor_of(request), pk)
    due = resumed.deliveries.filter(state=DeliveryState.PENDING, next_attempt_at__lte=Now())
    if not resumed.enabled:
        text = "It is disabled: nothing is sent until it is enabled."
    elif due.exists():
        text = "What waits is tried now. If that fails, it is paused again."
    else:
        text = "Nothing is due now: the next attempt comes at its time."
    messages.success(request, f"The pause of {short(resumed)} is over. {text}")
    return redirect("webhooks:endpoint", pk)


@require_http_methods(PAGE)
@requires("webhooks:write")
def delete_endpoint(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask, saying what is lost; then delete."""
    found = service.live().filter(pk=pk).first()
    if found is None:
        return gone(request, pk)
    if request.method != "POST":
        kept = days(settings.EVENT_KEEP_DAYS)
        context = {"endpoint": found, "glance": _glance(found), "keep_days": kept}
        return render(request, "webhooks/endpoint_delete.html", context)
    try:
        service.delete(actor_of(request), pk)
    except Endpoint.DoesNotExist:
        return gone(request, pk)
    messages.success(request, f"{short(found)} is deleted.")
    return redirect("webhooks:endpoints")


@require_http_methods(PAGE)
@requires("webhooks:write")
def rotate_secret(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask, saying what happens; then make a new secret, which the endpoint's page shows."""
    found = service.live().filter(pk=pk).first()
    if found is None:
        return gone(request, pk)
    present = _present_secret(pk)
    if request.method != "POST":
        hours = settings.WEBHOOK_ROTATION_HOURS
        context = {
            "endpoint": found,
            "present_secret": present,
            "rotation_for": f"{hours:g} hour{'' if hours == 1 else 's'}" if hours else "",
            "old_until": service.old_secret_expires_at(pk, timezone.now()),
        }
        return render(request, "webhooks/endpoint_rotate.html", context)
    try:
        with transaction.atomic():
            # Not twice by a form that is sent twice: the second waits here for the first.
            Endpoint.objects.select_for_update(no_key=True).get(pk=pk)
            now_present = _present_secret(pk)
            if now_present is None or str(now_present.pk) == request.POST.get("present", ""):
                shown_once.keep(request, pk, service.rotate(actor_of(request), pk))
                messages.success(request, "The secret is rotated.")
            else:
                text = "The secret was rotated already. Whoever did it saw the new one."
                messages.warning(request, text)
    except Endpoint.DoesNotExist:
        return gone(request, pk)
    return redirect("webhooks:endpoint", pk)


@require_POST
@requires("webhooks:write")
def send_test(request: HttpRequest, pk: int) -> HttpResponse:
    """Have a sample sent; for htmx answers the part that waits for how it goes."""
    try:
        delivery = service.send_test(actor_of(request), pk, request.POST.get("event_type", ""))
    except Endpoint.DoesNotExist:
        return gone(request, pk)
    except service.FieldErrors as error:
        messages.error(request, " ".join(error.fields["event_type"]))
        return redirect("webhooks:endpoint", pk)
    if request.htmx:
        return _show_test(request, delivery)
    return redirect("webhooks:delivery", delivery.pk)


@require_safe
def test_result(request: HttpRequest, pk: int, delivery_pk: int) -> HttpResponse:
    """How a test goes, asked for again and again until it has ended."""
    tests = Delivery.objects.filter(endpoint=pk, test=True).select_related("endpoint")
    delivery = tests.filter(pk=delivery_pk).first()
    if delivery is None:
        raise Http404
    if not request.htmx:
        return redirect("webhooks:delivery", delivery_pk)
    return _show_test(request, delivery)


def _show_test(request: HttpRequest, delivery: Delivery) -> HttpResponse:
    waited = timezone.now() - delivery.created_at
    context = {
        "endpoint": delivery.endpoint,
        "delivery": delivery,
        "attempt": delivery.attempts.order_by("-number").first(),
        "ended": delivery.state in ENDED,
        "late": waited > timedelta(seconds=settings.WEBHOOK_TIMEOUT_SECONDS + QUEUE_SECONDS),
    }
    return render(request, "webhooks/endpoint_test_result.html", context, status=HTTPStatus.OK)


def _glance(found: Endpoint) -> Glance:
    return at_a_glance([found.pk])[found.pk]


def _present_secret(pk: int) -> Secret | None:
    return Secret.objects.filter(endpoint=pk, expires_at=None).first()


def _latest_deliveries(found: Endpoint, now: datetime) -> list[dict[str, Any]]:
    """The newest ones with what is said of each."""
    newest = Delivery.objects.filter(endpoint=found).select_related("event", "endpoint__health")
    return [
        {
            "delivery": each,
            "subject": words.subject(each.event.data),
            "standing": words.standing(each, now),
            "answer": words.answer(each.last_status_code, each.last_error),
        }
        for each in newest.order_by("-pk")[:LATEST_DELIVERIES]
    ]

"""Pages of deliveries: the log, one delivery with its attempts, retry, replay of what failed."""

from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.db.models import prefetch_related_objects
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from config.accounts.actors import actor_of
from config.accounts.permissions import requires
from config.listing import row_id
from webhooks.event_types import LOGGED
from webhooks.models import Delivery, DeliveryState, Endpoint, Event

from . import log, periods, search, words
from . import replay as again
from .backlog import backlog
from .periods import Since

PAGE_ROWS = 50
MOST_ATTEMPTS = 50  # shown of one delivery; each may hold a few KB of an answer
UNENDED = (DeliveryState.PENDING, DeliveryState.SENDING)
SOON_SECONDS = 60  # an attempt this near is waited for


@require_safe
def delivery_list(request: HttpRequest) -> HttpResponse:
    """The log by `q` (SKU or webhook-id), the other filters and a page; for htmx only its rows."""
    named = Endpoint.objects.filter(for_callbacks=False)
    endpoints = list(named.order_by("description", "url", "pk"))
    since = Since.from_query(request.GET, timezone.now())
    filter, query = _filter(request.GET, since, {each.pk for each in endpoints})
    before, after = row_id(request, "before"), row_id(request, "after")
    page = log.find(filter, before=before, after=after, size=PAGE_ROWS)
    asked_for = before is not None or after is not None
    if asked_for and not page.rows and page.newer is None and page.older is None:
        page = log.find(filter, size=PAGE_ROWS)
    _add_what_rows_need(page.rows)
    nothing = not page.rows and page.newer is None and page.older is None
    address = reverse("webhooks:deliveries")
    context = {
        "page": page,
        "filter": filter,
        "text": query.get("q", ""),
        "events_at_most": search.EVENTS_AT_MOST,
        "since": since,
        "periods": periods.NAMES,
        "states": DeliveryState.choices,
        "event_types": list(LOGGED),
        "endpoints": [each for each in endpoints if each.deleted_at is None],
        "deleted_endpoints": [each for each in endpoints if each.deleted_at is not None],
        "filtered": bool(query),
        "nothing": nothing,
        "nothing_yet": nothing and not (query and Delivery.objects.exists()),
        "behind": backlog(),
        "keep_days": settings.EVENT_KEEP_DAYS,
        "newer": page.newer and f"{address}?{urlencode(query | {'after': str(page.newer)})}",
        "older": page.older and f"{address}?{urlencode(query | {'before': str(page.older)})}",
    }
    part = "_part" if request.htmx else ""
    response = render(request, f"webhooks/deliveries{part}.html", context)
    patch_vary_headers(response, ["HX-Request"])
    return response


def _add_what_rows_need(rows: list[Delivery]) -> None:
    """Their endpoints' health, and `subject`: of the events' data only what it takes."""
    prefetch_related_objects(rows, "endpoint__health")
    events = Event.objects.filter(pk__in={row.event_id for row in rows})
    found = events.values_list("pk", "data__product__sku", "data__count", "data__order_id")
    data = {
        pk: {"product": {"sku": sku}, "count": count, "order_id": order_id}
        for pk, sku, count, order_id in found
    }
    for row in rows:
        row.subject = words.subject(data.get(row.event_id))


def _filter(
    given: QueryDict, since: Since, endpoints: set[int]
) -> tuple[log.Filter, dict[str, str]]:
    """What is asked for, and the same as an address has it. What there is not is ignored."""
    endpoint = _endpoint(given, endpoints)
    event_type, state = given.get("event_type", ""), given.get("state", "")
    text = given.get("q", "").replace("\0", "").strip()
    event_type = event_type if event_type in LOGGED else ""
    state = state if state in DeliveryState else ""
    query = {
        "q": text,
        "endpoint": "" if endpoint is None else str(endpoint),
        "event_type": event_type,
        "state": state,
        "since": since.parameter,
    }
    filter = log.Filter(endpoint, event_type, state, since.at, **log.looked_for(text))
    return filter, {name: value for name, value in query.items() if value}


def _endpoint(given: QueryDict, known: set[int]) -> int | None:
    text = given.get("endpoint", "")
    found = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
    return found if found in known else None


@require_safe
def delivery(request: HttpRequest, pk: int) -> HttpResponse:
    """One delivery: how it stands, what is sent, each attempt; for htmx only what changes."""
    found = get_object_or_404(Delivery.objects.select_related("event", "endpoint__health"), pk=pk)
    attempts = list(found.attempts.order_by("-number", "-pk")[:MOST_ATTEMPTS])
    now = timezone.now()
    standing = words.standing(found, now)
    far = standing.at is not None and (standing.at - now).total_seconds() > SOON_SECONDS
    context = {
        "delivery": found,
        "event": found.event,
        "endpoint": found.endpoint,
        "standing": standing,
        "subject": words.subject(found.event.data),
        "attempts": attempts,
        # What no attempt tells: that its endpoint was deleted.
        "why": found.last_error if not attempts or attempts[0].error != found.last_error else "",
        "live": found.state in UNENDED,
        "far": far,
        "timeout_seconds": settings.WEBHOOK_TIMEOUT_SECONDS,
        "response_bytes": settings.WEBHOOK_RESPONSE_BYTES,
        "most_attempts": len(settings.WEBHOOK_RETRY_SECONDS) + 1,
    }
    part = "_part" if request.htmx else ""
    response = render(request, f"webhooks/delivery{part}.html", context)
    patch_vary_headers(response, ["HX-Request"])
    return response


@require_POST
@requires("webhooks:write")
def retry(request: HttpRequest, pk: int) -> HttpResponse:
    """Send it again at once."""
    found = get_object_or_404(Delivery.objects.select_related("endpoint"), pk=pk)
    try:
        again.retry(actor_of(request), pk)
    except again.InFlight:
        messages.info(request, "It is being sent at this moment. You see here how that ends.")
    except again.EndpointDeleted as error:
        messages.warning(request, str(error))
    else:
        messages.success(request, f"It is sent again to {words.receiver(found)}.")
    return redirect("webhooks:delivery", pk=pk)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("webhooks:write")
def replay(request: HttpRequest) -> HttpResponse:
    """Show how many failed deliveries would be sent again, then do it."""
    live = Endpoint.objects.filter(deleted_at=None, for_callbacks=False)
    endpoints = list(live.order_by("description", "url", "pk"))
    given = request.POST if request.method == "POST" else request.GET
    default = "24h" if given is request.GET else ""
    since = Since.from_query(given, timezone.now(), default)
    start = since.at or log.EARLIEST
    endpoint_id = _endpoint(given, {each.pk for each in endpoints})
    # What can't be read must not widen what was asked for.
    wrong = "since" not in given or bool(given["since"]) != bool(since.key)
    wrong |= bool(given.get("endpoint")) != (endpoint_id is not None)
    refused = request.method == "POST" and wrong
    endpoint = next((each for each in endpoints if each.pk == endpoint_id), None)
    if request.method == "POST" and not refused:
        _say(request, again.replay_failed(actor_of(request), start, endpoint_id), endpoint)
        query = None if endpoint_id is None else {"endpoint": endpoint_id}
        return redirect(reverse("webhooks:deliveries", query=query))
    context: dict[str, Any] = {
        "since": since,
        "periods": periods.NAMES,
        "endpoints": endpoints,
        "endpoint": endpoint,
        "count": again.count_failed(start, endpoint_id),
        "at_most": again.AT_MOST,
        "keep_days": settings.EVENT_KEEP_DAYS,
        "refused": refused,
    }
    status = HTTPStatus.UNPROCESSABLE_ENTITY if refused else HTTPStatus.OK
    part = "_part" if request.htmx else ""
    response = render(request, f"webhooks/replay{part}.html", context, status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response


def _say(request: HttpRequest, sent: int, endpoint: Endpoint | None) -> None:
    if not sent:
        messages.info(request, "Nothing is sent again: nothing failed in that time.")
        return
    what = "1 delivery is sent" if sent == 1 else f"{sent:,} deliveries are sent"
    waits = endpoint is not None and not endpoint.enabled
    when = " once the endpoint is enabled" if waits else ""
    more = " There are more: replay again." if sent >= again.AT_MOST else ""
    messages.success(request, f"{what} again{when}.{more}")

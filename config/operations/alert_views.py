"""The page of alerts: what is wrong now, and what was."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from config.listing import newest_first, row_id
from webhooks.event_types import BY_NAME
from webhooks.models import Endpoint

from . import words
from .models import Alert

OPEN_AT_MOST = 200  # shown
TAGS = {"critical": "bad", "warning": "warn"}


@dataclass(frozen=True)
class Line:
    """An alert on the page."""

    alert: Alert
    tag: str
    """CSS class of its severity's tag."""
    lasted: str
    """For how long it is or was there."""
    url: str
    """The page that shows more, "" where it is over: that page shows other things by now."""


@require_safe
def alerts_page(request: HttpRequest) -> HttpResponse:
    """Open alerts and the newest that are over, or a page of older ones. Anybody who is in."""
    told = Alert.objects.exclude(raised_at=None)
    over = told.exclude(resolved_at=None)
    before, after = row_id(request, "before"), row_id(request, "after")
    page = newest_first(over, before=before, after=after)
    if not page.rows:  # an address from before they were deleted
        page = newest_first(over)
    now = timezone.now()
    context = {
        "page": page,
        "over": [_line(alert, now) for alert in page.rows],
        "first": page.newer is None,
        "open": [],
        "heard": _heard(),
        "add_url": f"{reverse('webhooks:new')}?{urlencode([('event', one) for one in _types()])}",
        "after_seconds": settings.OPERATIONS_ALERT_AFTER_SECONDS,
        "keep_days": settings.ALERT_KEEP_DAYS,
    }
    if page.newer is None:
        # Worst first: "critical" stands before "warning" in the alphabet as well.
        found = told.filter(resolved_at=None).order_by("severity", "-pk")[: OPEN_AT_MOST + 1]
        lines = [_line(alert, now) for alert in found]
        context |= {"open": lines[:OPEN_AT_MOST], "more_open": len(lines) > OPEN_AT_MOST}
    return render(request, "operations/alerts.html", context)


def _line(alert: Alert, now: datetime) -> Line:
    is_over = alert.resolved_at is not None
    end = (alert.missing_since or alert.resolved_at) if is_over else now
    lasted = words.duration((end - alert.first_seen_at).total_seconds())
    return Line(alert, TAGS.get(alert.severity, ""), lasted, "" if is_over else alert.url)


def _heard() -> bool:
    """Whether any endpoint gets alerts."""
    live = Endpoint.objects.filter(enabled=True, deleted_at=None, for_callbacks=False)
    return live.filter(event_types__overlap=_types()).exists()


def _types() -> list[str]:
    return sorted(BY_NAME)

"""Pages of the ledger: balances with how it is doing, one provider, the rejects."""

import json
import tempfile
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_safe
from redis.exceptions import RedisError

from config.consumers import overview as consumers
from config.listing import row_id
from transactions import queue_depth

from . import chart, queries, words
from . import rejects as refused
from .overview import Books, Team, books, is_ready, team
from .queries import Balance, Provider
from .reading import Away, ask

CONSUMER = "ledger"
FIND_CHARACTERS = 64
SHOWN_PROVIDERS = 100
REJECTS = 25
DOWNLOAD_IN_MEMORY = 1024**2
SPANS = {  # of a curve: name, length, seconds between two points
    "hour": ("Last hour", timedelta(hours=1), 60),
    "day": ("24 hours", timedelta(days=1), 60),
    "week": ("7 days", timedelta(days=7), 600),
}
NO_PROVIDER = "There is no provider with this id."


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """Balances, lateness, and how the consumer is doing; their part alone for the script."""
    now = timezone.now()
    find = request.GET.get("find", "").replace("\0", "")[:FIND_CHARACTERS]
    context: dict[str, Any] = {
        "find": find,
        "team": team(),
        "depth": queue_depth.depth(settings.LEDGER_QUEUE),
    }
    try:
        found = ask(lambda cursor: books(cursor, now, find=find.strip(), size=SHOWN_PROVIDERS))
    except Away as error:
        context["away"] = str(error)
    else:
        context |= _shown(found, now)
        context["consumers"] = _consumers(context["team"], found)
    return _live(request, "overview", context)


@require_safe
def provider(request: HttpRequest, provider_id: int) -> HttpResponse:
    """One provider: its curve, and its balance at a minute."""
    now = timezone.now()
    span = request.GET.get("span", "")
    span = span if span in SPANS else "hour"
    given = request.GET.get("at", "").strip()
    at = instant(given)
    context: dict[str, Any] = {
        "id": provider_id,
        "span": span,
        "spans": {name: words for name, (words, _, _) in SPANS.items()},
        "given": given[:FIND_CHARACTERS],
        "at": at,
        "team": team(),
    }

    def look(cursor: Any) -> dict[str, Any]:
        return _one(cursor, provider_id, span, now, at)

    try:
        found = ask(look)
        if "none" in found:
            raise Http404(NO_PROVIDER)
        context |= found
    except Away as error:
        context["away"] = str(error)
    return _live(request, "provider", context)


@require_safe
def rejects(request: HttpRequest) -> HttpResponse:
    """Refused messages, the newest first."""
    reason = _reason(request)
    before = row_id(request, "before")
    context: dict[str, Any] = {
        "name": "Rejects",
        "reason": reason,
        "reasons": words.REASONS,
        "before": before,
    }

    def look(cursor: Any) -> dict[str, Any]:
        if "rejects" not in queries.ours(cursor):
            return {"missing": True}
        return {"page": refused.page(cursor, before, reason, REJECTS)}

    try:
        context |= ask(look)
    except Away as error:
        context["away"] = str(error)
    status = 503 if "away" in context else 200
    return render(request, "ledger/rejects.html", context, status=status)


@require_safe
def rejects_jsonl(request: HttpRequest) -> FileResponse | HttpResponse:
    """The newest rejects as a file of JSON lines."""
    reason = _reason(request)
    file = tempfile.SpooledTemporaryFile(max_size=DOWNLOAD_IN_MEMORY)  # noqa: SIM115
    try:
        if ask(lambda cursor: "rejects" in queries.ours(cursor)):
            file.writelines(refused.json_lines(reason))
    except Away as error:
        file.close()
        messages.error(request, f"The rejects can't be read just now: {error}")
        return redirect("transactions:ledger-rejects")
    file.seek(0)
    name = f"ledger-rejects-{reason}.jsonl" if reason else "ledger-rejects.jsonl"
    return FileResponse(
        file, as_attachment=True, filename=name, content_type="application/x-ndjson"
    )


def instant(text: str) -> datetime | None:
    """ISO 8601, in UTC where it says nothing else; None for what is no instant."""
    try:
        found = parse_datetime(text)
        if found is None:
            return None
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _reason(request: HttpRequest) -> str:
    reason = request.GET.get("reason", "")
    return reason if reason in words.REASONS else ""


def _shown(found: Books, now: datetime) -> dict[str, Any]:
    late = found.lateness(now)
    return {
        "books": found,
        "late": late,
        "rows": [
            {"provider": each, "spark": chart.spark(found.curves[each.id], now)}
            for each in found.rows
        ],
        "counted": queries.COUNTED,
        "late_points": json.dumps(late.points),
        "late_said": _said(late),
        **_reconciled(found),
        "spark_box": f"0 0 {chart.SPARK_WIDTH} {chart.SPARK_HEIGHT}",
    }


def _said(late: chart.Lateness) -> str:
    """The plot in words."""
    worst = f", {words.duration(late.worst)} late at worst" if late.worst is not None else ""
    return f"{late.written} of {late.known} minutes written{worst}, {len(late.wrong)} not"


def _reconciled(found: Books) -> dict[str, Any]:
    last = found.reconciliation
    if last is None:
        return {}
    return {"found": words.drift(last.drift), "drift": last.drifts and not last.repaired}


def _one(cursor: Any, number: int, span: str, now: datetime, at: datetime | None) -> dict[str, Any]:
    """What is known of a provider; "none" where that is nothing at all."""
    unready = is_ready(cursor)
    if unready or set(queries.OURS) != queries.ours(cursor):
        return {"unready": unready or "the consumer `ledger` has never run"}
    newest = queries.newest(cursor)
    found: list[Provider] = queries.providers(cursor, newest[0] if newest else None, only=number)
    last: Balance | None = queries.balance_at(cursor, number, now)
    if not found and last is None:
        return {"none": True}
    _, length, step = SPANS[span]
    balances = queries.curve(cursor, number, now - length, step)
    return {
        "provider": found[0] if found else None,
        "last": last,
        "minute": newest[0] if newest else None,
        **_curve(chart.curve(balances, step)),
        "then": queries.balance_at(cursor, number, at) if at else None,
    }


def _curve(curve: chart.Curve | None) -> dict[str, Any]:
    if curve is None:
        return {"curve": None}
    plot = curve.plot
    least, most, last = (words.amount(each) for each in (plot.least, plot.most, plot.now))
    return {
        "curve": curve,
        "curve_points": json.dumps(curve.points),
        "curve_last": len(curve.points) - 1,
        "curve_said": f"Balances from {least} to {most}, {last} last",
    }


def _consumers(found: Team, shown: Books) -> list[dict[str, Any]]:
    """What is known of its processes where none shows itself and none leads."""
    if found.instances is None or found.instances or shown.leader is not None:
        return []
    try:
        return [each for each in consumers.overview() if each["name"] == CONSUMER]
    except RedisError:
        return []


def _live(request: HttpRequest, name: str, context: dict[str, Any]) -> HttpResponse:
    template = f"ledger/{name}_part.html" if request.htmx else f"ledger/{name}.html"
    response = render(request, template, context)
    patch_vary_headers(response, ["HX-Request"])
    return response

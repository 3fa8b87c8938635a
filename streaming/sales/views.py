"""Pages of sales: all instances as one, one StockCode's curve, the dead letters."""

import json
import tempfile
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe
from redis.exceptions import RedisError

from config import chart
from config.consumers import overview as consumers
from products.lookup import known
from streaming.converters import is_stock_code

from . import board, dead_letter_search, merging, words
from .dead_letter import REASONS
from .overview import Overview

CONSUMER = "sales"
FIND_CHARACTERS = 128
CURSOR_CHARACTERS = 4_000
LETTERS = 25
DOWNLOAD_IN_MEMORY = 1024**2


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """Rates, sums, partitions and instances; their part alone for htmx."""
    if "stock_code" in request.GET:  # one that can't stand in a path
        return stock_code(request, request.GET["stock_code"])
    find = request.GET.get("find", "")[:FIND_CHARACTERS]
    context: dict[str, Any] = {"find": find}
    try:
        shown = now(board.snapshots())
        if shown.state == "none":
            context["consumers"] = _consumers()
    except RedisError:
        return _live(request, "overview", context)
    rows = merging.top(shown, find)
    products = known(row.stock_code for row in rows)
    context |= {
        "shown": shown,
        "rows": [(row, products.get(row.stock_code)) for row in rows],
        "largest": shown.top[0].sum if shown.top else None,
        "found_exactly": any(row.stock_code == find.strip() for row in rows),
        "can_open": is_stock_code(find.strip()),
        "several": len(shown.partitions) > 1,
        "until": shown.until,
    }
    return _live(request, "overview", context)


@require_safe
def stock_code(request: HttpRequest, stock_code: str) -> HttpResponse:
    """One StockCode's sum over the window; asks the instances for its curve."""
    if not is_stock_code(stock_code):
        raise Http404("A StockCode has 1 to 128 characters, none of them a control character.")
    product = known([stock_code]).get(stock_code)
    context: dict[str, Any] = {"stock_code": stock_code, "product": product}
    try:
        board.watch(stock_code)
        snapshots = board.snapshots()
    except RedisError:
        return _live(request, "stock_code", context)
    shown = now(snapshots)
    points = merging.curve(snapshots, shown.group, stock_code)
    drawn = chart.chart(points or [])
    context |= {
        "shown": shown,
        "selling": merging.selling(snapshots, shown, stock_code),
        "known": points is not None,
        "chart": drawn,
    }
    if points is not None and drawn is not None:
        least, most, end = map(words.money, (drawn.least, drawn.most, drawn.now))
        context |= {
            "said": f"From {least} to {most}, {end} at the end",
            "last": len(points) - 1,
            "points": json.dumps(
                [[at, words.money(amount)] for at, amount in points], separators=(",", ":")
            ),
        }
    return _live(request, "stock_code", context)


@require_safe
def dead_letters(request: HttpRequest) -> HttpResponse:
    """Refused messages, the newest first, as far as Kafka can be read."""
    reason = request.GET.get("reason", "")
    before = request.GET.get("before", "")[:CURSOR_CHARACTERS]
    context: dict[str, Any] = {
        "reason": reason if reason in REASONS else "",
        "reasons": REASONS,
        "before": before,
        "topic": settings.SALES_DEAD_LETTER_TOPIC,
    }
    try:
        page = dead_letter_search.page(before, context["reason"], LETTERS)
        context |= {"page": page, "missing": not page.topic_is_there}
    except ValueError:
        return redirect("streaming:dead-letters")
    except dead_letter_search.Away as away:
        context["away"] = str(away)
    status = 503 if "away" in context else 200
    return render(request, "sales/dead_letters.html", context, status=status)


@require_safe
def dead_letters_jsonl(request: HttpRequest) -> FileResponse | HttpResponse:
    """The newest dead letters with their whole values, as a file of JSON lines.

    Collected first: a client that reads slowly must not hold a connection to Kafka.
    """
    reason = request.GET.get("reason", "")
    reason = reason if reason in REASONS else ""
    file = tempfile.SpooledTemporaryFile(max_size=DOWNLOAD_IN_MEMORY)  # noqa: SIM115
    try:
        file.writelines(dead_letter_search.json_lines(reason))
    except dead_letter_search.Away as away:
        file.close()
        messages.error(request, str(away))
        return redirect("streaming:dead-letters")
    file.seek(0)
    name = f"dead-letters-{reason}.jsonl" if reason else "dead-letters.jsonl"
    return FileResponse(
        file, as_attachment=True, filename=name, content_type="application/x-ndjson"
    )


def now(snapshots: Iterable[merging.Snapshot]) -> Overview:
    """The instances of the group that the settings name, as one."""
    return merging.merge(snapshots, settings.SALES_GROUP, settings.SALES_SNAPSHOT_SECONDS)


def _consumers() -> list[dict[str, Any]]:
    return [each for each in consumers.overview() if each["name"] == CONSUMER]


def _live(request: HttpRequest, name: str, context: dict[str, Any]) -> HttpResponse:
    template = f"sales/{name}_part.html" if request.htmx else f"sales/{name}.html"
    response = render(request, template, context)
    patch_vary_headers(response, ["HX-Request"])
    return response

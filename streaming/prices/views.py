"""Pages of prices: all stocks with the updater's state, one stock's curve, the dead letters."""

import tempfile
import time
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe
from redis.exceptions import RedisError

from config.consumers import overview as consumers

from . import board, chart, keeping, minute, words
from . import dead_letters as letters
from .calculations import Calculations
from .clock import clock
from .connection import reading
from .history import Between, Histories
from .overview import Updater, merge
from .stocks import Stock, Stocks
from .trouble import in_words
from .value import NotAStock

CONSUMER = "prices"
FIND_CHARACTERS = 64
SHOWN_STOCKS = 100
SHOWN_ROWS = 50
DRAWN_ROWS = 20_000  # newest ones
FILTERED_ROWS = 50_000  # newest ones that times are looked for in
LETTERS = 25
CURSOR_CHARACTERS = 40
DOWNLOAD_IN_MEMORY = 1024**2


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """Stocks, and how their updater is doing; their part alone for htmx."""
    find = request.GET.get("find", "")[:FIND_CHARACTERS]
    context: dict[str, Any] = {"find": find, "updater": _updater()}
    context["consumers"] = _consumers(context["updater"])
    try:
        context |= _stocks(find.strip().lower())
    except RedisError as error:
        context["away"] = in_words(error)
    return _live(request, "overview", context)


@require_safe
def stock(request: HttpRequest, name: str) -> HttpResponse:
    """One stock: its curve, its performance, its newest rows."""
    given = {each: request.GET.get(each, "").strip() for each in ("from", "to")}
    times = {each: clock(text) for each, text in given.items() if text}
    known = {each: time for each, time in times.items() if time}
    between = Between(known.get("from", ""), known.get("to", ""))
    context: dict[str, Any] = {
        "name": name,
        "updater": _updater(),
        "begin": given["from"],
        "end": given["to"],
        "wrong": [given[each] for each, time in times.items() if time is None],
        "backwards": bool(between.end) and between.begin > between.end,
        "query": f"?{urlencode(known)}" if known else "",  # of the API
    }
    try:
        found = Stocks(reading()).stock(name)
        if found is None:
            raise Http404("There is no stock of this name.")
        context |= _one(found, between)
    except RedisError as error:
        context["away"] = in_words(error)
    except NotAStock as error:
        context["not_a_stock"] = str(error)
    return _live(request, "stock", context)


@require_safe
def dead_letters(request: HttpRequest) -> HttpResponse:
    """Refused rows and messages, the newest first."""
    reason = request.GET.get("reason", "")
    before = request.GET.get("before", "")[:CURSOR_CHARACTERS]
    if before and not letters.is_cursor(before):
        return redirect("streaming:prices-dead-letters")
    context: dict[str, Any] = {
        "reason": reason if reason in words.REASONS else "",
        "reasons": words.REASONS,
        "before": before,
        "kept": settings.PRICES_DEAD_LETTERS_KEPT,
    }
    try:
        store = Stocks(reading())
        context["page"] = letters.page(store, before, context["reason"], LETTERS)
        context["total"] = store.letters_count()[1]
    except RedisError as error:
        context["away"] = in_words(error)
    status = 503 if "away" in context else 200
    return render(request, "prices/dead_letters.html", context, status=status)


@require_safe
def dead_letters_jsonl(request: HttpRequest) -> FileResponse | HttpResponse:
    """The newest dead letters as a file of JSON lines."""
    reason = request.GET.get("reason", "")
    reason = reason if reason in words.REASONS else ""
    file = tempfile.SpooledTemporaryFile(max_size=DOWNLOAD_IN_MEMORY)  # noqa: SIM115
    try:
        file.writelines(letters.json_lines(Stocks(reading()), reason))
    except RedisError as error:
        file.close()
        messages.error(request, in_words(error))
        return redirect("streaming:prices-dead-letters")
    file.seek(0)
    name = f"prices-dead-letters-{reason}.jsonl" if reason else "prices-dead-letters.jsonl"
    return FileResponse(
        file, as_attachment=True, filename=name, content_type="application/x-ndjson"
    )


def now(snapshots: Any) -> Updater:
    """The instances of the group that the settings name, as one."""
    return merge(snapshots, settings.PRICES_GROUP, settings.PRICES_SNAPSHOT_SECONDS)


def _updater() -> Updater | None:
    """None where nobody knows, since Redis is away."""
    try:
        return now(board.snapshots())
    except RedisError:
        return None


def _stocks(find: str) -> dict[str, Any]:
    """Raises RedisError."""
    client = reading()
    store = Calculations(client)
    stocks = store.stocks()
    found = [each for each in stocks if find in each.name]
    recent = store.recent([each.name for each in found[:SHOWN_STOCKS]], chart.SPARK_POINTS)
    kept, total = store.letters_count()
    return {
        "stocks": stocks,
        "found": len(found),
        "rows": [_row(each, *recent[each.name]) for each in found[:SHOWN_STOCKS]],
        "count": sum(each.count for each in stocks),
        "letters": total,
        "letters_kept": kept,
        "warnings": keeping.warnings(client),
        "behind": minute.trouble(store.asked_minute(), stocks, time.time()),
    }


def _row(stock: Stock, times: list[str], prices: list[str]) -> dict[str, Any]:
    return {
        "stock": stock,
        "change": words.change(prices),
        "spark": chart.spark(times, prices),
    }


def _one(stock: Stock, between: Between) -> dict[str, Any]:
    """Raises RedisError and NotAStock."""
    wanted = FILTERED_ROWS if between else DRAWN_ROWS
    times, prices = Histories(reading()).newest(stock.name, wanted)
    looked_at = len(times)
    change = words.change(prices)
    if between:
        places = [number for number, time in enumerate(times) if between.holds(time)]
        times, prices = [times[n] for n in places], [prices[n] for n in places]
        times, prices = times[-DRAWN_ROWS:], prices[-DRAWN_ROWS:]
    newest = list(zip(times[: -SHOWN_ROWS - 1 : -1], prices[: -SHOWN_ROWS - 1 : -1], strict=True))
    return {
        "stock": stock,
        "change": change,
        "curve": chart.curve(times, prices),
        "filtered": bool(between),
        "looked_at": looked_at if looked_at < stock.count else None,
        "drawn": len(times),
        "newest": newest,
    }


def _consumers(updater: Updater | None) -> list[dict[str, Any]]:
    """What is known of its processes where none shows a state."""
    if updater is None or updater.state != "none":
        return []
    try:
        return [each for each in consumers.overview() if each["name"] == CONSUMER]
    except RedisError:
        return []


def _live(request: HttpRequest, name: str, context: dict[str, Any]) -> HttpResponse:
    template = f"prices/{name}_part.html" if request.htmx else f"prices/{name}.html"
    response = render(request, template, context)
    patch_vary_headers(response, ["HX-Request"])
    return response

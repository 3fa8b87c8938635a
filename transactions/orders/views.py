"""Pages of orders: all of them with how it is going, and one with its time line."""

import json
from dataclasses import asdict
from http import HTTPStatus
from typing import Any
from uuid import UUID

import redis
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_http_methods, require_safe

from config.accounts.permissions import may, requires
from config.consumers import overview as consumers
from config.listing import row_id
from streaming.prices import latest
from streaming.prices.connection import reading
from streaming.prices.trouble import in_words
from transactions import queue_depth
from transactions.models import Order

from . import access, overview, reception, trial, words
from .overview import Filter, TooMany
from .traders import traders

CONSUMER = "orders"
CHARACTERS = 64  # of a filter
ORDERS = 50
ATTEMPTS = 20  # shown of a callback
NO_ORDER = "There is no order with this id."


@require_http_methods(["GET", "HEAD", "POST"])
@requires("orders:write", unsafe_only=True)
def orders(request: HttpRequest) -> HttpResponse:
    """The list, the tiles and the credit, their part alone for the script; places an order."""
    context = _figures() | _market(request)
    status = HTTPStatus.OK
    if request.method == "POST":
        status = _place(request, context)
        if status == HTTPStatus.FOUND:
            return redirect("transactions:order", order_id=context["placed"].order_id)
    elif may(request.user, "orders:write") and not request.htmx:
        context["form"] = trial.TrialOrder(context["stocks"])
    context |= _list(request)
    return _live(request, "orders", context, status)


@require_safe
def order(request: HttpRequest, order_id: UUID) -> HttpResponse:
    """One order's time line; its part alone for the script."""
    orders = access.visible(request.user, None)
    found = orders.select_related("created_by", "delivery").filter(order_id=order_id).first()
    if found is None:
        raise Http404(NO_ORDER)
    context = {"order": found, "steps": list(words.steps(found))}
    if found.delivery is not None:
        attempts = found.delivery.attempts.order_by("-number", "-pk").defer("response_body")
        context["attempts"] = list(attempts[:ATTEMPTS])[::-1]
    return _live(request, "order", context)


@require_safe
def cost(request: HttpRequest) -> HttpResponse:
    """What the order in the form's fields would cost now, as words for the form."""
    given = (request.GET.get(name, "").strip() for name in ("user", "stockname", "quantity"))
    return render(request, "orders/cost.html", _cost(*(each[:CHARACTERS] for each in given)))


def _figures() -> dict[str, Any]:
    """How it is going: from Postgres, RabbitMQ and what the consumers say."""
    team = _consumers()
    running = [each for each in team or () if each["state"] == "running"]
    context: dict[str, Any] = {
        "team": team,
        "running": running,
        "waiting": [each for each in running if each["health"].get("waiting_for")],
        "depth": queue_depth.depth(settings.ORDERS_QUEUE),
        "most_open": settings.ORDERS_MOST_OPEN,
        "counted": overview.COUNTED,
    }
    try:
        context["figures"] = overview.figures(timezone.now())
    except TooMany:
        context["uncounted"] = True
    return context


def _market(request: HttpRequest) -> dict[str, Any]:
    """Prices and credit as Redis has them; "away" where it has not answered."""
    find = request.GET.get("find", "").replace("\0", "")[:CHARACTERS]
    context: dict[str, Any] = {"find": find, "stocks": []}
    try:
        client = reading()
        stocks = context["stocks"] = trial.stocks(client)
        context["prices"] = json.dumps(
            {each.name: each.said for each in stocks}, ensure_ascii=False
        )
        context["traders"] = traders(client, settings.PRICES_REDIS_URL, find.strip().lower())
    except redis.RedisError as error:
        context["away"] = in_words(error)
    return context


def _list(request: HttpRequest) -> dict[str, Any]:
    given = _filter(request)
    before, after = row_id(request, "before"), row_id(request, "after")
    orders = access.visible(request.user, None)
    context: dict[str, Any] = {
        "filter": given,
        "query": {name: value for name, value in asdict(given).items() if value},
        "statuses": words.STATUSES,
        "paged": before is not None or after is not None,
    }
    try:
        context["page"] = overview.page(orders, given, before=before, after=after, size=ORDERS)
    except TooMany:
        context["too_many"] = True
    else:
        nothing = not context["page"].rows and not context["paged"]
        context["none_yet"] = nothing and not (given and Order.objects.exists())
    return context


def _filter(request: HttpRequest) -> Filter:
    user, stock, status = (
        request.GET.get(name, "").replace("\0", "").strip()[:CHARACTERS]
        for name in ("user", "stockname", "status")
    )
    return Filter(user, latest.stock_name(stock) or stock, status * (status in words.STATUSES))


def _place(request: HttpRequest, context: dict[str, Any]) -> HTTPStatus:
    """What the form asks for; FOUND with `placed` once there is an order."""
    form = context["form"] = trial.TrialOrder(context["stocks"], request.POST)
    context["asked"] = True
    if not form.is_valid():
        return HTTPStatus.UNPROCESSABLE_ENTITY
    given = form.cleaned_data
    if request.POST.get("only") == "cost":  # without JavaScript
        context |= _cost(given["user"], given["stockname"], str(given["quantity"]))
        return HTTPStatus.OK
    if not access.may_trade(request.user, None, given["user"]):
        raise PermissionDenied(f"You may not trade for {given['user']}.")
    try:
        placed = reception.place(owner=request.user, callback_url="", **given)
    except reception.Refused as error:
        known = error.field if error.field in form.fields else None
        form.add_error(known, str(error))
        return HTTPStatus.UNPROCESSABLE_ENTITY
    except redis.RedisError as error:
        form.add_error(None, f"Nothing was placed: {in_words(error)}")
        return HTTPStatus.SERVICE_UNAVAILABLE
    if not placed.is_open:
        messages.warning(request, f"The order was denied at once: {words.reason(placed.reason)}.")
    context["placed"] = placed
    return HTTPStatus.FOUND


def _cost(user: str, stockname: str, quantity: str) -> dict[str, Any]:
    if not quantity:
        return {}
    try:
        return {"cost": trial.cost(reading(), user, stockname, quantity)}
    except redis.RedisError as error:
        return {"cost": trial.Cost(problem=in_words(error))}


def _consumers() -> list[dict[str, Any]] | None:
    """What is known of the processes; None where nobody knows, since Redis is away."""
    try:
        return [each for each in consumers.overview() if each["name"] == CONSUMER]
    except redis.RedisError:
        return None


def _live(
    request: HttpRequest, name: str, context: dict[str, Any], status: HTTPStatus = HTTPStatus.OK
) -> HttpResponse:
    template = f"orders/{name}_part.html" if request.htmx else f"orders/{name}.html"
    response = render(request, template, context, status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response

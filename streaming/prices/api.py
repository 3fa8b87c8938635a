"""REST API of prices: stocks and their histories, the updater's state, the dead letters."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from redis.exceptions import RedisError
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from config.api_errors import Conflict, Unavailable
from config.api_input import StrictQuery
from config.api_schema import refused
from config.exact_json import ExactRenderer, Written
from streaming.converters import STOCK_NAME

from . import api_examples, board, dead_letters, stocks
from .api_shapes import (
    HistoryQuery,
    PricesDeadLettersQuery,
    PricesDeadLettersSerializer,
    PricesUpdaterSerializer,
    StockHistorySerializer,
    StocksQuery,
    StocksSerializer,
)
from .connection import reading
from .history import Between, Histories
from .trouble import in_words
from .value import NotAStock
from .views import now

NO_STOCK = "There is no stock of this name. `/api/stocks/` lists those there are."
NOT_A_STOCK = "Others have changed the key of this name in Redis, and it is no stock's value."


class PricesView(StrictQuery, APIView):
    """What all views of prices share."""

    scope_area = "streaming"
    schema_tag = "Prices"
    renderer_classes = [ExactRenderer]

    def handle_exception(self, exc: Exception) -> Response:
        """Redis of prices away is no fault of ours."""
        if isinstance(exc, RedisError):
            exc = Unavailable(in_words(exc))
        return super().handle_exception(exc)


class Stocks(PricesView):
    """`/api/stocks/`."""

    query_classes = {"GET": StocksQuery}

    @extend_schema(
        operation_id="stocks_list",
        summary="All stocks, with their newest price and their performance",
        description="By id. Follow `next` until it is null.",
        parameters=[StocksQuery],
        responses=StocksSerializer,
        examples=[OpenApiExample("One stock", api_examples.STOCKS, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        after, size = self.query["after"], self.query["page_size"]
        found = stocks.Stocks(reading()).stocks()
        rows = [each for each in found if each.id > after]
        # Those of one id, which only others can have made, stay together.
        last = rows[size - 1].id if len(rows) > size else None
        shown = rows if last is None else [each for each in rows if each.id <= last]
        more = len(shown) < len(rows)
        return Response(
            {
                "next": _next(request, "after", last if more else None),
                "results": [_described(each) for each in shown],
            }
        )


class Stock(PricesView):
    """`/api/stocks/{name}/`."""

    query_classes = {"GET": HistoryQuery}

    @extend_schema(
        operation_id="stocks_retrieve",
        summary="The history of one stock, and its performance",
        description=(
            "Rows in the order they came in, the oldest first. `from` and `to` are times of day,"
            " both inclusive; they find rows of every day the history has. Follow `next` until it"
            " is null: a page holds `limit` rows at most, and with `from` or `to` it may hold fewer"
            " or none while there are more. Rows that come or are cut off meanwhile shift nothing."
        ),
        parameters=[
            OpenApiParameter("name", str, "path", pattern=f"^{STOCK_NAME}$"),
            HistoryQuery,
        ],
        responses={200: StockHistorySerializer, **refused(_404=NO_STOCK, _409=NOT_A_STOCK)},
        examples=[
            OpenApiExample("With rows that had no data", api_examples.HISTORY, response_only=True)
        ],
    )
    def get(self, request: Request, name: str) -> Response:
        query = self.query
        client = reading()
        stock = stocks.Stocks(client).stock(name)
        if stock is None:
            raise NotFound(NO_STOCK)
        between = Between(query.get("from", ""), query.get("to", ""))
        try:
            rows = Histories(client).rows(name, query["limit"], query["after"], between)
        except NotAStock as error:
            raise Conflict(f"{NOT_A_STOCK} {error}") from None
        return Response(
            {
                "id": stock.id,
                "name": stock.name,
                "time": rows.times,
                "price": Written(_list(rows.prices)),
                "performance": Written(stock.performance),
                "calculated_at": stock.calculated_at,
                "calculated_price": _number(stock.calculated_price),
                "count": stock.count,
                "next": _next(request, "after", rows.next),
            }
        )


class Updater(PricesView):
    """`/api/streaming/prices/`."""

    @extend_schema(
        operation_id="prices_retrieve",
        summary="How the updater of prices is doing",
        description=(
            "Newer about once a second; the channel `prices` (`/events/prices/`) says when."
            " `state` is `none` where no instance has said anything for 10 seconds."
        ),
        responses=PricesUpdaterSerializer,
        examples=[OpenApiExample("One instance", api_examples.UPDATER, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        try:
            snapshots = board.snapshots()
        except RedisError:
            raise Unavailable("Redis is away, so nobody knows how the updater is doing.") from None
        return Response(PricesUpdaterSerializer(now(snapshots)).data)


class DeadLetters(PricesView):
    """`/api/streaming/prices/dead-letters/`."""

    query_classes = {"GET": PricesDeadLettersQuery}

    @extend_schema(
        operation_id="prices_dead_letters_list",
        summary="Rows and messages that were refused, the newest first",
        description="Follow `next` until it is null.",
        parameters=[PricesDeadLettersQuery],
        responses=PricesDeadLettersSerializer,
        examples=[
            OpenApiExample("A negative price", api_examples.DEAD_LETTERS, response_only=True)
        ],
    )
    def get(self, request: Request) -> Response:
        query = self.query
        page = dead_letters.page(
            stocks.Stocks(reading()),
            query.get("before", ""),
            query.get("reason", ""),
            query["page_size"],
        )
        answer = {
            "next": _next(request, "before", page.older),
            "whole": page.whole,
            "results": [dead_letters.as_json(letter) for letter in page.rows],
        }
        return Response(PricesDeadLettersSerializer(answer).data)


def _described(stock: stocks.Stock) -> dict[str, Any]:
    return {
        "name": stock.name,
        "id": stock.id,
        "price": _number(stock.latest),
        "time": stock.latest_time or None,
        "count": stock.count,
        "updated_at": stock.updated_at,
        "performance": Written(stock.performance),
        "calculated_at": stock.calculated_at,
        "calculated_price": _number(stock.calculated_price),
        "calculation_seconds": stock.calculation_seconds,
        "asked_at": stock.asked_at,
        "failure": stock.failure or None,
        "failed_at": stock.failed_at,
    }


def _list(prices: list[str]) -> str:
    return "[" + ",".join([price or '""' for price in prices]) + "]"


def _number(token: str) -> Written | None:
    return Written(token) if token else None


def _next(request: Request, name: str, value: Any) -> str | None:
    if value is None:
        return None
    return str(replace_query_param(request.build_absolute_uri(), name, value))

"""REST API of sales: all instances as one, one StockCode, the dead letters."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from redis.exceptions import RedisError
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from config.api_errors import Unavailable
from config.api_input import StrictQuery
from config.api_schema import refused
from streaming.converters import STOCK_CODE, is_stock_code

from . import api_examples, board, dead_letter_search, merging
from .api_shapes import (
    SalesDeadLettersQuery,
    SalesDeadLettersSerializer,
    SalesOverviewSerializer,
    SalesStockCodeSerializer,
)
from .dead_letter import as_json
from .views import now

NO_CODE = "A StockCode has 1 to 128 characters, none of them a control character."


class SalesView(StrictQuery, APIView):
    """What all views of sales share."""

    scope_area = "streaming"
    schema_tag = "Sales"

    def snapshots(self) -> list[merging.Snapshot]:
        """Of all instances. Raises Unavailable."""
        try:
            return list(board.snapshots())
        except RedisError:
            raise Unavailable("Redis is away, so nobody knows how sales are doing.") from None


class Overview(SalesView):
    """`/api/streaming/sales/`."""

    @extend_schema(
        operation_id="sales_retrieve",
        summary="How sales are doing, and the largest sums",
        description=(
            "Newer about once a second; the channel `sales` (`/events/sales/`) says when."
            " `state` is `none` where no instance has said anything for 10 seconds."
        ),
        responses=SalesOverviewSerializer,
        examples=[api_examples.answer("One instance", api_examples.OVERVIEW)],
    )
    def get(self, request: Request) -> Response:
        shown = now(self.snapshots())
        answer = SalesOverviewSerializer(shown).data
        answer["top"] = answer["top"][: merging.TOP]
        return Response(answer)


class StockCode(SalesView):
    """`/api/streaming/sales/{stock_code}/`."""

    @extend_schema(
        operation_id="sales_stock_code_retrieve",
        summary="The rolling sum of one StockCode, and its curve",
        description=(
            "Slashes stand as they are or as `%2F`. `sums` is empty where it was not sold within"
            " the window. Instances send curves of those StockCodes only that were asked for within"
            " the last 30 seconds, so the first answer may have none."
        ),
        parameters=[
            OpenApiParameter(
                "stock_code", str, "path", pattern=f"^{STOCK_CODE}$".replace("\\ud800-\\udfff", "")
            )
        ],
        responses={200: SalesStockCodeSerializer, **refused(_404=NO_CODE)},
        examples=[api_examples.answer("Sold twice", api_examples.STOCK_CODE)],
    )
    def get(self, request: Request, stock_code: str) -> Response:
        if not is_stock_code(stock_code):
            raise NotFound(NO_CODE)
        snapshots = self.snapshots()
        try:
            board.watch(stock_code)
        except RedisError:
            raise Unavailable("Redis is away, so nobody knows how sales are doing.") from None
        shown = now(snapshots)
        points = merging.curve(snapshots, shown.group, stock_code)
        answer = {
            "stock_code": stock_code,
            "state": shown.state,
            "stale": shown.stale,
            "window_seconds": shown.window_seconds,
            "sums": merging.selling(snapshots, shown, stock_code),
            "curve": None
            if points is None
            else [{"at": at, "sum": f"{amount:f}"} for at, amount in points],
        }
        return Response(SalesStockCodeSerializer(answer).data)


class DeadLetters(SalesView):
    """`/api/streaming/sales/dead-letters/`."""

    query_classes = {"GET": SalesDeadLettersQuery}

    @extend_schema(
        operation_id="sales_dead_letters_list",
        summary="Messages that were refused, the newest first",
        description="Read from Kafka, so 503 while it is away. Follow `next` until it is null.",
        parameters=[SalesDeadLettersQuery],
        responses=SalesDeadLettersSerializer,
        examples=[api_examples.answer("One without a price", api_examples.DEAD_LETTERS)],
    )
    def get(self, request: Request) -> Response:
        query = self.query
        try:
            page = dead_letter_search.page(
                query.get("before", ""), query.get("reason", ""), query["page_size"]
            )
        except ValueError:
            raise ValidationError({"before": ["Take `next` of another page."]}) from None
        except dead_letter_search.Away as away:
            raise Unavailable(str(away)) from None
        older = None
        if page.older is not None:
            address = request.build_absolute_uri()
            older = replace_query_param(address, "before", page.older)
        answer = {
            "next": older,
            "whole": page.whole,
            "results": [as_json(letter) for letter in page.rows],
        }
        return Response(SalesDeadLettersSerializer(answer).data)

"""REST API of deliveries: the log, its attempts, retry and replay."""

from http import HTTPStatus
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework import generics
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor
from rest_framework.request import Request
from rest_framework.response import Response

from config.accounts.actors import actor_of
from config.api_errors import Conflict
from config.api_input import MAX_ID, StrictQuery, no_body
from config.api_pages import NewestFirst, bad_cursor
from config.api_schema import LOCATION, refused
from config.listing import Page
from webhooks.endpoints.api import WebhooksView
from webhooks.event_types import LOGGED
from webhooks.models import Attempt, Delivery, DeliveryState, Endpoint

from . import callbacks, log, replay, search
from .callbacks import NO_DELIVERY
from .serializers import (
    AttemptSerializer,
    DeliveryDetailSerializer,
    DeliveryListQuery,
    DeliverySerializer,
    ReplayedSerializer,
    ReplayInput,
)

NO_ENDPOINT = "There is no endpoint with this id."
FILTERS = [
    OpenApiParameter(
        "endpoint",
        {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ID},
        description="Id of an endpoint, also of a deleted one.",
    ),
    OpenApiParameter("event_type", enum=list(LOGGED)),
    OpenApiParameter("state", enum=DeliveryState.values),
    OpenApiParameter(
        "since",
        OpenApiTypes.DATETIME,
        description="Made then or later. A + in it is written %2B.",
    ),
    OpenApiParameter(
        "webhook_id",
        {"type": "string", "example": "evt_0b9c5bb2c9c84b7e8a3f3f0c2f1d4e5a"},
        description="Of the event: what its requests carry as `webhook-id`, also without `evt_`.",
    ),
    OpenApiParameter(
        "sku",
        description="Of the event's product, also of a deleted one; case makes no difference. Its"
        f" newest {search.EVENTS_AT_MOST:,} events. Events of many products at once have no SKU.",
    ),
]


class LogPages(NewestFirst):
    """Pages of `log.find`, which knows the quick ways."""

    page: Page

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        self.base_url = request.build_absolute_uri()
        cursor = self.decode_cursor(request)
        edges = {}
        if cursor is not None:
            if cursor.position is None:
                raise bad_cursor()
            edges = {"after" if cursor.reverse else "before": int(cursor.position)}
        self.page = log.find(view.query["filter"], size=self.get_page_size(request), **edges)
        if callbacks.may_see(request):
            return self.page.rows
        return [row for row in self.page.rows if not row.endpoint.for_callbacks]

    def get_next_link(self) -> str | None:
        return self._link(self.page.older, reverse=False)

    def get_previous_link(self) -> str | None:
        return self._link(self.page.newer, reverse=True)

    def _link(self, edge: int | None, *, reverse: bool) -> str | None:
        return None if edge is None else self.encode_cursor(Cursor(0, reverse, str(edge)))


class DeliveryList(StrictQuery, generics.ListAPIView):
    """`/api/webhooks/deliveries/`."""

    scope_area = "webhooks"
    schema_tag = "Webhooks"
    serializer_class = DeliverySerializer
    pagination_class = LogPages
    query_classes = {"GET": DeliveryListQuery}
    queryset = Delivery.objects.none()  # LogPages finds the rows

    @extend_schema(
        operation_id="webhook_deliveries_list",
        summary="Deliveries, the newest first",
        description=(
            "By pages: follow `next` until it is null. With several filters, but not with"
            " `webhook_id` or `sku`, a page may have few rows or none, while `next` goes on to"
            " older ones. Callbacks of orders are shown to tokens that may also read orders"
            " (`orders:read`) of all trading users."
        ),
        parameters=FILTERS,
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class DeliveryDetail(WebhooksView):
    """`/api/webhooks/deliveries/{id}/`."""

    @extend_schema(
        operation_id="webhook_deliveries_retrieve",
        summary="One delivery, with its body and attempts",
        description="How it stands, the body that is sent, and the last attempts with answers.",
        responses=DeliveryDetailSerializer,
    )
    def get(self, request: Request, pk: int) -> Response:
        callbacks.check(request, pk)
        try:
            delivery = log.get(pk)
        except Delivery.DoesNotExist:
            raise NotFound(NO_DELIVERY) from None
        return Response(DeliveryDetailSerializer(delivery, context={"request": request}).data)


class AttemptList(StrictQuery, generics.ListAPIView):
    """`/api/webhooks/deliveries/{id}/attempts/`."""

    scope_area = "webhooks"
    schema_tag = "Webhooks"
    serializer_class = AttemptSerializer
    pagination_class = NewestFirst

    @extend_schema(
        operation_id="webhook_attempts_list",
        summary="A delivery's attempts, the newest first",
        description="By pages: follow `next` until it is null.",
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[Attempt]:
        if getattr(self, "swagger_fake_view", False):
            return Attempt.objects.none()
        callbacks.check(self.request, self.kwargs["pk"])
        return log.attempts(self.kwargs["pk"])


class Retry(WebhooksView):
    """`/api/webhooks/deliveries/{id}/retry/`."""

    @extend_schema(
        operation_id="webhook_deliveries_retry",
        summary="Send a delivery again, now",
        description=(
            "Also one that succeeded, and to an endpoint that is disabled. If it fails, its"
            " schedule begins anew. The `webhook-id` stays. Takes no body. Follow it at Location."
        ),
        parameters=[LOCATION],
        request=None,
        responses={
            202: DeliverySerializer,
            **refused(_409="It is being sent at this moment, or its endpoint was deleted."),
        },
    )
    def post(self, request: Request, pk: int) -> Response:
        no_body(request)
        callbacks.check(request, pk)
        try:
            delivery = replay.retry(actor_of(request), pk)
        except Delivery.DoesNotExist:
            raise NotFound(NO_DELIVERY) from None
        except (replay.InFlight, replay.EndpointDeleted) as error:
            raise Conflict(str(error)) from None
        data = DeliverySerializer(delivery, context={"request": request}).data
        return Response(data, status=HTTPStatus.ACCEPTED, headers={"Location": data["url"]})


class Replay(WebhooksView):
    """`/api/webhooks/replay/`."""

    @extend_schema(
        operation_id="webhook_deliveries_replay",
        summary="Send again what failed since a time",
        description=(
            "All deliveries in state failed that ended then or later, without tests. They wait"
            " with the others: those of a disabled endpoint until it is enabled. One request"
            f" takes at most {replay.AT_MOST:,}: send it again while `more` is true. Callbacks of"
            " orders are sent again for tokens that may read orders of all trading users."
        ),
        request=ReplayInput,
        responses={202: ReplayedSerializer},
        examples=[
            OpenApiExample("All", {"since": "2026-03-01T09:30:00Z"}, request_only=True),
            OpenApiExample(
                "Of one endpoint",
                {"since": "2026-03-01T09:30:00+01:00", "endpoint": 7},
                request_only=True,
            ),
            OpenApiExample("Done", {"replayed": 12, "more": False}, response_only=True),
        ],
    )
    def post(self, request: Request) -> Response:
        form = ReplayInput(data=request.data)
        form.is_valid(raise_exception=True)
        since, endpoint_id = form.validated_data["since"], form.validated_data.get("endpoint")
        if endpoint_id is not None and not _is_live(endpoint_id):
            raise ValidationError({"endpoint": [NO_ENDPOINT]})
        which: dict[str, Any] = {
            "endpoint_id": endpoint_id,
            "callbacks": callbacks.may_see(request),
        }
        replayed = replay.replay_failed(actor_of(request), since, **which)
        more = replayed == replay.AT_MOST and replay.count_failed(since, **which) > 0
        return Response({"replayed": replayed, "more": more}, status=HTTPStatus.ACCEPTED)


def _is_live(endpoint_id: int) -> bool:
    live = Endpoint.objects.filter(pk=endpoint_id, deleted_at=None, for_callbacks=False)
    return live.exists()

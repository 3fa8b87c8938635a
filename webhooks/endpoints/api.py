"""REST API of endpoints. Deliveries and their attempts are in webhooks/deliveries/api.py."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import generics
from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from config.accounts.actors import actor_of
from config.api_etags import Stale, etag, wanted_version
from config.api_input import StrictQuery, no_body
from config.api_pages import NewestFirst
from config.api_schema import ETAG, IF_MATCH, LOCATION, refused
from config.idempotency import answers
from webhooks.deliveries.serializers import DeliverySerializer
from webhooks.event_types import EVENT_TYPES
from webhooks.models import Endpoint

from . import service
from .fields import EndpointValues, FieldErrors
from .serializers import (
    EndpointInput,
    EndpointSerializer,
    EventTypesSerializer,
    NewEndpointSerializer,
    SecretSerializer,
    TestInput,
)
from .statistics import at_a_glance

EXAMPLE = OpenApiExample(
    "An endpoint",
    value={
        "url": "https://shop.example.com/stockroom",
        "description": "The shop",
        "event_types": ["product.created", "product.updated", "product.deleted"],
        "headers": {"X-Shop": "7"},
    },
    request_only=True,
)


class TooMany(APIException):
    """No more endpoints can be added."""

    status_code = HTTPStatus.CONFLICT
    default_code = "too_many_endpoints"


class WebhooksView(StrictQuery, APIView):
    """What all views of endpoints share."""

    scope_area = "webhooks"
    schema_tag = "Webhooks"


@contextmanager
def refusals() -> Iterator[None]:
    """What the service raises, as answers."""
    try:
        yield
    except Endpoint.DoesNotExist:
        raise NotFound("There is no such endpoint. It may have been deleted.") from None
    except service.Stale as error:
        raise Stale(_version(error.current)) from None
    except service.TooMany as error:
        raise TooMany(str(error)) from None
    except FieldErrors as error:
        raise ValidationError(error.fields) from None


class EventTypeList(WebhooksView):
    """`/api/webhooks/event-types/`."""

    @extend_schema(
        operation_id="webhooks_event_types",
        summary="What endpoints can be told of",
        description="All event types, each with a sample of its `data`.",
        responses=EventTypesSerializer,
    )
    def get(self, request: Request) -> Response:
        return Response(EventTypesSerializer({"results": EVENT_TYPES.values()}).data)


class EndpointList(StrictQuery, generics.ListAPIView):
    """`/api/webhooks/endpoints/`: list, create."""

    scope_area = "webhooks"
    schema_tag = "Webhooks"
    serializer_class = EndpointSerializer
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[Endpoint]:
        return service.live()

    @extend_schema(
        operation_id="webhooks_endpoints_list",
        summary="Endpoints, the newest first",
        description="By pages: follow `next` until it is null.",
    )
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(self.get_queryset())
        glances = at_a_glance(endpoint.pk for endpoint in page)
        context = {**self.get_serializer_context(), "glances": glances}
        return self.get_paginated_response(
            EndpointSerializer(page, many=True, context=context).data
        )

    @extend_schema(
        operation_id="webhooks_endpoints_create",
        summary="Add an endpoint",
        description=(
            "`secret` signs what is sent. Only this answer has it (and its repetition to who sends"
            " the same `Idempotency-Key` again, within a day)."
        ),
        parameters=[answers.PARAMETER, ETAG, LOCATION],
        request=EndpointInput,
        responses={
            201: NewEndpointSerializer,
            **refused(
                _409=f"`too_many_endpoints`: there are {service.MAX_ENDPOINTS} already."
                " `idempotency_conflict`: the key was used with another body."
            ),
        },
        examples=[EXAMPLE],
    )
    def post(self, request: Request) -> Response | HttpResponse:
        # Before the transaction that `once` opens: the URL's host is looked up.
        form = EndpointInput(data=request.data)
        form.is_valid(raise_exception=True)
        # The answer is kept for a day with its secret. That gives away nothing: the table of
        # secrets has it as well, since it signs, and only its owner gets it, who lost the first
        # answer. Without it a lost answer would leave an endpoint whose secret nobody knows.
        return answers.once(
            request, "webhooks.endpoints.create", lambda: self._create(request, form.validated_data)
        )

    def _create(self, request: Request, values: EndpointValues) -> Response:
        with refusals():
            endpoint, secret = service.create(actor_of(request), values)
        context = {**_context(request, endpoint), "secret": secret}
        return Response(
            NewEndpointSerializer(endpoint, context=context).data,
            status=HTTPStatus.CREATED,
            headers={
                "ETag": etag(_version(endpoint)),
                "Location": reverse("webhook-endpoint", [endpoint.pk], request=request),
            },
        )


class EndpointDetail(WebhooksView):
    """`/api/webhooks/endpoints/{id}/`."""

    # The ETag is of what can be changed, not of the health, so If-None-Match is not heeded: 304
    # would keep back how the endpoint does.

    @extend_schema(
        operation_id="webhooks_endpoints_retrieve",
        summary="One endpoint",
        description="`ETag` is for `If-Match`: it does not change with `health`.",
        parameters=[ETAG],
        responses=EndpointSerializer,
    )
    def get(self, request: Request, pk: int) -> Response:
        return _endpoint(request, _live(pk))

    @extend_schema(
        operation_id="webhooks_endpoints_replace",
        summary="Replace an endpoint's fields",
        description="Without `description`, `headers` and `enabled` these get their defaults.",
        parameters=[IF_MATCH, ETAG],
        request=EndpointInput,
        responses=EndpointSerializer,
        examples=[EXAMPLE],
    )
    def put(self, request: Request, pk: int) -> Response:
        return self._update(request, pk, partial=False)

    @extend_schema(
        operation_id="webhooks_endpoints_update",
        summary="Change some of an endpoint's fields",
        description=(
            "Headers are replaced as a whole. With `enabled` true again, or another URL, the"
            " failures so far are forgotten and what waits goes on at once."
        ),
        parameters=[IF_MATCH, ETAG],
        request=EndpointInput,
        responses=EndpointSerializer,
        examples=[OpenApiExample("Switch it off", value={"enabled": False}, request_only=True)],
    )
    def patch(self, request: Request, pk: int) -> Response:
        return self._update(request, pk, partial=True)

    @extend_schema(
        operation_id="webhooks_endpoints_delete",
        summary="Delete an endpoint",
        description="What waits for it fails. Its deliveries stay in the log.",
        parameters=[IF_MATCH],
        responses={204: OpenApiResponse(description="Deleted.")},
    )
    def delete(self, request: Request, pk: int) -> Response:
        wanted = wanted_version(request, _version(_live(pk)))
        with refusals():
            service.delete(actor_of(request), pk, version=wanted)
        return Response(status=HTTPStatus.NO_CONTENT)

    def _update(self, request: Request, pk: int, *, partial: bool) -> Response:
        wanted = wanted_version(request, _version(_live(pk)))
        form = EndpointInput(data=request.data, partial=partial)
        form.is_valid(raise_exception=True)
        with refusals():
            changed = service.update(actor_of(request), pk, form.validated_data, version=wanted)
        return _endpoint(request, changed)


class RotateSecret(WebhooksView):
    """`/api/webhooks/endpoints/{id}/rotate-secret/`."""

    @extend_schema(
        operation_id="webhooks_endpoints_rotate_secret",
        summary="Make a new secret",
        description=(
            "Takes no body. The old secret signs beside the new one until `old_secret_expires_at`:"
            " give the new one to the receiver until then. When the answer was lost, do it again."
        ),
        request=None,
        responses=SecretSerializer,
    )
    def post(self, request: Request, pk: int) -> Response:
        no_body(request)
        with refusals():
            secret = service.rotate(actor_of(request), pk)
        expires_at = service.old_secret_expires_at(pk, timezone.now())
        answer = SecretSerializer({"secret": secret, "old_secret_expires_at": expires_at})
        return Response(answer.data)


class SendTest(WebhooksView):
    """`/api/webhooks/endpoints/{id}/test/`."""

    @extend_schema(
        operation_id="webhooks_endpoints_test",
        summary="Send a sample",
        description=(
            "Once, at once, and also while the endpoint is disabled; it does not count for the"
            " health. Read the delivery at Location until it has succeeded or failed."
        ),
        parameters=[LOCATION],
        request=TestInput,
        responses={202: DeliverySerializer},
        examples=[OpenApiExample("A test", value={"event_type": "product.updated"})],
    )
    def post(self, request: Request, pk: int) -> Response:
        form = TestInput(data=request.data)
        form.is_valid(raise_exception=True)
        with refusals():
            delivery = service.send_test(actor_of(request), pk, form.validated_data["event_type"])
        return Response(
            DeliverySerializer(delivery, context={"request": request}).data,
            status=HTTPStatus.ACCEPTED,
            headers={"Location": reverse("webhook-delivery", [delivery.pk], request=request)},
        )


def _live(pk: int) -> Endpoint:
    with refusals():
        found: Endpoint = service.live().get(pk=pk)
    return found


def _version(endpoint: Endpoint) -> str:
    return str(endpoint.version)


def _context(request: Request, endpoint: Endpoint) -> dict[str, Any]:
    return {"request": request, "glances": at_a_glance([endpoint.pk])}


def _endpoint(request: Request, endpoint: Endpoint) -> Response:
    return Response(
        EndpointSerializer(endpoint, context=_context(request, endpoint)).data,
        headers={"ETag": etag(_version(endpoint))},
    )

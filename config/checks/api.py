"""REST API of checks: what there is, start some, and what each run has found."""

from http import HTTPStatus
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import generics
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config.api_input import StrictQuery
from config.api_pages import NewestFirst

from . import running
from .models import CheckRun
from .overview import rows
from .serializers import (
    CheckRunDetailSerializer,
    CheckRunSerializer,
    ChecksSerializer,
    NewRunsSerializer,
    RunListQuery,
    StartedSerializer,
    runs_of,
)


class Checks(StrictQuery, APIView):
    """`/api/checks/`: all checks; start some."""

    scope_area = "operations"
    schema_tag = "Checks"

    @extend_schema(
        operation_id="checks_list",
        summary="Checks of what is kept twice",
        description="Each with its run under way and the last that has ended.",
        responses=ChecksSerializer,
    )
    def get(self, request: Request) -> Response:
        return Response(ChecksSerializer({"results": rows()}, context={"request": request}).data)

    @extend_schema(
        operation_id="checks_start",
        summary="Run checks",
        description=(
            "One after the other, in this order: ledger, orders, sales, stock-trees, catalogue,"
            " webhooks, prices. One that is queued or running already is taken as it is, so sending"
            " this again does no harm. Read each run again until `ended` is true."
        ),
        request=NewRunsSerializer,
        responses={202: StartedSerializer},
        examples=[
            OpenApiExample("Two of them", {"checks": ["ledger", "orders"]}, request_only=True)
        ],
    )
    def post(self, request: Request) -> Response:
        form = NewRunsSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        runs = running.start(form.validated_data.get("checks", ()), by=request.user)
        return Response(runs_of(runs, request), HTTPStatus.ACCEPTED)


class RunList(StrictQuery, generics.ListAPIView):
    """`/api/checks/runs/`: all runs, newest first."""

    scope_area = "operations"
    schema_tag = "Checks"
    serializer_class = CheckRunSerializer
    pagination_class = NewestFirst
    query_classes = {"GET": RunListQuery}

    @extend_schema(
        operation_id="checks_runs_list",
        summary="Runs of checks, the newest first",
        description="By pages: follow `next` until it is null.",
        parameters=[RunListQuery],
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[CheckRun]:
        runs = CheckRun.objects.select_related("created_by").defer("findings")
        if getattr(self, "swagger_fake_view", False):
            return runs.none()
        name = self.query.get("check")
        return runs.filter(name=name) if name else runs


class RunDetail(StrictQuery, APIView):
    """`/api/checks/runs/{id}/`: how far it is, and what it found."""

    scope_area = "operations"
    schema_tag = "Checks"

    @extend_schema(
        operation_id="checks_runs_retrieve",
        summary="A run of a check with what it found",
        description="Read it again until `ended` is true. At most 1,000 findings are kept,"
        " of some checks fewer; `found` counts all.",
        responses=CheckRunDetailSerializer,
    )
    def get(self, request: Request, pk: int) -> Response:
        run = CheckRun.objects.select_related("created_by").filter(pk=pk).first()
        if run is None:
            raise NotFound("There is no such run. Old ones are let go of.")
        return Response(CheckRunDetailSerializer(run, context={"request": request}).data)

"""REST API of stock sync jobs. What a job found is in api_downloads.py and api_results.py."""

from http import HTTPStatus
from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import generics
from rest_framework.exceptions import APIException, NotFound, ParseError, ValidationError
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config.accounts.authentication import TokenAuthentication
from config.api_errors import Conflict, asking_a_job
from config.api_input import NAME_CHARACTERS, StrictQuery, no_body
from config.api_pages import NewestFirst
from config.api_schema import LOCATION, refused
from config.idempotency import answers
from stocksync.jobs import service
from stocksync.jobs.receiving import TooLarge, taking
from stocksync.models import Clock, SyncJob

from . import api_examples
from .serializers import NewSyncJobSerializer, SyncJobSerializer, SyncRepeatSerializer

SEEN_WITH = ("created_by", "events", "output", "rejects")  # what a snapshot shows of a job
EVENTS = (
    "A text file with one event a line, in JSON or as a Python dictionary with a `// comment`"
    ' behind it: `{"type": "ProductUpdated", "id": 1, "timestamp": 1579, "stock": 20}`. Lines that'
    " are no event are refused one by one and never fail the job. Follow it at Location."
)


class FileTooLarge(APIException):
    """More bytes than STOCKSYNC_MAX_BYTES."""

    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"


class SyncView(StrictQuery, APIView):
    """What all views of stock sync share."""

    scope_area = "stocksync"
    schema_tag = "Stock sync"


class JobList(StrictQuery, generics.ListAPIView):
    """`/api/stocksync/jobs/`: all jobs, newest first; create one from a multipart form."""

    scope_area = "stocksync"
    schema_tag = "Stock sync"
    serializer_class = SyncJobSerializer
    pagination_class = NewestFirst
    parser_classes = [MultiPartParser]
    queryset = SyncJob.objects.select_related(*SEEN_WITH)

    def get_authenticators(self) -> list:
        # A session's CSRF check would read the whole form before the user is known.
        if self.request is not None and self.request.method == "POST":
            return [TokenAuthentication()]
        return super().get_authenticators()

    @extend_schema(
        operation_id="stocksync_jobs_list",
        summary="Stock sync jobs, the newest first",
        description="By pages: follow `next` until it is null.",
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(
        operation_id="stocksync_jobs_create",
        summary="Synchronize a file of events (token only)",
        description=EVENTS,
        parameters=[LOCATION],
        request={"multipart/form-data": NewSyncJobSerializer},
        responses={202: SyncJobSerializer},
    )
    def post(self, request: Request) -> Response:
        with taking(request._request, request.user) as handler:
            try:
                form = NewSyncJobSerializer(data=request.data)
            except TooLarge as error:
                raise FileTooLarge(str(error)) from None
            except (SuspiciousOperation, LookupError) as error:  # too many fields, strange charset
                raise ParseError(f"This form can't be read: {error}") from None
            form.is_valid(raise_exception=True)
            if handler.left_out:
                name = handler.left_out[0][:NAME_CHARACTERS]
                raise ValidationError({name: ["Send one file, in the field `file`."]})
            job = service.begin(request.user, handler.stored, form.validated_data["clock"])
        return accepted(request, job)


class JobDetail(SyncView):
    """`/api/stocksync/jobs/{id}/`: state, position and counts."""

    @extend_schema(
        operation_id="stocksync_jobs_retrieve",
        summary="How far a stock sync job is",
        description="Read it again until `ended` is true, or follow it live at `events_url`.",
        responses=SyncJobSerializer,
        examples=[api_examples.answer("One that is done", api_examples.JOB)],
    )
    def get(self, request: Request, pk: int) -> Response:
        return Response(SyncJobSerializer(job_of(pk), context={"request": request}).data)


class CancelJob(SyncView):
    """`/api/stocksync/jobs/{id}/cancel/`."""

    @extend_schema(
        operation_id="stocksync_jobs_cancel",
        summary="Cancel; its output is not given out then",
        description="Takes no body. Rejects and counts stay as far as it came.",
        parameters=[LOCATION],
        request=None,
        responses={202: SyncJobSerializer, **refused(_409="It has ended already.")},
    )
    def post(self, request: Request, pk: int) -> Response:
        no_body(request)
        job = job_of(pk)
        if job.ended:
            raise Conflict(f"This job has ended already ({job.state}).")
        with asking_a_job():
            service.cancel(job.pk)
        return accepted(request, job)


class RepeatJob(SyncView):
    """`/api/stocksync/jobs/{id}/repeat/`."""

    @extend_schema(
        operation_id="stocksync_jobs_repeat",
        summary="Run again on the same events, e.g. with the other clock",
        description="Answers with the new job.",
        parameters=[answers.PARAMETER, LOCATION],
        request=SyncRepeatSerializer,
        responses={
            202: SyncJobSerializer,
            **refused(
                _409="It has not ended, or its events were let go of: send the file again."
                " `idempotency_conflict`: the key was used with another body."
            ),
        },
        examples=[OpenApiExample("One clock", {"clock": Clock.GLOBAL.value}, request_only=True)],
    )
    def post(self, request: Request, pk: int) -> Response | HttpResponse:
        job = job_of(pk)
        operation = f"stocksync.repeat.{job.pk}"
        return answers.once(request, operation, lambda: self._repeat(request, job))

    def _repeat(self, request: Request, job: SyncJob) -> Response:
        form = SyncRepeatSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        try:
            again = service.repeat(job, request.user, form.validated_data.get("clock", job.clock))
        except service.NotRepeatable as error:
            raise Conflict(str(error)) from None
        return accepted(request, again)


def job_of(pk: int) -> SyncJob:
    """The job with this id; NotFound."""
    job = SyncJob.objects.select_related(*SEEN_WITH).filter(pk=pk).first()
    if job is None:
        raise NotFound("There is no stock sync job with this id.")
    return job


def accepted(request: Request, job: SyncJob) -> Response:
    """The job's state as it is now, and where it can be asked for."""
    data = SyncJobSerializer(job_of(job.pk), context={"request": request}).data
    return Response(data, status=HTTPStatus.ACCEPTED, headers={"Location": data["url"]})

"""REST API of imports. The upload protocol is in tus.py."""

from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import generics, status
from rest_framework.exceptions import ParseError
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config.accounts.authentication import TokenAuthentication
from config.api_errors import Conflict, asking_a_job
from config.api_input import StrictQuery, no_body
from config.api_pages import NewestFirst
from config.api_schema import LOCATION, refused
from products.models import Import, ImportReject

from . import pipeline, uploads
from .multipart import BlockUploadHandler
from .reject_pages import RejectPages
from .serializers import (
    ImportSerializer,
    NewImportSerializer,
    RejectSerializer,
    RepeatSerializer,
)


class ImportList(StrictQuery, generics.ListAPIView):
    """`/api/imports/`: all imports, newest first; create one from a multipart form."""

    scope_area = "catalogue"
    schema_tag = "Imports"
    serializer_class = ImportSerializer
    pagination_class = NewestFirst
    parser_classes = [MultiPartParser]
    queryset = Import.objects.select_related("upload", "created_by")

    def get_authenticators(self) -> list:
        # A session's CSRF check would read the whole form before the user is known;
        # pages upload by tus, so that this entry is for tokens alone.
        if self.request is not None and self.request.method == "POST":
            return [TokenAuthentication()]
        return super().get_authenticators()

    @extend_schema(
        operation_id="imports_list",
        summary="Imports, the newest first",
        description="By pages: follow `next` until it is null.",
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(
        operation_id="imports_create",
        summary="Import a CSV file (token only)",
        description="Follow it at Location. For large files over weak lines see Uploads.",
        parameters=[LOCATION],
        request={"multipart/form-data": NewImportSerializer},
        responses={202: ImportSerializer},
    )
    def post(self, request: Request) -> Response:
        handler = BlockUploadHandler(request.user)
        request._request.upload_handlers = [handler]
        try:
            form = NewImportSerializer(data=request.data)
            form.is_valid(raise_exception=True)
        except (SuspiciousOperation, LookupError) as error:  # too many fields, unknown charset
            handler.upload_interrupted()
            raise ParseError(f"This form can't be read: {error}") from None
        except Exception:
            handler.upload_interrupted()
            raise
        options = uploads.ImportOptions(
            encoding=form.validated_data["encoding"],
            new_products_active=form.validated_data["new_products"] == "active",
            check_first=form.validated_data["check_first"],
        )
        job = uploads.start_import(form.validated_data["file"].upload, options)
        return _answer(request, job)


class ImportDetail(StrictQuery, APIView):
    """`/api/imports/{id}/`: state, position and counts."""

    scope_area = "catalogue"
    schema_tag = "Imports"

    @extend_schema(
        operation_id="imports_retrieve",
        summary="How far an import is",
        description="Its state, position and counts; live at `events_url`.",
        responses=ImportSerializer,
    )
    def get(self, request: Request, pk: int) -> Response:
        return Response(ImportSerializer(_import(pk), context={"request": request}).data)


class ImportAction(StrictQuery, APIView):
    """A change of one import's course; answers with its state."""

    scope_area = "catalogue"
    schema_tag = "Imports"

    def act(self, request: Request, job: Import) -> Import:
        raise NotImplementedError

    def answer(self, request: Request, pk: int) -> Response:
        try:
            job = self.act(request, _import(pk))
        except pipeline.NotRepeatable as error:
            raise Conflict(str(error)) from None
        return _answer(request, _import(job.pk))


class CancelImport(ImportAction):
    """`/api/imports/{id}/cancel/`."""

    @extend_schema(
        operation_id="imports_cancel",
        summary="Cancel; what was merged so far stays",
        description="Takes no body.",
        parameters=[LOCATION],
        request=None,
        responses={202: ImportSerializer, **refused(_409="It has ended already.")},
    )
    def post(self, request: Request, pk: int) -> Response:
        return self.answer(request, pk)

    def act(self, request: Request, job: Import) -> Import:
        no_body(request)
        if job.ended:
            raise Conflict(f"This import has ended already ({job.state}).")
        with asking_a_job():
            pipeline.cancel(job.pk)
        return job


class ApproveImport(ImportAction):
    """`/api/imports/{id}/approve/`."""

    @extend_schema(
        operation_id="imports_approve",
        summary="Say yes to a checked import",
        description="Takes no body.",
        parameters=[LOCATION],
        request=None,
        responses={202: ImportSerializer, **refused(_409="It does not wait for a yes.")},
    )
    def post(self, request: Request, pk: int) -> Response:
        return self.answer(request, pk)

    def act(self, request: Request, job: Import) -> Import:
        no_body(request)
        with asking_a_job():
            approved = pipeline.approve(job.pk)
        if not approved:
            raise Conflict("This import does not wait for a yes.")
        return job


class RepeatImport(ImportAction):
    """`/api/imports/{id}/repeat/`."""

    @extend_schema(
        operation_id="imports_repeat",
        summary="Run again from the stored file, e.g. in another encoding",
        description="Answers with the new import.",
        parameters=[LOCATION],
        request=RepeatSerializer,
        responses={
            202: ImportSerializer,
            **refused(_409="It has not ended, its file is gone, or it runs again already."),
        },
    )
    def post(self, request: Request, pk: int) -> Response:
        return self.answer(request, pk)

    def act(self, request: Request, job: Import) -> Import:
        form = RepeatSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        return pipeline.repeat(job, request.user, **form.validated_data)


class RejectList(StrictQuery, generics.ListAPIView):
    """`/api/imports/{id}/rejects/`: lines that did not go in, by line."""

    scope_area = "catalogue"
    schema_tag = "Imports"
    serializer_class = RejectSerializer
    pagination_class = RejectPages

    @extend_schema(
        operation_id="imports_rejects",
        summary="Lines that did not go in, by line",
        description=(
            "Each with why. By pages: follow `next` until it is null. A page of long lines has"
            " fewer of them."
        ),
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[ImportReject]:
        if getattr(self, "swagger_fake_view", False):
            return ImportReject.objects.none()
        return _import(self.kwargs["pk"]).rejects.all()


def _answer(request: Request, job: Import) -> Response:
    """The import's state, and where it can be asked for."""
    data = ImportSerializer(job, context={"request": request}).data
    return Response(data, status=status.HTTP_202_ACCEPTED, headers={"Location": data["url"]})


def _import(pk: Any) -> Import:
    job = Import.objects.select_related("upload", "created_by").filter(pk=pk).first()
    if job is None:
        raise Http404
    return job

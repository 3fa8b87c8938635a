"""REST API of imports. The upload protocol is in tus.py."""

from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.db.models import QuerySet
from django.http import Http404
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import generics, status
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config.accounts.authentication import TokenAuthentication
from config.api_pages import ByLine, NewestFirst
from products.models import Import, ImportReject

from . import pipeline, uploads
from .multipart import BlockUploadHandler
from .serializers import (
    ImportSerializer,
    NewImportSerializer,
    RejectSerializer,
    RepeatSerializer,
)


class Conflict(APIException):
    """The import's state does not allow this."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


class ImportList(generics.ListAPIView):
    """`/api/imports/`: all imports, newest first; create one from a multipart form."""

    scope_area = "catalogue"
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
        summary="Import a CSV file (token only)",
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
        return Response(
            ImportSerializer(job).data,
            status=status.HTTP_202_ACCEPTED,
            headers={"Location": request.build_absolute_uri(reverse("import", args=[job.pk]))},
        )


class ImportDetail(generics.RetrieveAPIView):
    """`/api/imports/{id}/`: state, position and counts."""

    scope_area = "catalogue"
    serializer_class = ImportSerializer
    queryset = Import.objects.select_related("upload", "created_by")


class ImportAction(APIView):
    """A change of one import's course; answers with its state."""

    scope_area = "catalogue"

    def act(self, request: Request, job: Import) -> Import:
        raise NotImplementedError

    def post(self, request: Request, pk: int) -> Response:
        try:
            job = self.act(request, _import(pk))
        except pipeline.NotRepeatable as error:
            raise Conflict(str(error)) from None
        return Response(ImportSerializer(_import(job.pk)).data, status=status.HTTP_202_ACCEPTED)


@extend_schema(
    summary="Cancel; what was merged so far stays",
    request=None,
    responses={202: ImportSerializer},
)
class CancelImport(ImportAction):
    def act(self, request: Request, job: Import) -> Import:
        if job.ended:
            raise Conflict(f"This import has ended already ({job.state}).")
        pipeline.cancel(job.pk)
        return job


@extend_schema(
    summary="Say yes to a checked import", request=None, responses={202: ImportSerializer}
)
class ApproveImport(ImportAction):
    def act(self, request: Request, job: Import) -> Import:
        if not pipeline.approve(job.pk):
            raise Conflict("This import does not wait for a yes.")
        return job


@extend_schema(
    summary="Run again from the stored file, e.g. in another encoding",
    request=RepeatSerializer,
    responses={202: ImportSerializer},
)
class RepeatImport(ImportAction):
    def act(self, request: Request, job: Import) -> Import:
        form = RepeatSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        return pipeline.repeat(job, request.user, **form.validated_data)


class RejectList(generics.ListAPIView):
    """`/api/imports/{id}/rejects/`: lines that did not go in, by line."""

    scope_area = "catalogue"
    serializer_class = RejectSerializer
    pagination_class = ByLine

    def get_queryset(self) -> QuerySet[ImportReject]:
        if getattr(self, "swagger_fake_view", False):
            return ImportReject.objects.none()
        return _import(self.kwargs["pk"]).rejects.all()


def _import(pk: Any) -> Import:
    job = Import.objects.select_related("upload", "created_by").filter(pk=pk).first()
    if job is None:
        raise Http404
    return job

"""REST API of what is done to many products: bulk changes, delete all, and their undo."""

from http import HTTPStatus
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import generics
from rest_framework.exceptions import APIException, NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from config.accounts.actors import actor_of
from config.api_errors import Busy, Conflict, asking_a_job
from config.api_input import StrictQuery, no_body
from config.api_pages import NewestFirst
from config.api_schema import LOCATION, refused
from products.models import BulkChange, Deletion, Product

from . import bulk, delete_all, deletions
from .api import CatalogueView
from .api_refusals import refusals
from .bulk_serializers import (
    CONFIRMATION,
    BulkBegunSerializer,
    BulkChangeSerializer,
    BulkInput,
    DeleteAllInput,
    DeletionSerializer,
)
from .serializers import filter_of

DONE_OR_QUEUED = {200: BulkChangeSerializer, 202: BulkChangeSerializer}
NO_BODY = "Takes no body."


class Merging(APIException):
    """An import stands in the way of *delete all*."""

    status_code = HTTPStatus.CONFLICT
    default_code = "import_merging"

    def __init__(self, error: delete_all.ImportMerging, request: Request) -> None:
        super().__init__(str(error))
        self.other = {
            "id": error.import_id,
            "url": reverse("import", [error.import_id], request=request),
        }


class NotRestorable(APIException):
    """An undo is not possible now."""

    status_code = HTTPStatus.CONFLICT
    default_code = "not_restorable"


class NotKept(APIException):
    """An undo is not possible any more."""

    status_code = HTTPStatus.GONE
    default_code = "not_kept"


class ProductBulk(CatalogueView):
    """`/api/products/bulk/`."""

    schema_tag = "Bulk changes"

    @extend_schema(
        operation_id="products_bulk",
        summary="Activate, deactivate or delete many products",
        description=(
            "Few are done at once (200, `state` is done); more are a job for a worker (202):"
            " follow Location. Products made later than the request stay as they are. `ids` of no"
            " product are left out: `missing` counts them."
        ),
        parameters=[LOCATION],
        request=BulkInput,
        responses={
            200: BulkBegunSerializer,
            202: BulkBegunSerializer,
            **refused(_409="Search is being prepared and shows only a part of what matches."),
        },
        examples=[
            OpenApiExample("By id", {"action": "activate", "ids": [7, 8]}, request_only=True),
            OpenApiExample(
                "By search",
                {"action": "deactivate", "filter": {"search": "lamp", "active": True}},
                request_only=True,
            ),
            OpenApiExample(
                "All", {"action": "activate", "filter": {}, "everything": True}, request_only=True
            ),
        ],
    )
    def post(self, request: Request) -> Response:
        form = BulkInput(data=request.data)
        form.is_valid(raise_exception=True)
        given = form.validated_data
        which = filter_of(given["filter"]) if "filter" in given else None
        ids = given.get("ids")
        missing = [] if ids is None else _missing(set(ids))
        with refusals(request):
            change = bulk.start(actor_of(request), given["action"], ids=ids, filter=which)
        context = {"request": request, "missing_ids": missing}
        return _begun(change, BulkBegunSerializer(change, context=context).data)


class BulkChangeList(StrictQuery, generics.ListAPIView):
    """`/api/bulk-changes/`."""

    scope_area = "catalogue"
    schema_tag = "Bulk changes"
    serializer_class = BulkChangeSerializer
    pagination_class = NewestFirst
    queryset = BulkChange.objects.select_related("deletion")

    @extend_schema(
        operation_id="bulk_changes_list",
        summary="Bulk changes, the newest first",
        description="By pages: follow `next` until it is null.",
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class BulkChangeDetail(CatalogueView):
    """`/api/bulk-changes/{id}/`."""

    schema_tag = "Bulk changes"

    @extend_schema(
        operation_id="bulk_changes_retrieve",
        summary="How far a bulk change is",
        description="Read it again until `ended` is true, or follow it live at `events_url`.",
        responses=BulkChangeSerializer,
    )
    def get(self, request: Request, pk: int) -> Response:
        return Response(_shown(request, _found(pk)))


class CancelBulkChange(CatalogueView):
    """`/api/bulk-changes/{id}/cancel/`."""

    schema_tag = "Bulk changes"

    @extend_schema(
        operation_id="bulk_changes_cancel",
        summary="Cancel; what was done so far stays",
        description=NO_BODY,
        request=None,
        responses={202: BulkChangeSerializer, **refused(_409="It has ended already.")},
    )
    def post(self, request: Request, pk: int) -> Response:
        no_body(request)
        change = _found(pk)
        if change.ended:
            raise Conflict(f"This bulk change has ended already ({change.state}).")
        with asking_a_job():
            bulk.cancel(pk)
        return Response(_shown(request, _found(pk)), status=HTTPStatus.ACCEPTED)


class DeleteAll(CatalogueView):
    """`/api/products/delete-all/`, for admins."""

    needed_right = "admin"
    schema_tag = "Deletions"

    @extend_schema(
        operation_id="products_delete_all",
        summary="Delete all products (admins)",
        description="At once, however many there are. Restorable for a day: see Location.",
        parameters=[LOCATION],
        request=DeleteAllInput,
        responses={
            200: DeletionSerializer,
            **refused(_409="An import is being merged: wait for its end, or cancel it."),
        },
        examples=[OpenApiExample("Yes", {"confirm": CONFIRMATION}, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        DeleteAllInput(data=request.data).is_valid(raise_exception=True)
        try:
            deletion = delete_all.delete_all(actor_of(request))
        except delete_all.ImportMerging as error:
            raise Merging(error, request) from None
        except delete_all.CatalogueBusy as error:
            raise Busy(str(error)) from error
        except delete_all.NoRightToKeep as error:
            raise Conflict(str(error)) from None
        data = DeletionSerializer(deletions.recent(deletion), context={"request": request}).data
        return Response(data, headers={"Location": data["url"]})


class DeletionList(StrictQuery, generics.ListAPIView):
    """`/api/deletions/`."""

    scope_area = "catalogue"
    schema_tag = "Deletions"
    serializer_class = DeletionSerializer
    pagination_class = NewestFirst
    queryset = deletions.listed()

    @extend_schema(
        operation_id="deletions_list",
        summary="What was deleted, the newest first",
        description="By pages: follow `next` until it is null.",
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    def paginate_queryset(self, queryset: Any) -> list[deletions.Recent]:
        return deletions.recents(super().paginate_queryset(queryset) or [])


class DeletionDetail(CatalogueView):
    """`/api/deletions/{id}/`."""

    schema_tag = "Deletions"

    @extend_schema(
        operation_id="deletions_retrieve",
        summary="One deletion",
        description="What was deleted, by whom, and whether it can still be brought back.",
        responses=DeletionSerializer,
    )
    def get(self, request: Request, pk: int) -> Response:
        recent = deletions.recent(_deletion(pk))
        return Response(DeletionSerializer(recent, context={"request": request}).data)


class UndoDeletion(CatalogueView):
    """`/api/deletions/{id}/undo/`."""

    schema_tag = "Deletions"

    @extend_schema(
        operation_id="deletions_undo",
        summary="Bring deleted products back",
        description=(
            "With their old ids. Those whose SKU is in use again are left out, and a later undo"
            f" tries them again. {NO_BODY}"
        ),
        parameters=[LOCATION],
        request=None,
        responses={
            **DONE_OR_QUEUED,
            **refused(
                _409="They were restored already, or it is still going on.",
                _410="They were kept for a day, which is over.",
            ),
        },
    )
    def post(self, request: Request, pk: int) -> Response:
        no_body(request)
        try:
            change = deletions.undo(actor_of(request), pk)
        except Deletion.DoesNotExist:
            raise NotFound(NO_DELETION) from None
        except deletions.NotRestorable as error:
            raise _refusal(_deletion(pk), str(error)) from None
        return _bulk_change(request, change)


NO_DELETION = "There is no such deletion."


def _refusal(deletion: Deletion, reason: str) -> APIException:
    restored = deletion.restored >= deletion.rows
    over = deletion.swept_at is not None or deletion.kept_until < timezone.now()
    return NotKept(reason) if over and not restored else NotRestorable(reason)


def _deletion(pk: int) -> Deletion:
    deletion = Deletion.objects.filter(pk=pk).first()
    if deletion is None:
        raise NotFound(NO_DELETION)
    return deletion


def _found(pk: int) -> BulkChange:
    change = BulkChange.objects.select_related("deletion").filter(pk=pk).first()
    if change is None:
        raise NotFound("There is no such bulk change.")
    return change


def _missing(ids: set[int]) -> list[int]:
    """Those of no product, in their order."""
    return sorted(ids.difference(Product.objects.filter(pk__in=ids).values_list("pk", flat=True)))


def _shown(request: Request, change: BulkChange) -> dict[str, Any]:
    return BulkChangeSerializer(change, context={"request": request}).data


def _bulk_change(request: Request, change: BulkChange) -> Response:
    return _begun(change, _shown(request, change))


def _begun(change: BulkChange, data: dict[str, Any]) -> Response:
    """200 where it is done, else 202: a worker does it."""
    status = HTTPStatus.OK if change.ended else HTTPStatus.ACCEPTED
    return Response(data, status=status, headers={"Location": data["url"]})

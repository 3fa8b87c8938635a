"""REST API of what a job found: trees, products, and what became of each event."""

import heapq
from operator import attrgetter
from typing import Any

from django.db.models import F, Q, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from config.api_errors import Conflict
from config.api_input import StrictQuery
from config.api_pages import ById
from config.api_schema import refused
from stocksync.models import SyncDecision, SyncJob, SyncProduct, SyncTree

from . import api_examples
from .api import SyncView, job_of
from .api_refusals import NOT_DONE, NOT_ENDED, Gone, check_done, check_ended, check_kept
from .serializers import (
    DecisionListQuery,
    SyncDecisionSerializer,
    SyncProductSerializer,
    SyncTreeSerializer,
    TreeListQuery,
)

PURGED = refused(_410="The job's results were let go of.")


class ByPlace(ById):
    ordering = "place"
    page_size = 100
    max_page_size = 1000


class BySeq(ById):
    ordering = "seq"
    page_size = 100
    max_page_size = 1000


class TreeList(StrictQuery, generics.ListAPIView):
    """`/api/stocksync/jobs/{id}/trees/`."""

    scope_area = "stocksync"
    schema_tag = "Stock sync"
    serializer_class = SyncTreeSerializer
    pagination_class = ByPlace
    query_classes = {"GET": TreeListQuery}

    @extend_schema(
        operation_id="stocksync_trees_list",
        summary="The trees that a job left, as they were created",
        description="By pages: follow `next` until it is null.",
        parameters=[TreeListQuery],
        responses={
            200: SyncTreeSerializer(many=True),
            **refused(_409=f"{NOT_ENDED} {NOT_DONE}"),
            **PURGED,
        },
        examples=[api_examples.answer("A tree of two products", api_examples.TREE)],
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[SyncTree]:
        if getattr(self, "swagger_fake_view", False):
            return SyncTree.objects.none()
        rows = SyncTree.objects.filter(job=_with_results(self.kwargs["pk"]))
        match self.query.get("state"):
            case "sold_out":
                return rows.filter(stock=0)
            case "some_ended":
                return rows.filter(active__lt=F("products"))
        return rows


class ProductDetail(SyncView):
    """`/api/stocksync/jobs/{id}/products/{product_id}/`."""

    @extend_schema(
        operation_id="stocksync_products_retrieve",
        summary="How a job left one product",
        description="Its stock, whether it is ended, and its tree.",
        responses={
            200: SyncProductSerializer,
            **refused(
                _404="There is no such job, or its events created no such product.",
                _409=f"{NOT_ENDED} {NOT_DONE}",
            ),
            **PURGED,
        },
        examples=[api_examples.answer("A child", api_examples.PRODUCT)],
    )
    def get(self, request: Request, pk: int, product_id: int) -> Response:
        job = _with_results(pk)
        product = _product(job, product_id)
        if product is None:
            raise NotFound("The events of this job created no product with this id.")
        tree = SyncTree.objects.filter(job=job, root_id=product.root_id).first()
        if tree is None:  # let go of since the job was read
            raise Gone
        shown = {name: getattr(product, name) for name in ("product_id", "stock", "active")}
        return Response(SyncProductSerializer({**shown, "tree": tree}).data)


class DecisionList(StrictQuery, generics.ListAPIView):
    """`/api/stocksync/jobs/{id}/decisions/`."""

    scope_area = "stocksync"
    schema_tag = "Stock sync"
    serializer_class = SyncDecisionSerializer
    pagination_class = BySeq
    query_classes = {"GET": DecisionListQuery}

    @extend_schema(
        operation_id="stocksync_decisions_list",
        summary="What became of each event of a job, and why",
        description=(
            "In the order in which they took effect; while the job goes on those so far, which"
            " `product_id` has to wait for. By pages: follow `next` until it is null."
        ),
        parameters=[DecisionListQuery],
        responses={
            200: SyncDecisionSerializer(many=True),
            **refused(
                _409=f"{NOT_DONE} `not_traced`: it has so many events that what became of each is"
                " not kept. `not_ended`: with `product_id` while it goes on."
            ),
            **PURGED,
        },
        examples=[api_examples.answer("An update that came too late", api_examples.STALE)],
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> "QuerySet[SyncDecision] | InOrder":
        if getattr(self, "swagger_fake_view", False):
            return SyncDecision.objects.none()
        job = job_of(self.kwargs["pk"])
        if job.ended:
            check_done(job)
        check_kept(job)
        if not job.traced:
            raise Conflict(
                "This job has too many events to keep what became of each. Its rejects are kept.",
                "not_traced",
            )
        rows = SyncDecision.objects.filter(job=job)
        rows = rows.filter(
            **{name: self.query[name] for name in ("verdict", "root_id") if name in self.query}
        )
        if "product_id" not in self.query:
            return rows
        check_ended(job)  # only then it is known which tree the product is in
        return _about(job, self.query["product_id"], rows)


class InOrder:
    """Lists of decisions as one by `seq`, as far as a paginator asks: each by its own index."""

    def __init__(self, *parts: QuerySet[SyncDecision], by: str = "seq") -> None:
        self._parts = parts
        self._by = by

    def order_by(self, by: str) -> "InOrder":
        return InOrder(*(part.order_by(by) for part in self._parts), by=by)

    def filter(self, *which: Q, **fields: Any) -> "InOrder":
        return InOrder(*(part.filter(*which, **fields) for part in self._parts), by=self._by)

    def __getitem__(self, window: slice) -> list[SyncDecision]:
        firsts = (part[: window.stop] for part in self._parts)
        found = heapq.merge(*firsts, key=attrgetter("seq"), reverse=self._by.startswith("-"))
        return list(found)[window]


def _about(job: SyncJob, product_id: int, rows: QuerySet[SyncDecision]) -> InOrder:
    """Those of `rows` that are about a product: in its tree, or from before it had one."""
    rows = rows.filter(product_id=product_id)
    product = _product(job, product_id)
    parts = [rows.filter(root_id=None)]
    if product is not None:
        parts.append(rows.filter(root_id=product.root_id))
    return InOrder(*parts)


def _with_results(pk: int) -> SyncJob:
    job = job_of(pk)
    check_done(job)
    check_kept(job)
    return job


def _product(job: SyncJob, product_id: int) -> SyncProduct | None:
    return SyncProduct.objects.filter(job=job, product_id=product_id).first()

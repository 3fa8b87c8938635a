"""REST API of products. Changes of many at once are in api_bulk.py."""

from http import HTTPStatus
from typing import Any

from django.db.models import Value
from django.db.models.functions import Lower
from django.http import HttpResponse, StreamingHttpResponse
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, OpenApiTypes, extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from config.accounts.actors import actor_of
from config.api_etags import etag, is_known, wanted_version
from config.api_input import StrictQuery
from config.api_pages import page_parameters, page_schema, page_size
from config.api_schema import ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION, Schema, refused
from config.idempotency import answers
from products.models import Product

from . import editing, export, history, search
from .api_refusals import refusals
from .serializers import (
    ORDERINGS,
    FilterQuery,
    HistorySerializer,
    ProductInput,
    ProductListQuery,
    ProductSerializer,
    SkuQuery,
    filter_of,
    totals,
)
from .versions import version

PAGE_SIZE = 50
MAX_PAGE_SIZE = 500
EXAMPLE = OpenApiExample(
    "A product",
    value={"sku": "AB-1", "name": "Desk lamp", "description": "Warm light", "active": True},
    request_only=True,
)


class CatalogueView(StrictQuery, APIView):
    """What all views of the catalogue share."""

    scope_area = "catalogue"
    schema_tag = "Products"


class ProductListSchema(Schema):
    """The list's pages are search.find's, so no paginator describes them."""

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        if self.method == "GET":
            operation["parameters"] += page_parameters(PAGE_SIZE, MAX_PAGE_SIZE)
            operation["parameters"].sort(key=lambda parameter: parameter["name"])
        return operation

    def map_page(self, rows: dict[str, Any]) -> dict[str, Any]:
        page = page_schema(rows)
        page["required"] += ["count", "count_exact", "search_complete"]
        page["properties"] |= {
            "count": {"type": "integer", "description": "Of all pages together."},
            "count_exact": {"type": "boolean", "description": "False: about so many."},
            "search_complete": {
                "type": "boolean",
                "description": "False while the search index is rebuilt: the search looks at the"
                " beginnings of SKU and name alone.",
            },
        }
        return page

    def _get_response_for_code(
        self, serializer: Any, status_code: str, *args: Any, **kw: Any
    ) -> Any:
        answer = super()._get_response_for_code(serializer, status_code, *args, **kw)
        if self.method == "GET" and status_code == "200":
            media = answer["content"]["application/json"]
            media["schema"] = self.map_page({"type": "array", "items": media["schema"]})
        return answer


class ProductList(CatalogueView):
    """`/api/products/`: list, create."""

    query_classes = {"GET": ProductListQuery}
    pagination_class = None
    schema = ProductListSchema()

    def _page_parameters(self) -> tuple[str, ...]:
        return "cursor", "page_size"

    @extend_schema(
        operation_id="products_list",
        summary="Find products",
        description="By pages: follow `next` until it is null.",
        parameters=[ProductListQuery],
        responses=ProductSerializer,
    )
    def get(self, request: Request) -> Response:
        given = request.query_params
        size = page_size(given.get("page_size"), default=PAGE_SIZE, most=MAX_PAGE_SIZE)
        cursor = given.get("cursor")
        with refusals(request):
            if cursor == "":
                raise search.BadCursor
            found = search.find(
                filter_of(self.query),
                ORDERINGS[self.query["ordering"]],
                cursor=cursor or "",
                size=size,
            )
        rows = ProductSerializer(found.rows, many=True, context={"request": request}).data
        return Response(
            {
                **totals(found.total),
                "search_complete": not found.degraded,
                "next": _page_url(request, found.next),
                "previous": _page_url(request, found.previous),
                "results": rows,
            }
        )

    @extend_schema(
        operation_id="products_create",
        summary="Add a product",
        description="Without `description` and `active` these get their defaults.",
        parameters=[answers.PARAMETER, ETAG, LOCATION],
        request=ProductInput,
        responses={
            201: ProductSerializer,
            **refused(
                _409="`sku_taken`: another product has the SKU, named in `other`."
                " `idempotency_conflict`: the key was used with another body."
            ),
        },
        examples=[EXAMPLE],
    )
    def post(self, request: Request) -> Response | HttpResponse:
        return answers.once(request, "products.create", lambda: self._create(request))

    def _create(self, request: Request) -> Response:
        form = ProductInput(data=request.data)
        form.is_valid(raise_exception=True)
        with refusals(request):
            product = editing.create(actor_of(request), form.validated_data)
        answer = _product(request, product, HTTPStatus.CREATED)
        answer.headers["Location"] = reverse("product", [product.pk], request=request)
        return answer


class ProductDetail(CatalogueView):
    """`/api/products/{id}/`."""

    @extend_schema(
        operation_id="products_retrieve",
        summary="One product",
        description="`ETag` is for `If-Match` with a change, and `If-None-Match` to read again.",
        parameters=[IF_NONE_MATCH, ETAG],
        responses={200: ProductSerializer, 304: OpenApiResponse(description="You have it.")},
    )
    def get(self, request: Request, pk: int) -> Response:
        with refusals(request):
            product = Product.objects.get(pk=pk)
        if is_known(request, version(product)):
            return Response(
                status=HTTPStatus.NOT_MODIFIED, headers={"ETag": etag(version(product))}
            )
        return _product(request, product)

    @extend_schema(
        operation_id="products_replace",
        summary="Replace a product's fields",
        description="Without `description` and `active` these get their defaults.",
        parameters=[IF_MATCH, ETAG],
        request=ProductInput,
        responses={
            200: ProductSerializer,
            **refused(_409="`sku_taken`: another product has the SKU, named in `other`."),
        },
        examples=[EXAMPLE],
    )
    def put(self, request: Request, pk: int) -> Response:
        return self._update(request, pk, partial=False)

    @extend_schema(
        operation_id="products_update",
        summary="Change some of a product's fields",
        description="What is left out stays as it is.",
        parameters=[IF_MATCH, ETAG],
        request=ProductInput,
        responses={
            200: ProductSerializer,
            **refused(_409="`sku_taken`: another product has the SKU, named in `other`."),
        },
        examples=[OpenApiExample("Switch it off", value={"active": False}, request_only=True)],
    )
    def patch(self, request: Request, pk: int) -> Response:
        return self._update(request, pk, partial=True)

    @extend_schema(
        operation_id="products_delete",
        summary="Delete a product",
        description="Restorable for a day: see `/api/deletions/`, where Location leads.",
        parameters=[IF_MATCH, LOCATION],
        responses={204: OpenApiResponse(description="Deleted.")},
    )
    def delete(self, request: Request, pk: int) -> Response:
        with refusals(request):
            wanted = wanted_version(request, version(Product.objects.get(pk=pk)))
            deletion = editing.delete(actor_of(request), pk, version=wanted)
        return Response(
            status=HTTPStatus.NO_CONTENT,
            headers={"Location": reverse("deletion", [deletion.pk], request=request)},
        )

    def _update(self, request: Request, pk: int, *, partial: bool) -> Response:
        with refusals(request):
            wanted = wanted_version(request, version(Product.objects.get(pk=pk)))
            form = ProductInput(data=request.data, partial=partial)
            form.is_valid(raise_exception=True)
            product = editing.update(actor_of(request), pk, form.validated_data, version=wanted)
        return _product(request, product)


class ProductBySku(CatalogueView):
    """`/api/products/by-sku/?sku=…`."""

    query_classes = {"GET": SkuQuery}

    @extend_schema(
        operation_id="products_by_sku",
        summary="The product with a SKU",
        description="As one product by its id is answered; case makes no difference.",
        parameters=[SkuQuery, ETAG],
        responses={200: ProductSerializer, **refused(_404="No product has this SKU.")},
    )
    def get(self, request: Request) -> Response:
        # Lowered by the database, as its unique index does.
        sku = self.query["sku"].strip()
        same = Product.objects.alias(key=Lower("sku")).filter(key=Lower(Value(sku)))
        with refusals(request):
            product = same.get()
        return _product(request, product)


class ProductHistory(CatalogueView):
    """`/api/products/{id}/history/`."""

    @extend_schema(
        operation_id="products_history",
        summary="Who changed a product",
        description="The last 20 entries, the newest first; also of a product that is deleted.",
        responses=HistorySerializer,
    )
    def get(self, request: Request, pk: int) -> Response:
        with refusals(request):
            entries = history.latest(pk)
            if not entries and not Product.objects.filter(pk=pk).exists():
                raise Product.DoesNotExist
        return Response(HistorySerializer({"results": entries}).data)


class ProductExport(CatalogueView):
    """`/api/products/export.csv`."""

    query_classes = {"GET": FilterQuery}

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """CSV or an error, whatever is accepted: there is nothing else to give."""
        renderer = JSONRenderer()
        return renderer, renderer.media_type

    @extend_schema(
        operation_id="products_export",
        summary="Products as a CSV file",
        description=(
            "`sku,name,description,active` in UTF-8, in the order in which they were added."
            " Importing it again changes nothing, so no cell is changed to keep a spreadsheet from"
            " taking it for a formula."
        ),
        parameters=[FilterQuery],
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        return export.response(request, filter_of(self.query))


def _product(request: Request, product: Product, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(
        ProductSerializer(product, context={"request": request}).data,
        status=status,
        headers={"ETag": etag(version(product))},
    )


def _page_url(request: Request, cursor: str) -> str | None:
    if not cursor:
        return None
    return replace_query_param(request.build_absolute_uri(), "cursor", cursor)

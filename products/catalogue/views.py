"""The list page of the catalogue: its whole state is in its address."""

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from config.listing import total
from products.models import BulkChange, Import, ImportState, Product

from . import bulk_words, search
from .filters import Filter
from .search_terms import is_indexed

NEWEST = "newest"
MOST_UNDER_WAY = 5  # bulk changes that the list tells of
ORDERS = {NEWEST: "newest first", "sku": "by SKU", "name": "by name"}


@require_safe
def product_list(request: HttpRequest) -> HttpResponse:
    """Products by `q`, `state`, `sort` and `cursor`; for htmx only what depends on these."""
    filter = Filter.from_query(request.GET)
    sort = request.GET.get("sort", NEWEST)
    if sort not in search.SORTS:
        sort = NEWEST
    part = bool(request.htmx)
    context = {
        "filter": filter,
        "sort": sort,
        "order": ORDERS[sort],
        "words": search.words(filter.search),
        "part": part,
        **_page(filter, sort, request.GET.get("cursor", "")),
        **_addresses(filter, sort),
        # Where a product's own page leads back to.
        "back": urlencode({"next": request.get_full_path()}) if request.GET else "",
        "merging": Import.objects.filter(state=ImportState.MERGING)
        .select_related("upload")
        .first(),
        "under_way": _under_way(),
    }
    found = context["found"]
    # The words that were looked for in descriptions too.
    looked_for_anywhere = [] if found and found.degraded else context["words"]
    context["words_anywhere"] = [word for word in looked_for_anywhere if is_indexed(word)]
    nothing = found is not None and not found.rows
    context["nothing_yet"] = nothing and filter.everything
    context["no_products"] = nothing and (filter.everything or not Product.objects.exists())
    if found is not None and filter.everything:
        context["catalogue"] = found.total
    elif not part:
        context["catalogue"] = total(Product)
    if not part:
        context["last_import"] = Import.objects.filter(state=ImportState.DONE).first()
    response = render(request, f"products/{'part' if part else 'list'}.html", context)
    patch_vary_headers(response, ["HX-Request"])
    return response


def _under_way() -> list[dict[str, Any]]:
    """The bulk changes that have not ended, the oldest first: by the index of the open ones."""
    running = BulkChange.objects.exclude(state__in=BulkChange.ENDED).order_by("pk")
    return [
        {"id": change.pk, "words": bulk_words.under_way(change)}
        for change in running[:MOST_UNDER_WAY]
    ]


def _page(filter: Filter, sort: str, cursor: str) -> dict[str, Any]:
    """What was found, None where that takes too long, and the addresses of the pages beside it."""
    lost = False
    try:
        try:
            found = search.find(filter, sort, cursor=cursor)
        except search.BadCursor:
            lost = True
            found = search.find(filter, sort)
    except search.SearchTooBroad:
        return {"found": None, "lost": lost}
    return {
        "found": found,
        "lost": lost,
        "previous": found.previous and _address(filter, sort, cursor=found.previous),
        "next": found.next and _address(filter, sort, cursor=found.next),
    }


def _addresses(filter: Filter, sort: str) -> dict[str, Any]:
    """Of the same list with another state or order, and of what begins with this search."""
    states = (("all", "All", None), ("active", "Active", True), ("inactive", "Inactive", False))
    return {
        "states": [
            {
                "key": key,
                "name": name,
                "url": _address(Filter(filter.search, active), sort),
                "current": active == filter.active,
            }
            for key, name, active in states
        ],
        # The column that the list is sorted by leads back to the newest first.
        "by_sku": _address(filter, NEWEST if sort == "sku" else "sku"),
        "by_name": _address(filter, NEWEST if sort == "name" else "name"),
        "by_newest": _address(filter, NEWEST),
        "without_search": _address(Filter("", filter.active), sort),
        "without_state": _address(Filter(filter.search), sort),
        "without_filter": _address(Filter(), sort),
        "export_query": urlencode(filter.query()),
        "sku_query": urlencode({"sku": filter.search}),
    }


def _address(filter: Filter, sort: str, **more: str) -> str:
    """Of the list; what is as usual is left out."""
    query = filter.query() | ({} if sort == NEWEST else {"sort": sort}) | more
    address = reverse("products:list")
    return f"{address}?{urlencode(query)}" if query else address

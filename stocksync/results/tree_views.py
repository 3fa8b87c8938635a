"""Pages of one tree and of one product of a job: what happened to it and why."""

from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from stocksync.engine.events import MOST
from stocksync.models import SyncTree

from . import ignored, tree_events, trees
from .views import edges, with_files

NO_ID = "Write the product's id: a whole number."
DIGITS = 1000  # int() takes few more
TOO_LARGE = f"That is no product's id: ids go up to {MOST}."


@require_safe
def tree(request: HttpRequest, pk: int, root_id: int) -> HttpResponse:
    """A tree: its products, and its events (or those of `product` in it) with their effect."""
    job = get_object_or_404(with_files(), pk=pk)
    found = get_object_or_404(SyncTree, job=job, root_id=root_id)
    product = _number(request, "product")
    where = trees.product(job, product) if product is not None else None
    if where is not None and where.root_id != root_id:
        where = None
    at = edges(request, "products_")
    if where is not None and at == {"before": None, "after": None} and where.place > found.place:
        at["after"] = trees.place_for(where)
    # Of a large tree its own events are looked for first.
    asked = request.GET.get("events") or ("product" if found.products > trees.PRODUCTS else "tree")
    only = where is not None and asked == "product"
    context: dict[str, Any] = {
        "job": job,
        "tree": found,
        "state": trees.state_of(found),
        "chosen": where,
        "only": only,
        "products": trees.products(found, **at),
    }
    if job.traced:
        one = where.product_id if where is not None and only else None
        context["events"] = tree_events.find(job, root_id, one, **edges(request))
    return render(request, "stocksync/tree.html", context)


@require_safe
def find_product(request: HttpRequest, pk: int) -> HttpResponse:
    """From a form's `id` to the product's page."""
    found = _number(request, "id")
    if found is None or found > MOST:
        messages.warning(request, NO_ID if found is None else TOO_LARGE)
        return redirect("stocksync:job", pk=pk)
    return redirect("stocksync:product", pk=pk, product_id=found)


@require_safe
def product(request: HttpRequest, pk: int, product_id: int) -> HttpResponse:
    """To the tree of a product; for one that was never created the events that waited for it."""
    job = get_object_or_404(with_files(), pk=pk)
    found = trees.product(job, product_id)
    if found is not None:
        query = {"product": product_id}
        return redirect(reverse("stocksync:tree", args=[pk, found.root_id], query=query))
    events = tree_events.as_rows(job, ignored.orphans(job, product_id)) if job.traced else []
    context = {
        "job": job,
        "product_id": product_id,
        "events": events,
        "most": MOST if product_id > MOST else None,
    }
    status = HTTPStatus.OK if events else HTTPStatus.NOT_FOUND
    return render(request, "stocksync/product.html", context, status=status)


def _number(request: HttpRequest, name: str) -> int | None:
    """A whole number from the query, of up to DIGITS digits: ids have 19. None: it is none."""
    text = request.GET.get(name, "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= DIGITS else None

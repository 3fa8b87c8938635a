"""Pages of changes of many products: ask with the count before, do, show how far it is, undo."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect, trigger_client_event

from config.accounts.actors import actor_of
from config.accounts.permissions import requires
from config.listing import Total
from products.models import BulkAction, BulkChange, BulkState, Deletion, Product

from . import bulk, bulk_words, deletions, search
from .bulk_progress import snapshot
from .filters import Filter
from .places import place_before

ACTIONS = (BulkAction.ACTIVATE, BulkAction.DEACTIVATE, BulkAction.DELETE)
MAX_ID = 2**63
ID_DIGITS = 19


@require_http_methods(["GET", "HEAD", "POST"])
@requires("catalogue:write")
def bulk_change(request: HttpRequest) -> HttpResponse:
    """Change the ticked products, or with `everything` all that match `q` and `state`.

    Deleting, and whatever is not ticked one by one, is asked back first.
    """
    action = request.POST.get("action", "")
    if action not in ACTIONS:  # also a reload after signing in again
        return redirect(place_before(request))
    which = Filter.from_query(request.POST) if request.POST.get("everything") else None
    if which is not None and which.everything and action == BulkAction.DELETE:
        address = reverse("products:delete-all")  # for admins, and instant
        return HttpResponseClientRedirect(address) if request.htmx else redirect(address)
    ids = None if which is not None else _ids(request.POST)
    if ids is not None and not 0 < len(ids) <= bulk.MAX_IDS:
        said = f"Tick at most {bulk.MAX_IDS:,} products." if ids else "Tick the products first."
        messages.warning(request, said)
        return _back(request)
    few = ids is not None and len(ids) <= settings.BULK_AT_ONCE
    if request.POST.get("confirmed") or (few and action != BulkAction.DELETE):
        try:
            change = bulk.start(actor_of(request), BulkAction(action), ids=ids, filter=which)
        except search.SearchIncomplete as error:
            messages.warning(request, str(error))
            return _back(request)
        return _went(request, change)
    return _ask(request, BulkAction(action), ids, which)


def _ids(form: QueryDict) -> list[int]:
    given = (text for text in form.getlist("ids") if len(text) <= ID_DIGITS)
    found = {int(text) for text in given if text.isascii() and text.isdigit()}
    return sorted(each for each in found if each < MAX_ID)


def _ask(
    request: HttpRequest, action: BulkAction, ids: list[int] | None, which: Filter | None
) -> HttpResponse:
    """The question with the count before."""
    count = _count(ids, which)
    if not count.rows:
        messages.info(request, "There are no such products any more.")
        return _back(request)
    what = bulk_words.products(count.rows) if which is None else bulk_words.of_filter(which, count)
    context = {
        "action": action.value,
        "verb": bulk_words.VERBS[action],
        "what": what,
        "count": bulk_words.products(count.rows),
        "total": count,
        "large": count.rows > settings.BULK_AT_ONCE,
        "ids": ids,
        "filter": which,
        "undo_for": bulk_words.hours(settings.UNDO_HOURS),
        "back": place_before(request),
        "in_panel": bool(request.htmx),
    }
    part = "_part" if request.htmx else ""
    return render(request, f"products/bulk_question{part}.html", context)


def _count(ids: list[int] | None, which: Filter | None) -> Total:
    if which is None:
        return Total(Product.objects.filter(pk__in=ids or []).count(), exact=True)
    return search.count(which)


def _went(request: HttpRequest, change: BulkChange) -> HttpResponse:
    """Back to the list with what was done, or to the page that shows it being done."""
    back = place_before(request)
    if not change.ended:
        address = reverse("products:bulk-change", args=[change.pk], query={"next": back})
        return HttpResponseClientRedirect(address) if request.htmx else redirect(address)
    level = messages.success if change.state == BulkState.DONE else messages.warning
    undo = change.action == BulkAction.DELETE and change.deletion_id is not None
    tags = f"undo-{change.deletion_id}" if undo else ""
    level(request, bulk_words.outcome(change), extra_tags=tags)
    return _back(request)


def _back(request: HttpRequest) -> HttpResponse:
    """To the page before with the message, or the message alone into the list's page."""
    if not request.htmx:
        return redirect(place_before(request))
    if urlsplit(request.htmx.current_url or "").path != reverse("products:list"):
        return HttpResponseClientRedirect(place_before(request))
    response = render(request, "products/product_said.html")
    return trigger_client_event(response, "products-changed", {}, after="swap")


@require_safe
def bulk_page(request: HttpRequest, pk: int) -> HttpResponse:
    """One bulk change: how far it is, what it did; its part alone for htmx."""
    change = get_object_or_404(BulkChange.objects.select_related("deletion"), pk=pk)
    return render(
        request,
        "products/bulk_change_part.html" if request.htmx else "products/bulk_change.html",
        {**_bulk_context(change), "back": place_before(request)},
    )


def _bulk_context(change: BulkChange) -> dict[str, Any]:
    action = BulkAction(change.action)
    state = snapshot(change)
    deletion = change.deletion if action == BulkAction.DELETE and change.ended else None
    undoable = deletion is not None and not deletions.recent(deletion).why_not
    return {
        "change": change,
        "snapshot": state,
        "title": bulk_words.title(change),
        "words": bulk_words.progress(change),
        "left": "" if change.ended else bulk_words.left(state["seconds_left"]),
        "done": bulk_words.DONE[action],
        "were": bulk_words.left_out(action),
        "others": change.matched - change.changed,
        "deletion": deletion,
        "undo": deletion.pk if deletion is not None and undoable else None,
    }


@require_POST
@requires("catalogue:write")
def cancel_bulk_change(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop it; what was done so far stays."""
    change = get_object_or_404(BulkChange, pk=pk)
    try:
        bulk.cancel(change.pk)
    except OperationalError:
        messages.error(request, "It could not be stopped just now. Try again in a moment.")
    address = reverse("products:bulk-change", args=[pk], query={"next": place_before(request)})
    return redirect(address)


@require_POST
@requires("catalogue:write")
def undo_deletion(request: HttpRequest, pk: int) -> HttpResponse:
    """Restore what a deletion took."""
    try:
        change = deletions.undo(actor_of(request), pk)
    except Deletion.DoesNotExist:
        messages.error(request, "This deletion is not known any more.")
    except deletions.NotRestorable as why:
        messages.error(request, str(why))
    except OperationalError:
        messages.error(request, "The products could not be restored just now. Try again.")
    else:
        return _went(request, change)
    return _back(request)

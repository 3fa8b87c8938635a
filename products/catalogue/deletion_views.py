"""Pages of deletions: delete all, and what was deleted lately."""

from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from config.accounts.actors import actor_of
from config.accounts.permissions import requires
from config.listing import newest_first, row_id
from products.models import Import, ImportState, Product

from . import delete_all, deletions
from .bulk_words import hours, products
from .places import place_before

CONFIRM = "DELETE ALL"
SPLIT_UP_TO = 1_000_000  # products of which counting the active ones takes a tenth of a second


@require_http_methods(["GET", "HEAD", "POST"])
@requires("catalogue:admin")
def delete_all_page(request: HttpRequest) -> HttpResponse:
    """Show what goes and ask for the words; then delete all products."""
    if request.method != "POST":
        return _ask(request)
    if request.POST.get("confirm", "").strip() != CONFIRM:
        said = f"Type {CONFIRM} to confirm, in capitals."
        return _ask(request, wrong=said, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    if not Product.objects.exists():
        messages.info(request, "There was nothing to delete.")
        return redirect("products:list")
    try:
        deletion = delete_all.delete_all(actor_of(request))
    except delete_all.ImportMerging:
        return _ask(request, status=HTTPStatus.CONFLICT)  # the page says which import
    except (delete_all.CatalogueBusy, delete_all.NoRightToKeep) as error:
        return _ask(request, refused=str(error), status=HTTPStatus.CONFLICT)
    every = "All " if deletion.rows > 1 else ""
    text = f"{every}{products(deletion.rows)} deleted."
    messages.success(request, text, extra_tags=f"undo-{deletion.pk}")
    return redirect("products:list")


def _ask(
    request: HttpRequest, *, wrong: str = "", refused: str = "", status: int = HTTPStatus.OK
) -> HttpResponse:
    preview = delete_all.preview()
    done = Import.objects.filter(state=ImportState.DONE).order_by("-finished_at")
    context: dict[str, Any] = {
        "preview": preview,
        "merging": Import.objects.filter(pk=preview.merging).select_related("upload").first(),
        "last_import": done.select_related("upload").first(),
        "confirm": CONFIRM,
        "wrong": wrong,
        "refused": refused,
        "undo_for": hours(settings.UNDO_HOURS),
        "back": place_before(request),
    }
    if preview.products.rows <= SPLIT_UP_TO:
        active = Product.objects.filter(active=True).count()
        inactive = Product.objects.filter(active=False).count()
        context["split"] = (active, inactive, active + inactive)
    return render(request, "products/delete_all.html", context, status=status)


@require_safe
def deleted(request: HttpRequest) -> HttpResponse:
    """What was deleted lately, with an Undo each, newest first."""
    page = newest_first(
        deletions.listed().filter(kept_until__gt=timezone.now()),
        before=row_id(request, "before"),
        after=row_id(request, "after"),
    )
    context = {
        "page": page,
        "deletions": deletions.recents(page.rows),
        "undo_for": hours(settings.UNDO_HOURS),
    }
    return render(request, "products/deleted.html", context)

"""Pages of one product: add, see, edit, delete; each also as a part for the list's dialog."""

import hashlib
import json
import uuid
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db import OperationalError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods
from django_htmx.http import trigger_client_event

from config.accounts.actors import Actor, actor_of
from config.accounts.permissions import requires
from config.idempotency.models import GivenAnswer
from products.models import ChangeAction, DeletedProduct, DeletionKind, Product

from . import deletions, editing, history
from .bulk_words import hours
from .forms import ProductForm
from .places import place_before
from .versions import version as version_of

PAGE = ["GET", "HEAD", "POST"]
ONCE = "products.create-page"
ONCE_CHARACTERS = 64


@require_http_methods(PAGE)
@requires("catalogue:write")
def new_product(request: HttpRequest) -> HttpResponse:
    """Add a product. Sent twice with the same key it is made once."""
    if request.method != "POST":
        form = ProductForm(initial={"sku": request.GET.get("sku", "")})
        return _show_form(request, form, once=uuid.uuid4().hex)
    form = ProductForm(request.POST)
    once = request.POST.get("once", "").replace("\0", "")[:ONCE_CHARACTERS] or uuid.uuid4().hex
    if form.is_valid():
        try:
            product = _create_once(actor_of(request), form.cleaned_data, once)
        except editing.SkuTaken as taken:
            form.refuse_sku(taken.other)
        except editing.Busy as busy:
            form.add_error(None, str(busy))
        else:
            return _added(request, product)
    return _show_form(request, form, once=once, status=HTTPStatus.UNPROCESSABLE_ENTITY)


def _added(request: HttpRequest, product: Product) -> HttpResponse:
    """With a link to it: the list may show a search that it does not match."""
    text, tag = f"{product.name} is added.", f"added-{product.pk}" if product.pk else ""
    return _done(request, text, "product-created", tag=tag, id=product.pk)


def _create_once(actor: Actor, values: dict[str, Any], once: str) -> Product:
    """The product made with the form's key, now or when the form was sent before.

    The key of a form that is sent with other values (Back, then another product) is no key.
    """
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    with transaction.atomic():
        answer, first = GivenAnswer.objects.get_or_create(
            owner=actor.user, operation=ONCE, key=once, defaults={"request_digest": digest}
        )
        if not first and answer.request_digest != digest:
            return editing.create(actor, values)
        if not first:
            made = Product.objects.filter(pk=(answer.body or {}).get("id")).first()
            return made if made is not None else Product(**values)
        product = editing.create(actor, values)
        answer.status, answer.body = HTTPStatus.CREATED, {"id": product.pk}
        answer.save(update_fields=["status", "body"])
    return product


@require_http_methods(PAGE)
@requires("catalogue:write", unsafe_only=True)
def product(request: HttpRequest, pk: int) -> HttpResponse:
    """One product with its history: to edit for editors, to read for viewers."""
    found = Product.objects.filter(pk=pk).first()
    if found is None and request.method == "POST":
        return _lost(request, pk)
    if found is None:
        return _gone(request, pk)
    if request.method != "POST":
        return _show_form(request, ProductForm(product=found), found)
    form = ProductForm(request.POST, product=found)
    if not form.is_valid():
        return _show_form(request, form, found, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    return _save(request, form, found, request.POST.get("version", ""))


def _save(request: HttpRequest, form: ProductForm, found: Product, seen: str) -> HttpResponse:
    """Save the changes if the product's version is still the one that was `seen`."""
    changes = form.changes()
    if not changes:
        return _done(request, f"{found.name}: nothing was changed.", "product-saved", id=found.pk)
    try:
        saved = editing.update(actor_of(request), found.pk, changes, version=seen)
    except Product.DoesNotExist:
        return _lost(request, found.pk)
    except editing.Stale as stale:
        return _stale(request, form, stale.current)
    except editing.SkuTaken as taken:
        form.refuse_sku(taken.other)
        status = HTTPStatus.UNPROCESSABLE_ENTITY
    except editing.Busy as busy:
        form.add_error(None, str(busy))
        status = HTTPStatus.CONFLICT
    else:
        return _done(request, f"{saved.name} is saved.", "product-saved", id=saved.pk)
    return _show_form(request, form, found, status=status)


def _stale(request: HttpRequest, form: ProductForm, current: Product) -> HttpResponse:
    """Show what somebody else saved meanwhile; saving again is the answer to it."""
    form = form.rebased(current)
    if not form.theirs and form.is_valid() and form.changes():
        # Changed and changed back meanwhile: it is as this user has seen it.
        return _save(request, form, current, version_of(current))
    if form.is_valid() and not form.changes():
        # The same was saved already: by them, or by this form sent twice.
        return _done(request, f"{current.name} is saved.", "product-saved", id=current.pk)
    return _show_form(request, form, current, status=HTTPStatus.CONFLICT)


@require_http_methods(PAGE)
@requires("catalogue:write")
def delete_product(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask, then delete; the message has an Undo."""
    found = Product.objects.filter(pk=pk).first()
    if found is None:
        return _gone(request, pk)
    context: dict[str, Any] = {"product": found, "version": version_of(found), "changed": False}
    if request.method != "POST":
        return _show(request, "delete", context)
    try:
        deletion = editing.delete(
            actor_of(request), pk, version=request.POST.get("version") or None
        )
    except Product.DoesNotExist:
        return _gone(request, pk)
    except editing.Stale as stale:
        context |= {
            "product": stale.current,
            "version": version_of(stale.current),
            "changed": True,
            "last": next(iter(history.latest(pk, 1)), None),
        }
        return _show(request, "delete", context, status=HTTPStatus.CONFLICT)
    except editing.Busy as busy:
        return _show(request, "delete", {**context, "busy": busy}, status=HTTPStatus.CONFLICT)
    return _done(
        request,
        f"{found.name} ({found.sku}) is deleted.",
        "product-deleted",
        tag=f"undo-{deletion.pk}",
        id=pk,
        deletion=deletion.pk,
    )


def _show_form(
    request: HttpRequest,
    form: ProductForm,
    shown: Product | None = None,
    *,
    once: str = "",
    status: int = HTTPStatus.OK,
) -> HttpResponse:
    entries = history.latest(shown.pk) if shown is not None else []
    address = reverse("products:product", args=[shown.pk]) if shown else reverse("products:new")
    context = {
        "form": form,
        "product": shown,
        "version": version_of(shown) if shown is not None else "",
        "once": once,
        "history": entries,
        "last": entries[0] if entries else None,
        "address": address,
    }
    return _show(request, "product", context, status=status)


def _lost(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep what was typed into the form of a product that was deleted meanwhile.

    It can be saved after restoring the product (`restore` in the address), or as a new one.
    """
    form = ProductForm(request.POST)
    context = _deleted(pk)
    kept = context["kept"]
    if kept is not None and "restore" in request.GET:
        try:
            deletions.undo(actor_of(request), kept.deletion_id)
        except (deletions.NotRestorable, OperationalError) as why:
            form.add_error(None, f"It could not be restored: {why}")
        restored = Product.objects.filter(pk=pk).first()
        if restored is not None:
            form = ProductForm(request.POST, product=restored)
            if form.is_valid():
                return _save(request, form, restored, request.POST.get("version", ""))
            return _show_form(request, form, restored, status=HTTPStatus.UNPROCESSABLE_ENTITY)
        if form.is_valid():
            form.add_error(None, "It could not be restored: its SKU is in use again.")
    context |= {
        "form": form,
        "once": uuid.uuid4().hex,
        "version": request.POST.get("version", ""),
        "address": reverse("products:new"),
        "lost": reverse("products:product", args=[pk]),
    }
    return _show(request, "product", context, status=HTTPStatus.NOT_FOUND)


def _gone(request: HttpRequest, pk: int) -> HttpResponse:
    """Say that the product was deleted, by whom, and how to bring it back."""
    return _show(request, "gone", _deleted(pk), status=HTTPStatus.NOT_FOUND)


def _deleted(pk: int) -> dict[str, Any]:
    """The entry of its history, and its copy while that can be restored."""
    last = next(iter(history.latest(pk, 1)), None)
    kept = DeletedProduct.objects.filter(
        product_id=pk, deletion__kind=DeletionKind.ONE, deletion__swept_at=None
    ).first()
    return {
        "deleted": last if last is not None and last.action == ChangeAction.DELETED else None,
        "kept": kept,
    }


def _show(
    request: HttpRequest, name: str, context: dict[str, Any], *, status: int = HTTPStatus.OK
) -> HttpResponse:
    """The page, or for htmx the part for the dialog."""
    context |= {
        "back": place_before(request),
        "in_panel": bool(request.htmx),
        "undo_for": hours(settings.UNDO_HOURS),
    }
    template = f"products/product_{name}{'_part' if request.htmx else ''}.html"
    return render(request, template, context, status=status)


def _done(
    request: HttpRequest, text: str, event: str, *, tag: str = "", **detail: int
) -> HttpResponse:
    """Say `text`, tagged as toasts.html knows it; leads back, or tells the dialog's page."""
    messages.success(request, text, extra_tags=tag)
    if not request.htmx:
        return redirect(place_before(request))
    response = render(request, "products/product_said.html")
    return trigger_client_event(response, event, detail, after="swap")

"""The page of one's callbacks: the secret that signs them, and where they go by default."""

from http import HTTPStatus

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from config.accounts.actors import actor_of
from config.accounts.permissions import requires
from transactions.models import CallbackUrl
from webhooks.endpoints import callback_secrets, shown_once

from .callback_forms import CallbackForm

PAGE = "transactions:orders-callbacks"
MAX_URLS = 500  # of one account
ID_DIGITS = 18


@require_http_methods(["GET", "HEAD", "POST"])
@requires("orders:write", unsafe_only=True)
@never_cache
def callbacks(request: HttpRequest) -> HttpResponse:
    """Show them; or do what the button says: `rotate`, `delete`, else save a URL."""
    if request.method != "POST":
        return _show(request, CallbackForm())
    match request.POST.get("action"):
        case "rotate":
            _rotate(request)
        case "delete":
            _delete(request)
        case _:
            form = CallbackForm(request.POST)
            if not form.is_valid() or not _save(request, form):
                return _show(request, form, HTTPStatus.UNPROCESSABLE_ENTITY)
    return redirect(PAGE)


def _rotate(request: HttpRequest) -> None:
    with transaction.atomic():
        secret = callback_secrets.rotate(actor_of(request), _id(request, "present"))
        if secret:
            shown_once.keep(request, shown_once.CALLBACKS, secret)
    if not secret:
        messages.warning(request, "There is a newer secret already. To see one, rotate again.")


def _delete(request: HttpRequest) -> None:
    found = CallbackUrl.objects.filter(owner=request.user, pk=_id(request, "url_id")).first()
    if found is None:
        messages.info(request, "That URL was deleted already.")
        return
    found.delete()
    whose = f"of {found.user}" if found.user else "of all trading users"
    messages.success(request, f"The callback URL {whose} is deleted.")


def _save(request: HttpRequest, form: CallbackForm) -> bool:
    """Whether there was room for it."""
    user, url = form.cleaned_data["user"], form.cleaned_data["url"]
    others = CallbackUrl.objects.filter(owner=request.user).exclude(user=user)
    if others.count() >= MAX_URLS:
        form.add_error(None, f"You have {MAX_URLS} URLs, which is the most. Delete one first.")
        return False
    CallbackUrl.objects.update_or_create(owner=request.user, user=user, defaults={"url": url})
    messages.success(request, f"Results for {user or 'all trading users'} go to this URL now.")
    return True


def _show(request: HttpRequest, form: CallbackForm, status: int = HTTPStatus.OK) -> HttpResponse:
    owner = request.user.pk
    hours = settings.WEBHOOK_ROTATION_HOURS
    context = {
        "form": form,
        "urls": CallbackUrl.objects.filter(owner=owner).order_by("user"),
        "secret": shown_once.take(request, shown_once.CALLBACKS) if request.method == "GET" else "",
        "present": callback_secrets.present(owner),
        "old_until": callback_secrets.old_expires_at(owner, timezone.now()),
        "rotation_for": f"{hours:g} hour{'' if hours == 1 else 's'}" if hours else "",
    }
    return render(request, "orders/callbacks.html", context, status=status)


def _id(request: HttpRequest, name: str) -> int | None:
    text = request.POST.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= ID_DIGITS else None

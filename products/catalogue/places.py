"""Where a page leads back to: `next` of its address or form. Called by the catalogue's pages."""

from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

MAX_CHARACTERS = 2_000


def place_before(request: HttpRequest) -> str:
    """The local address that `next` names, else the page that htmx asks from, else the list.

    Only paths of this host: what others put into a link must not lead elsewhere.
    """
    shown = request.htmx.current_url_abs_path if request.htmx else ""
    given = request.POST.get("next") or request.GET.get("next") or shown or ""
    local = given.startswith("/") and url_has_allowed_host_and_scheme(given, allowed_hosts=None)
    return given if local and len(given) <= MAX_CHARACTERS else reverse("products:list")

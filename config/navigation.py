"""The navigation of every page. Used by templates/navigation.html as a context processor."""

from collections.abc import Callable
from dataclasses import dataclass, field

from django.http import HttpRequest
from django.urls import reverse

from config.accounts.models import User
from config.accounts.permissions import may

AREAS = (
    ("Catalogue", (("Products", "products:list"), ("Imports", "products:imports"))),
    ("Integrations", (("Webhooks", "webhooks:endpoints"), ("Stock sync", "stocksync:jobs"))),
    ("Streams", (("Sales", "streaming:sales"), ("Prices", "streaming:prices"))),
    ("Money", (("Orders", "transactions:orders"), ("Ledger", "transactions:ledger"))),
    ("", (("Operations", "operations"), ("Users", "users"))),
)
NEEDED = {"users": "users:admin"}  # the right without which an entry is left out


@dataclass(frozen=True)
class Item:
    name: str
    url: str
    current: str  # aria-current: "page" here, "true" on a page below it, "" elsewhere


@dataclass(frozen=True)
class Group:
    name: str  # empty for the group at the end
    items: list[Item] = field(default_factory=list)


def navigation(request: HttpRequest) -> dict[str, Callable[[], list[Group]]]:
    """`navigation` for templates: a callable, so that parts of pages don't pay for it."""
    return {"navigation": lambda: groups(request.path, getattr(request, "user", None))}


def groups(path: str, user: User | None = None) -> list[Group]:
    """The areas with the pages that `user` may open, the one that holds `path` marked."""
    return [
        Group(area, [_item(name, view, path) for name, view in items if _may_open(view, user)])
        for area, items in AREAS
    ]


def _may_open(view: str, user: User | None) -> bool:
    return view not in NEEDED or (user is not None and may(user, NEEDED[view]))


def _item(name: str, view: str, path: str) -> Item:
    url = reverse(view)
    current = "page" if path == url else "true" if path.startswith(url) else ""
    return Item(name, url, current)

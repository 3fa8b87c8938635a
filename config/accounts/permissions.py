"""Who may do what: roles of people, and with a token its scopes as well.

Every API view names its area: `scope_area = "catalogue"`. A view that doesn't
fails at its first request instead of being open to everyone. Pages that change
something are decorated with `requires`; templates ask the filter `may`
(config/templatetags/rights.py).
"""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from django.core import exceptions
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from config.accounts import scopes
from config.accounts.models import ApiToken, Role, User

if TYPE_CHECKING:  # rest_framework.views imports this module, named by the settings
    from rest_framework.views import APIView

NEEDED_ROLE = {"read": Role.VIEWER, "write": Role.EDITOR, "admin": Role.ADMIN}
RANK = {role: rank for rank, role in enumerate(Role)}

View = Callable[..., HttpResponse]


def role_of(user: User) -> Role:
    """The role that counts: superusers are admins."""
    return Role.ADMIN if user.is_superuser else Role(user.role)


def may(user: User, needed: str) -> bool:
    """Whether `user` has the right `needed` ("catalogue:write"). Pages and API ask here.

    Viewers read, editors write, admins also do what can't be limited to single rows
    ("catalogue:admin": delete all; "users:admin").
    """
    return bool(user.is_active) and RANK[role_of(user)] >= RANK[_needed_role(needed)]


def check(user: User, needed: str) -> None:
    """Raises Django's PermissionDenied, which says how to get the right, where `may` is False."""
    if not may(user, needed):
        raise exceptions.PermissionDenied(_refusal("Your role is", user, needed))


def requires(needed: str, *, unsafe_only: bool = False) -> Callable[[View], View]:
    """Decorator of a page: 403 for who lacks the right `needed`, before anything else happens.

    With `unsafe_only` everybody may read the page (GET, HEAD) and the right counts for the rest.
    """
    _needed_role(needed)

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not (unsafe_only and request.method in SAFE_METHODS):
                check(request.user, needed)
            return view(request, *args, **kwargs)

        return guarded

    return decorate


class HasScope(BasePermission):
    """`<area>:read` for safe methods, `<area>:write` for the others.

    With a token both its scopes and its owner's role must allow the call. A view's
    `needed_right = "admin"` asks for the role of `<area>:admin`, which is no scope of its own.
    """

    def has_permission(self, request: Request, view: "APIView") -> bool:
        area = getattr(view, "scope_area", None)
        if area not in scopes.AREAS:
            raise ImproperlyConfigured(
                f"{type(view).__name__}.scope_area is {area!r}: it must be one of"
                f" {', '.join(scopes.AREAS)}"
            )
        scope = f"{area}:{'read' if request.method in SAFE_METHODS else 'write'}"
        right = getattr(view, "needed_right", None)
        needed = scope if right is None else f"{area}:{right}"
        _needed_role(needed)
        if not request.user.is_authenticated:
            return False
        by_token = isinstance(request.auth, ApiToken)
        if by_token and not scopes.allows(request.auth.scopes, scope):
            raise PermissionDenied(
                f"This API token lacks the scope {scope}. Create one that has it under /account/."
            )
        if not may(request.user, needed):
            whose = "The role of this API token's owner is" if by_token else "Your role is"
            raise PermissionDenied(_refusal(whose, request.user, needed))
        return True


def _needed_role(needed: str) -> Role:
    access = needed.partition(":")[2]
    if access not in NEEDED_ROLE:
        raise ImproperlyConfigured(
            f"{needed!r} is no right: it must be an area with one of :{', :'.join(NEEDED_ROLE)}"
        )
    return NEEDED_ROLE[access]


def _refusal(whose: str, user: User, needed: str) -> str:
    return (
        f"{whose} {role_of(user).value}, and this needs the role {_needed_role(needed).value}."
        " An admin can change roles under Users."
    )

"""Who may call which part of the API.

Every API view names its area: `scope_area = "catalogue"`. A view that doesn't
fails at its first request instead of being open to everyone.
"""

from typing import TYPE_CHECKING

from django.core.exceptions import ImproperlyConfigured
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from config.accounts import scopes
from config.accounts.models import ApiToken, Role, User

if TYPE_CHECKING:  # rest_framework.views imports this module, named by the settings
    from rest_framework.views import APIView


class HasScope(BasePermission):
    """`<area>:read` for safe methods, `<area>:write` for the others.

    With a token both its scopes and its owner's rights must allow the call.
    """

    def has_permission(self, request: Request, view: "APIView") -> bool:
        area = getattr(view, "scope_area", None)
        if area not in scopes.AREAS:
            raise ImproperlyConfigured(
                f"{type(view).__name__}.scope_area is {area!r}: it must be one of"
                f" {', '.join(scopes.AREAS)}"
            )
        if not request.user.is_authenticated:
            return False
        needed = f"{area}:{'read' if request.method in SAFE_METHODS else 'write'}"
        if isinstance(request.auth, ApiToken) and not scopes.allows(request.auth.scopes, needed):
            raise PermissionDenied(
                f"This API token lacks the scope {needed}. Create one that has it under /account/."
            )
        return may(request.user, needed)


NEEDED_ROLE = {"read": Role.VIEWER, "write": Role.EDITOR, "admin": Role.ADMIN}
RANK = {role: rank for rank, role in enumerate(Role)}


def may(user: User, needed: str) -> bool:
    """Whether `user` has the right `needed` ("catalogue:write"). Pages and API ask here.

    Viewers read, editors write, admins also do what can't be limited to single rows
    ("catalogue:admin": delete all; "users:admin"). Superusers are admins.
    """
    if not user.is_active:
        return False
    role = Role.ADMIN if user.is_superuser else Role(user.role)
    return RANK[role] >= RANK[NEEDED_ROLE[needed.partition(":")[2]]]

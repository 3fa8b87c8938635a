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
from config.accounts.models import ApiToken, User

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


def may(user: User, needed: str) -> bool:
    """Whether `user` has the right `needed` ("catalogue:write"). Pages and API ask here.

    Everyone who is signed in may read and write.
    """
    return user.is_active

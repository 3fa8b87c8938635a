"""API tokens as DRF authentication: `Authorization: Bearer stk_…`."""

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from config.accounts import tokens
from config.accounts.models import ApiToken, User


class TokenAuthentication(BaseAuthentication):
    """The token's owner as `request.user`, the token as `request.auth`.

    A request without the header is left to the session; one with a bad token
    is refused with 401, even where a session would have done.
    """

    keyword = "Bearer"

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        scheme, _, secret = get_authorization_header(request).partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        try:
            token = tokens.verify(secret.strip().decode("ascii", "replace"))
        except tokens.TokenRefused as refusal:
            raise AuthenticationFailed(str(refusal)) from None
        return token.owner, token

    def authenticate_header(self, request: Request) -> str:
        return f'{self.keyword} realm="Stockroom"'


class TokenScheme(OpenApiAuthenticationExtension):
    """Documents the token in /api/schema/."""

    target_class = TokenAuthentication
    name = "apiToken"
    priority = 1

    def get_security_definition(self, auto_schema):
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "stk_…",
            "description": (
                "A token made under /account/, sent as `Authorization: Bearer stk_…`. Its scopes"
                " (`<area>:read`, `<area>:write`; write includes read) say what it may do; a"
                " request beyond them is answered with 403 and the name of the missing scope."
            ),
        }

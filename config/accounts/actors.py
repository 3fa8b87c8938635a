"""Who does something: a person in the browser, or an integration with a person's token."""

from dataclasses import dataclass
from typing import Any

from config.accounts.models import ApiToken, User


@dataclass(frozen=True)
class Actor:
    """Kept with every change: the account, and the token where one was used."""

    user: User
    token: ApiToken | None = None

    @property
    def name(self) -> str:
        return self.user.get_username()

    @property
    def token_name(self) -> str:
        return self.token.name if self.token is not None else ""

    def as_json(self) -> dict[str, str | None]:
        """For events: {"user": "ana", "token": "ERP" or None}."""
        return {"user": self.name, "token": self.token_name or None}


def actor_of(request: Any) -> Actor:
    """The signed-in user of a Django request, or user and token of a REST framework one."""
    token = getattr(request, "auth", None)
    return Actor(request.user, token if isinstance(token, ApiToken) else None)

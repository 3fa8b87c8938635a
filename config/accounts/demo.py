"""The demo account, an admin, and its API token. Called by `manage.py ensure_demo`.

What was generated is kept in a file of mode 600 in the state folder, never in the
repository, so that a second start can print it again.
"""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from django.db import transaction

from config.accounts import scopes, tokens
from config.accounts.models import ANY_TRADING_USER, ApiToken, Role, User

USERNAME = "demo"


@dataclass(frozen=True)
class Demo:
    """What to print: a secret, or why there is none to print (exactly one of each pair)."""

    password: str | None
    password_note: str
    token: str | None
    token_note: str


def ensure(file: Path) -> Demo:
    """The demo account with its secrets as kept in `file`; both made where there are none.

    Never resets what exists: a changed password or a revoked token stays as it is.
    """
    with transaction.atomic():
        # Two starts at once: the second waits here until the first has made both.
        user, created = User.objects.get_or_create(username=USERNAME, defaults={"role": Role.ADMIN})
        user = User.objects.select_for_update().get(pk=user.pk)
        kept = _read(file)
        if created or not user.password:
            kept["password"] = secrets.token_urlsafe(12)
            user.set_password(kept["password"])
            user.save(update_fields=["password"])
        if not ApiToken.objects.filter(owner=user).exists():
            kept["token"] = tokens.issue(user, "Demo", scopes.ALL, [ANY_TRADING_USER])[1]
        _write(file, kept)
    return Demo(*_password(user, kept.get("password")), *_token(kept.get("token")))


def _password(user: User, password: str | None) -> tuple[str | None, str]:
    if password is not None and user.check_password(password):
        return password, ""
    if password is not None:
        return None, "was changed since; a new one: manage.py changepassword demo"
    return None, "is not known here; a new one: manage.py changepassword demo"


def _token(secret: str | None) -> tuple[str | None, str]:
    if secret is None:
        return None, "is not known here; make a new one under /account/"
    try:
        tokens.verify(secret, note_use=False)
    except tokens.TokenRefused as refusal:
        return None, str(refusal)
    return secret, ""


def _read(file: Path) -> dict[str, str]:
    try:
        return json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        return {}


def _write(file: Path, kept: dict[str, str]) -> None:
    """Whole or not at all, and never readable by others, not even for a moment."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        json.dump(kept, out, indent=1)
    fresh.replace(file)

"""API tokens: issue one, check one, revoke one.

The secret is 40 random characters (238 bits), so nobody can guess or enumerate
it and a plain SHA-256 is the right thing to store: slow, salted hashes protect
secrets that people choose, and would cost every API request 100 ms here.
"""

import hashlib
import logging
import secrets
import string
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Model, Q
from django.utils import timezone

from config.accounts.models import ApiToken, User

logger = logging.getLogger(__name__)

SCHEME = "stk_"  # lets secret scanners recognise a leaked token
SECRET_CHARACTERS = 40
PREFIX_CHARACTERS = len(SCHEME) + 6
LAST_USED_SECONDS = 60


def _columns(model: type[Model], alias: str) -> str:
    return ", ".join(f'{alias}."{field.column}"' for field in model._meta.concrete_fields)


TOKEN_FIELDS = [field.attname for field in ApiToken._meta.concrete_fields]
OWNER_FIELDS = [field.attname for field in User._meta.concrete_fields]
FIND = (
    f"SELECT {_columns(ApiToken, 't')}, {_columns(User, 'u')} FROM {ApiToken._meta.db_table} t"
    f" JOIN {User._meta.db_table} u ON u.id = t.owner_id WHERE t.digest = %s"
)


class TokenRefused(Exception):
    """The secret opens nothing; its message says why and what to do."""


def issue(
    owner: User,
    name: str,
    scopes: Iterable[str],
    trading_users: Iterable[str] = (),
    expires_at: datetime | None = None,
) -> tuple[ApiToken, str]:
    """A new token of `owner` and its secret, which is not kept and can't be shown again."""
    alphabet = string.ascii_letters + string.digits
    secret = SCHEME + "".join(secrets.choice(alphabet) for _ in range(SECRET_CHARACTERS))
    token = ApiToken.objects.create(
        owner=owner,
        name=name,
        prefix=secret[:PREFIX_CHARACTERS],
        digest=digest(secret),
        scopes=list(scopes),
        trading_users=list(trading_users),
        expires_at=expires_at,
    )
    logger.info("token %s issued to user %s: %s", token.pk, owner.pk, " ".join(token.scopes))
    return token, secret


def verify(secret: str, *, note_use: bool = True) -> ApiToken:
    """The usable token with this `secret`, its owner loaded; TokenRefused otherwise.

    Notes the use, at most once a minute: one query, and a second where there is one to note.
    """
    token = _found(digest(secret))
    now = timezone.now()
    if token is None:
        raise TokenRefused(
            "This API token is not known. Check that it was copied whole, or create one under"
            " /account/."
        )
    if token.revoked_at is not None:
        raise TokenRefused(f"The API token {token.prefix}… was revoked. Create a new one.")
    if token.is_expired:
        raise TokenRefused(
            f"The API token {token.prefix}… expired on {token.expires_at:%Y-%m-%d}. Create a new"
            " one."
        )
    if not token.owner.is_active:
        raise TokenRefused(f"The account that owns the API token {token.prefix}… is switched off.")
    before = now - timedelta(seconds=LAST_USED_SECONDS)
    if note_use and (token.last_used_at is None or token.last_used_at < before):
        unnoted = Q(last_used_at=None) | Q(last_used_at__lt=before)
        ApiToken.objects.filter(unnoted, pk=token.pk).update(last_used_at=now)
    return token


def _found(digest: str) -> ApiToken | None:
    """The token with its owner, by a statement made once.

    To have it made by the ORM anew takes a fifth of what a request of the API costs.
    """
    with connection.cursor() as cursor:
        cursor.execute(FIND, [digest])
        row = cursor.fetchone()
    if row is None:
        return None
    token = ApiToken.from_db(connection.alias, TOKEN_FIELDS, row[: len(TOKEN_FIELDS)])
    token.owner = User.from_db(connection.alias, OWNER_FIELDS, row[len(TOKEN_FIELDS) :])
    return token


def revoke(owner: User, token_id: int) -> ApiToken | None:
    """The revoked token, or None where `owner` has none with this id. Safe to repeat."""
    token = ApiToken.objects.filter(owner=owner, pk=token_id).first()
    if token is not None:
        now = timezone.now()
        if ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now):
            logger.info("token %s revoked by user %s", token.pk, owner.pk)
    return token


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()

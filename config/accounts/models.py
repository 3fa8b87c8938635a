"""Who may use Stockroom: people (pages) and API tokens (integrations)."""

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from config.accounts import scopes

ANY_TRADING_USER = "*"


class Role(models.TextChoices):
    """What a person may do; each includes the one before (config.accounts.permissions)."""

    VIEWER = "viewer", "Viewer"
    EDITOR = "editor", "Editor"
    ADMIN = "admin", "Admin"


class User(AbstractUser):
    """A person who signs in. Our own class from the start, since it can't be changed later."""

    role = models.CharField(max_length=6, choices=Role.choices, default=Role.EDITOR)


class ApiToken(models.Model):
    """One integration's key. Made and checked by config.accounts.tokens."""

    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=16)  # the secret's first characters, to tell tokens apart
    digest = models.CharField(max_length=64, unique=True)  # SHA-256 of the secret, hexadecimal
    scopes = ArrayField(models.CharField(max_length=32))
    # Whom orders may be placed for; "*" means everyone, empty means nobody.
    trading_users = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def covers_everything(self) -> bool:
        return all(scopes.allows(self.scopes, scope) for scope in scopes.ALL)

    @property
    def trades_for_everyone(self) -> bool:
        return ANY_TRADING_USER in self.trading_users

    def may_trade_for(self, trading_user: str) -> bool:
        """Whether orders with this token may be placed for `trading_user`."""
        return self.trades_for_everyone or trading_user in self.trading_users

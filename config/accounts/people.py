"""Accounts as admins look after them: add, change role, switch off and on, set a new password.

Called by users_views. Every change locks the admins first, so that of two admins who demote each
other at the same time only one is, and somebody is always left to let the others in.
"""

import logging
import secrets
from datetime import datetime

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import IntegrityError, transaction
from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from config.accounts.models import Role, User
from config.accounts.permissions import check, role_of

logger = logging.getLogger(__name__)

PASSWORD_BYTES = 12  # 96 bits, 16 characters
ADMINS = Q(is_active=True) & (Q(role=Role.ADMIN) | Q(is_superuser=True))


class LastAdmin(Exception):
    """Nobody would be left who can look after users. Its message says what to do."""

    def __init__(self, user: User) -> None:
        super().__init__(
            f"{user.get_username()} is the only active admin. Make somebody else an admin first."
        )


class NameTaken(Exception):
    """There is an account with this name, perhaps in other capitals."""


def admins() -> QuerySet[User]:
    """Those who can look after users just now."""
    return User.objects.filter(ADMINS)


def everybody(now: datetime) -> QuerySet[User]:
    """All accounts, active ones first, by name; each with `tokens`, the number of usable ones."""
    unexpired = Q(api_tokens__expires_at=None) | Q(api_tokens__expires_at__gt=now)
    usable = Count("api_tokens", filter=Q(api_tokens__revoked_at=None) & unexpired)
    return User.objects.annotate(tokens=usable).order_by("-is_active", "username")


def add(admin: User, username: str, role: Role) -> tuple[User, str]:
    """A new account and its password, which is kept nowhere. Raises NameTaken."""
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    with transaction.atomic():
        _lock_admins(admin)  # additions wait for each other too, so the check below holds
        if User.objects.filter(username__iexact=username).exists():
            raise NameTaken
        try:
            user = User.objects.create_user(username, password=password, role=role)
        except IntegrityError:  # created meanwhile by a command, without our lock
            raise NameTaken from None
    logger.info("user %s (%s) added by user %s", user.pk, role.value, admin.pk)
    return user, password


def set_role(admin: User, user_id: int, role: Role) -> User:
    """The account with its new role. Raises User.DoesNotExist, LastAdmin."""
    with transaction.atomic():
        user, in_charge = _locked(admin, user_id)
        before = role_of(user)
        if role is not Role.ADMIN:
            _keep_one(in_charge, user)
            user.is_superuser = False  # it would outrank the role
        user.role = role
        user.save(update_fields=["role", "is_superuser"])
    logger.info("user %s: role %s -> %s by user %s", user.pk, before.value, role.value, admin.pk)
    return user


def switch_off(admin: User, user_id: int) -> User:
    """Ends the sessions of an account and refuses its tokens. Raises as `set_role`."""
    with transaction.atomic():
        user, in_charge = _locked(admin, user_id)
        _keep_one(in_charge, user)
        user.is_active = False
        user.save(update_fields=["is_active"])
        ended = _end_sessions(user)
    logger.info("user %s switched off by user %s, %s sessions ended", user.pk, admin.pk, ended)
    return user


def switch_on(admin: User, user_id: int) -> User:
    """Lets somebody in again, with password, role and tokens as before. Raises DoesNotExist."""
    with transaction.atomic():
        user, _ = _locked(admin, user_id)
        _end_sessions(user)  # of a login that was under way while the account was switched off
        user.is_active = True
        user.save(update_fields=["is_active"])
    logger.info("user %s switched on by user %s", user.pk, admin.pk)
    return user


def renew_password(admin: User, user_id: int) -> tuple[User, str]:
    """The account and its new password, kept nowhere; its sessions end. Raises DoesNotExist."""
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    with transaction.atomic():
        user, _ = _locked(admin, user_id)
        user.set_password(password)
        user.save(update_fields=["password"])
        ended = _end_sessions(user)
    logger.info("user %s: password set by user %s, %s sessions ended", user.pk, admin.pk, ended)
    return user, password


def _locked(admin: User, user_id: int) -> tuple[User, set[int]]:
    """The account `user_id`, locked, and the ids of the active admins, locked too."""
    in_charge = _lock_admins(admin)
    return User.objects.select_for_update().get(pk=user_id), in_charge


def _lock_admins(admin: User) -> set[int]:
    """Ids of the active admins. PermissionDenied when `admin` was demoted while waiting here."""
    # In one order, so that two who wait for each other's rows can't deadlock. A row that has
    # changed while this waited is looked at again by PostgreSQL and left out.
    locked = admins().order_by("pk").select_for_update()
    ids = set(locked.values_list("pk", flat=True))
    if admin.pk not in ids:
        admin.refresh_from_db()
        check(admin, "users:admin")
    return ids


def _keep_one(in_charge: set[int], user: User) -> None:
    if in_charge == {user.pk}:
        raise LastAdmin(user)


def _end_sessions(user: User) -> int:
    """Deletes the sessions of `user`, who would be in again with them once switched on."""
    running = Session.objects.filter(expire_date__gt=timezone.now()).iterator()
    keys = [s.pk for s in running if s.get_decoded().get(SESSION_KEY) == str(user.pk)]
    return Session.objects.filter(pk__in=keys).delete()[0]

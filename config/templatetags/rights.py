"""Rights in templates: `{% load rights %}{% if user|may:"catalogue:write" %}…`."""

from typing import Any

from django import template

from config.accounts import people, permissions
from config.accounts.models import ApiToken, Role, User

NAMED_ADMINS = 3

register = template.Library()


@register.filter
def may(user: Any, needed: str) -> bool:
    """Whether `user` has the right `needed`; nobody and a missing user have none."""
    return isinstance(user, User) and permissions.may(user, needed)


@register.filter
def role(user: User) -> Role:
    """The role that counts: `{{ user|role }}` is "admin", its `.label` "Admin"."""
    return permissions.role_of(user)


@register.filter
def beyond_role(token: ApiToken) -> bool:
    """Whether `token` has scopes that its owner's role no longer allows."""
    return not all(permissions.may(token.owner, scope) for scope in token.scopes)


@register.simple_tag
def admins() -> str:
    """Whom to ask for a right, in words: "ana, bob or eve"; empty where nobody is an admin."""
    found = people.admins().order_by("username").values_list("username", flat=True)
    *others, last = list(found[:NAMED_ADMINS]) or [""]
    return f"{', '.join(others)} or {last}" if others else last

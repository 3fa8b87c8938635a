"""Scopes as DRF permission (stub until the account module lands)."""

from rest_framework.permissions import IsAuthenticated


class HasScope(IsAuthenticated):
    pass

"""An editor and a viewer with tokens, and the addresses of jobs."""

import pytest
from django.test import Client

from config.accounts.models import Role
from tests.api_client import client_of


@pytest.fixture
def user(django_user_model):
    return django_user_model.objects.create_user("ana", role=Role.EDITOR)


@pytest.fixture
def api(user) -> Client:
    """A client with a token that writes."""
    return client_of(user, "stocksync:write")


@pytest.fixture
def viewer(django_user_model) -> Client:
    """A client with a viewer's token, as far as scopes go one that writes."""
    vera = django_user_model.objects.create_user("vera", role=Role.VIEWER)
    return client_of(vera, "stocksync:write")

"""Fixtures of checks: users of each role, and the engines that other areas' tests have."""

import pytest

from config.accounts.models import Role, User
from tests.transactions.conftest import ledger as ledger
from tests.transactions.conftest import unused_tcp_port as unused_tcp_port
from tests.transactions.ledger.conftest import keydb_url as keydb_url
from tests.transactions.orders.conftest import market as market


@pytest.fixture
def editor(django_user_model: type[User]) -> User:
    return django_user_model.objects.create_user(
        "ana", password="a-long-enough-password", role=Role.EDITOR
    )


@pytest.fixture
def viewer(django_user_model: type[User]) -> User:
    return django_user_model.objects.create_user(
        "vic", password="a-long-enough-password", role=Role.VIEWER
    )

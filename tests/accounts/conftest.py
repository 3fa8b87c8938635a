import itertools
import uuid

import pytest

from config.accounts import throttle, tokens
from config.accounts.models import Role, User

PASSWORD = "a-long-enough-password"


@pytest.fixture(autouse=True)
def _nobody_has_tried_to_sign_in(monkeypatch):
    monkeypatch.setattr(throttle, "KEY_PREFIX", f"login-attempts-{uuid.uuid4()}")


@pytest.fixture
def user(django_user_model):
    return django_user_model.objects.create_user("ana", password=PASSWORD)


@pytest.fixture
def person(django_user_model):
    """`person("bob", Role.VIEWER)`: an account with this role and PASSWORD."""

    def person(name: str, role: Role, **more) -> User:
        return django_user_model.objects.create_user(name, password=PASSWORD, role=role, **more)

    return person


@pytest.fixture
def bearer(user):
    """`bearer("catalogue:read")`: the headers of a new token of `user` with these scopes."""

    def bearer(*scopes: str, **options) -> dict[str, str]:
        return {"Authorization": f"Bearer {tokens.issue(user, 'test', scopes, **options)[1]}"}

    return bearer


addresses = itertools.count(1)


@pytest.fixture
def address():
    """An address from which nobody has tried to sign in before in this run."""
    number = next(addresses)
    return f"10.1.{number // 250}.{number % 250}"

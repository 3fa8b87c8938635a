from datetime import timedelta

import pytest
from django.utils import timezone

from config.accounts import tokens
from config.accounts.models import ApiToken

pytestmark = pytest.mark.django_db


def test_the_secret_is_not_stored(user):
    token, secret = tokens.issue(user, "export", ["catalogue:read"])
    token.refresh_from_db()
    stored = " ".join(str(value) for value in ApiToken.objects.values_list().get(pk=token.pk))
    assert secret.startswith("stk_") and len(secret) == 44
    assert secret.startswith(token.prefix) and secret not in stored


def test_two_secrets_differ(user):
    assert tokens.issue(user, "one", [])[1] != tokens.issue(user, "two", [])[1]


def test_it_finds_the_token_of_a_secret(user, django_assert_num_queries):
    token, secret = tokens.issue(user, "export", ["catalogue:read"])
    assert tokens.verify(secret) == token
    with django_assert_num_queries(1):
        assert tokens.verify(secret).owner == user


def test_last_use_is_noted_at_most_once_a_minute(user):
    token, secret = tokens.issue(user, "export", [])
    seen = []
    for age_seconds in (59, 61):
        was = timezone.now() - timedelta(seconds=age_seconds)
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=was)
        tokens.verify(secret)
        token.refresh_from_db()
        seen.append(token.last_used_at != was)
    assert seen == [False, True]


def refused(secret: str) -> str:
    with pytest.raises(tokens.TokenRefused) as caught:
        tokens.verify(secret)
    return str(caught.value)


def test_it_refuses_an_unknown_secret(user):
    assert "not known" in refused("stk_" + "x" * 40)


def test_it_refuses_an_expired_token(user):
    _, secret = tokens.issue(user, "old", [], expires_at=timezone.now() - timedelta(seconds=1))
    assert "expired on" in refused(secret)


def test_it_refuses_a_revoked_token_and_revoking_twice_keeps_the_first_time(user):
    token, secret = tokens.issue(user, "leaked", [])
    tokens.revoke(user, token.pk)
    token.refresh_from_db()
    first = token.revoked_at
    tokens.revoke(user, token.pk)
    token.refresh_from_db()
    assert "was revoked" in refused(secret) and token.revoked_at == first


def test_it_refuses_the_token_of_an_account_that_is_switched_off(user):
    _, secret = tokens.issue(user, "left the company", [])
    user.is_active = False
    user.save()
    assert "switched off" in refused(secret)


def test_nobody_revokes_a_token_of_another(user, django_user_model):
    token, secret = tokens.issue(user, "mine", [])
    assert tokens.revoke(django_user_model.objects.create_user("eve"), token.pk) is None
    assert tokens.verify(secret) == token


@pytest.mark.parametrize(
    ("listed", "who", "may"),
    [(["u1", "u2"], "u2", True), (["u1"], "u2", False), ([], "u1", False), (["*"], "u9", True)],
)
def test_orders_are_placed_for_the_listed_trading_users_only(user, listed, who, may):
    assert tokens.issue(user, "t", ["orders:write"], listed)[0].may_trade_for(who) is may

import re

import pytest

from config.accounts import tokens
from config.accounts.models import ApiToken

pytestmark = pytest.mark.django_db

FORM = {
    "name": "nightly export",
    "scopes": ["catalogue:read", "orders:write"],
    "trading_users": "user1, user2,, user1",
    "expires": "30",
}


@pytest.fixture
def client(client, user):
    client.force_login(user)
    return client


def test_a_token_is_made_as_asked_and_its_secret_shown_once(client, user):
    response = client.post("/account/tokens/", FORM)
    assert "no-store" in response.headers["Cache-Control"]
    secret = re.search(r"stk_[A-Za-z0-9]{40}", response.content.decode())[0]
    token = tokens.verify(secret)
    assert (token.owner, token.name) == (user, "nightly export")
    assert token.scopes == ["catalogue:read", "orders:write"]
    assert token.trading_users == ["user1", "user2"]
    assert 29 <= (token.expires_at - token.created_at).days <= 30
    page = client.get("/account/").content.decode()
    assert token.prefix in page and secret not in page


def test_never_is_a_choice_of_expiry(client):
    client.post("/account/tokens/", {**FORM, "expires": ""})
    assert ApiToken.objects.get().expires_at is None


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "", "This field is required"),
        ("scopes", [], "Choose at least one thing"),
        ("scopes", ["everything:write"], "not one of the available choices"),
        ("expires", "9999", "not one of the available choices"),
        ("trading_users", "user1, alice", "No name of a trading user: alice."),
        ("trading_users", "", "Name whom it may place orders for"),
    ],
)
def test_a_wrong_form_says_what_is_wrong_and_makes_nothing(client, field, value, message):
    response = client.post("/account/tokens/", {**FORM, field: value})
    assert response.status_code == 422 and message in response.content.decode()
    assert not ApiToken.objects.exists()


def test_a_wrong_form_keeps_the_boxes_checked(client):
    page = client.post("/account/tokens/", {**FORM, "name": ""}).content.decode()
    assert len(re.findall(r'type="checkbox"[^>]* checked', page)) == 2


def test_it_revokes(client, user):
    token, secret = tokens.issue(user, "leaked", ["catalogue:read"])
    response = client.post(f"/account/tokens/{token.pk}/revoke/", follow=True)
    assert "is revoked" in response.content.decode()
    with pytest.raises(tokens.TokenRefused):
        tokens.verify(secret)


def test_tokens_of_others_are_neither_shown_nor_revoked(client, django_user_model):
    token, secret = tokens.issue(django_user_model.objects.create_user("bob"), "bobs", [])
    assert token.prefix not in client.get("/account/").content.decode()
    assert client.post(f"/account/tokens/{token.pk}/revoke/").status_code == 404
    assert tokens.verify(secret) == token


def test_names_are_escaped(client, user):
    tokens.issue(user, "<script>alert(1)</script>", [])
    assert "<script>alert" not in client.get("/account/").content.decode()

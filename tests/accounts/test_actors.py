import pytest
from django.test import RequestFactory
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request

from config.accounts import tokens
from config.accounts.actors import Actor, actor_of
from config.accounts.authentication import TokenAuthentication

pytestmark = pytest.mark.django_db


def test_it_is_the_signed_in_user_of_a_page(user):
    request = RequestFactory().get("/")
    request.user = user
    assert actor_of(request) == Actor(user)
    assert actor_of(request).as_json() == {"user": "ana", "token": None}


def test_it_is_user_and_token_of_an_api_call(user):
    token, secret = tokens.issue(user, "ERP", ["catalogue:write"])
    plain = RequestFactory().get("/", headers={"Authorization": f"Bearer {secret}"})
    actor = actor_of(Request(plain, authenticators=[TokenAuthentication()]))
    assert actor == Actor(user, token)
    assert actor.as_json() == {"user": "ana", "token": "ERP"}


def test_it_is_the_user_alone_where_the_api_is_called_in_a_session(client, user):
    client.force_login(user)
    plain = client.get("/account/").wsgi_request
    request = Request(plain, authenticators=[TokenAuthentication(), SessionAuthentication()])
    assert actor_of(request) == Actor(user) and actor_of(request).token_name == ""

"""Tokens and scopes through a small API of the tests' own."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.urls import path
from rest_framework.response import Response
from rest_framework.views import APIView

from config.accounts.models import Role
from tests.accounts.conftest import PASSWORD

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


class Shelf(APIView):
    scope_area = "catalogue"

    def get(self, request):
        return Response({"user": request.user.username})

    post = get


class Emptied(Shelf):
    needed_right = "admin"


class Forgotten(APIView):
    def get(self, request):
        return Response({})


class Misspelt(Forgotten):
    scope_area = "catalog"


class MisspeltRight(Shelf):
    needed_right = "admins"


urlpatterns = [
    path("api/shelf/", Shelf.as_view()),
    path("api/emptied/", Emptied.as_view()),
    path("api/misspelt-right/", MisspeltRight.as_view()),
    path("api/forgotten/", Forgotten.as_view()),
    path("api/misspelt/", Misspelt.as_view()),
]


def test_without_token_or_session_it_is_401_and_says_what_to_send(client):
    response = client.get("/api/shelf/")
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="Stockroom"'
    error = response.json()["error"]
    assert error["code"] == "not_authenticated" and "Authorization: Bearer" in error["message"]


@pytest.mark.parametrize("header", ["Bearer stk_nope", "Bearer", "bearer ", "Bearer stk_ü x"])
def test_a_bad_token_is_401_even_with_a_session(client, user, header):
    client.force_login(user)
    response = client.get("/api/shelf/", headers={"Authorization": header})
    assert response.status_code == 401 and "WWW-Authenticate" in response.headers
    assert response.json()["error"]["code"] == "authentication_failed"


def test_read_scope_reads_but_does_not_write(client, bearer):
    headers = bearer("catalogue:read")
    assert client.get("/api/shelf/", headers=headers).json() == {"user": "ana"}
    response = client.post("/api/shelf/", headers=headers)
    assert response.status_code == 403
    error = response.json()["error"]
    assert error["code"] == "permission_denied" and "catalogue:write" in error["message"]


def test_write_scope_reads_and_writes_without_csrf(user, bearer):
    client = Client(enforce_csrf_checks=True)
    headers = bearer("catalogue:write")
    assert client.get("/api/shelf/", headers=headers).status_code == 200
    assert client.post("/api/shelf/", headers=headers).status_code == 200


def test_a_scope_of_another_area_does_not_help(client, bearer):
    response = client.get("/api/shelf/", headers=bearer("orders:write", "ledger:read"))
    assert response.status_code == 403 and "catalogue:read" in response.json()["error"]["message"]


def test_a_signed_in_user_reads_and_writes_but_not_without_csrf(user):
    client = Client(enforce_csrf_checks=True)
    assert client.login(username="ana", password=PASSWORD)
    assert client.get("/api/shelf/").status_code == 200
    response = client.post("/api/shelf/")
    assert response.status_code == 403 and "CSRF" in response.json()["error"]["message"]


@pytest.mark.parametrize("address", ["/api/forgotten/", "/api/misspelt/"])
def test_a_view_without_a_right_area_fails_instead_of_being_open(client, bearer, address):
    with pytest.raises(ImproperlyConfigured, match="scope_area"):
        client.get(address)
    with pytest.raises(ImproperlyConfigured, match="scope_area"):
        client.get(address, headers=bearer("catalogue:write"))


def test_a_view_with_a_misspelt_right_fails_instead_of_being_open(client, bearer):
    with pytest.raises(ImproperlyConfigured, match="catalogue:admins"):
        client.get("/api/misspelt-right/", headers=bearer("catalogue:write"))


@pytest.mark.parametrize(
    ("role", "scope", "method", "address", "refusal"),
    [
        (Role.VIEWER, "catalogue:write", "get", "/api/shelf/", ""),
        (Role.VIEWER, "catalogue:write", "post", "/api/shelf/", "needs the role editor"),
        (Role.EDITOR, "catalogue:write", "post", "/api/shelf/", ""),
        (Role.EDITOR, "catalogue:read", "post", "/api/shelf/", "lacks the scope catalogue:write"),
        (Role.EDITOR, "catalogue:write", "post", "/api/emptied/", "needs the role admin"),
        (Role.ADMIN, "catalogue:read", "post", "/api/emptied/", "lacks the scope catalogue:write"),
        (Role.ADMIN, "catalogue:write", "post", "/api/emptied/", ""),
    ],
)
def test_a_token_does_what_both_its_scopes_and_its_owners_role_allow(
    client, user, bearer, role, scope, method, address, refusal
):
    user.role = role
    user.save()
    response = getattr(client, method)(address, headers=bearer(scope))
    assert response.status_code == (403 if refusal else 200)
    assert refusal in str(response.json())


def test_a_session_does_what_the_role_allows(client, person):
    client.force_login(person("vera", Role.VIEWER))
    assert client.get("/api/shelf/").status_code == 200
    message = client.post("/api/shelf/").json()["error"]["message"]
    assert "Your role is viewer" in message and "An admin" in message

"""Every kind of error has the same shape."""

import pytest
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.test import Client
from django.urls import path
from rest_framework import exceptions, serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from config.accounts.models import User
from config.api_errors import Busy

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


class Price(serializers.Serializer):
    amount = serializers.IntegerField()


class Product(serializers.Serializer):
    sku = serializers.CharField()
    prices = Price(many=True, required=False)

    def validate(self, data):
        if data["sku"] == "bad":
            raise serializers.ValidationError("This product can't be.")
        return data


class Products(APIView):
    scope_area = "catalogue"

    def post(self, request):
        Product(data=request.data).is_valid(raise_exception=True)
        return Response({})


class Conflict(exceptions.APIException):
    status_code = 409
    default_code = "already_running"
    default_detail = "This import is running already. Wait for its end."


RAISED = {
    "busy": Busy("Somebody is at it."),
    "gone": Http404("This import was deleted."),
    "denied": PermissionDenied("Only its owner may cancel it."),
    "conflict": Conflict(),
    "slow": exceptions.Throttled(wait=7),
    "list": exceptions.ValidationError(["One.", "Two."]),
    "database": OperationalError("server closed the connection unexpectedly at 10.1.2.3"),
    "bug": ZeroDivisionError("a secret detail"),
}


class Failing(APIView):
    scope_area = "catalogue"

    def get(self, request, what):
        if what == "missing":
            get_object_or_404(User, pk=0)
        raise RAISED[what]


urlpatterns = [
    path("api/products/", Products.as_view()),
    path("api/failing/<str:what>/", Failing.as_view()),
]
handler404 = "config.pages.not_found"
handler500 = "config.pages.server_error"


@pytest.fixture
def client(user):
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


def error(response, status: int) -> dict:
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/json"
    body = response.json()
    assert list(body) == ["error"]
    assert {"code", "message"} <= set(body["error"]) <= {"code", "message", "fields"}
    assert body["error"]["message"]
    return body["error"]


def send(client, data, content_type="application/json"):
    return client.post("/api/products/", data, content_type=content_type)


def test_wrong_fields_are_named_also_deep_ones(client):
    answer = error(send(client, {"prices": [{"amount": 1}, {"amount": "x"}]}), 400)
    assert answer == {
        "code": "invalid",
        "message": "Correct these fields: sku, prices.1.amount.",
        "fields": {
            "sku": ["This field is required."],
            "prices.1.amount": ["A valid integer is required."],
        },
    }


def test_an_error_of_no_single_field_is_the_message(client):
    assert error(send(client, {"sku": "bad"}), 400) == {
        "code": "invalid",
        "message": "This product can't be.",
    }
    assert error(client.get("/api/failing/list/"), 400)["message"] == "One. Two."


def test_broken_json_says_where(client):
    answer = error(send(client, "{'sku'"), 400)
    assert answer["code"] == "parse_error" and "JSON parse error" in answer["message"]


def test_an_unknown_content_type_names_the_known_ones(client):
    answer = error(send(client, "sku", content_type="text/csv"), 415)
    assert answer["code"] == "unsupported_media_type" and "application/json" in answer["message"]


def test_a_wrong_method_names_the_right_ones(client):
    response = client.get("/api/products/")
    assert "POST" in response.headers["Allow"]
    answer = error(response, 405)
    assert answer["code"] == "method_not_allowed" and "POST" in answer["message"]


def test_an_unknown_address_is_json(client):
    assert error(client.get("/api/nothing/"), 404)["code"] == "not_found"


def test_a_missing_row_does_not_name_our_classes(client):
    answer = error(client.get("/api/failing/missing/"), 404)
    assert answer["code"] == "not_found" and "User" not in answer["message"]


def test_a_views_own_words_go_through(client):
    assert error(client.get("/api/failing/gone/"), 404)["message"] == "This import was deleted."
    denied = error(client.get("/api/failing/denied/"), 403)
    assert denied == {"code": "permission_denied", "message": "Only its owner may cancel it."}
    conflict = error(client.get("/api/failing/conflict/"), 409)
    assert conflict["code"] == "already_running" and "Wait" in conflict["message"]


def test_too_many_requests_keeps_retry_after(client):
    response = client.get("/api/failing/slow/")
    assert response.headers["Retry-After"] == "7"
    answer = error(response, 429)
    assert answer["code"] == "throttled" and "7 s" in answer["message"]


def test_a_database_that_is_away_is_503_and_says_when_to_come_back(client):
    response = client.get("/api/failing/database/")
    assert response.headers["Retry-After"] == "5"
    answer = error(response, 503)
    assert answer["code"] == "unavailable" and "10.1.2.3" not in answer["message"]


def test_who_is_in_the_way_is_no_outage(client):
    response = client.get("/api/failing/busy/")
    assert response.headers["Retry-After"] == "5"
    assert error(response, 503) == {"code": "busy", "message": "Somebody is at it."}


def test_a_database_that_is_away_at_the_login_check_is_503_too(client, monkeypatch):
    def fail(*args):
        raise OperationalError("no route to 10.1.2.3")

    monkeypatch.setattr("django.contrib.auth.middleware.get_user", fail)
    response = client.get("/api/products/")
    assert response.headers["Retry-After"] == "5"
    assert error(response, 503)["code"] == "unavailable"


def test_a_bug_is_json_500_without_its_details(client):
    answer = error(client.get("/api/failing/bug/"), 500)
    assert answer["code"] == "server_error" and "secret" not in answer["message"]


def test_json_that_is_nested_too_deeply_is_the_clients_error(client):
    answer = error(send(client, "[" * 100_000 + "]" * 100_000), 400)
    assert "nested too deeply" in answer["message"]

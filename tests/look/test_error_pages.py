import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import OperationalError
from django.test import Client, RequestFactory
from django.urls import include, path

from config import pages


def fail(exception):
    def view(request):
        raise exception

    return view


urlpatterns = [
    path("", include("config.urls")),
    path("strange/", fail(SuspiciousOperation("…"))),
    path("denied/", fail(PermissionDenied("Only editors may delete products."))),
    path("away/", fail(OperationalError("no route to 10.1.2.3"))),
    path("broken/", fail(ZeroDivisionError("a secret detail"))),
]
handler400 = "config.pages.bad_request"
handler403 = "config.pages.permission_denied"
handler404 = "config.pages.not_found"
handler500 = "config.pages.server_error"


@pytest.mark.django_db
@pytest.mark.urls(__name__)
@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        ("/strange/", 400, "reload the page"),
        ("/denied/", 403, "Only editors may delete products."),
        ("/nothing/", 404, "nothing at this address"),
        ("/broken/", 500, "Try again"),
        ("/away/", 503, "The database does not answer"),
    ],
)
def test_an_error_page_keeps_the_look_and_says_what_to_do(user, address, status, words):
    client = Client(raise_request_exception=False)
    client.force_login(user)
    response = client.get(address)
    page = response.content.decode()
    assert response.status_code == status and words in page
    assert "stockroom.css" in page
    assert "a secret detail" not in page and "10.1.2.3" not in page
    assert ('aria-label="Stockroom"' in page) is (status < 500)  # the navigation


def test_error_500_needs_no_database():
    """No django_db mark: a query would fail this test."""
    response = pages.server_error(RequestFactory().get("/products/"))
    assert response.status_code == 500 and "Something broke" in response.content.decode()


@pytest.mark.django_db
def test_a_form_without_its_token_says_that_nothing_was_changed(user):
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    response = client.post("/account/tokens/", {"name": "x"})
    assert response.status_code == 403
    assert "nothing was changed" in response.content.decode()


@pytest.mark.django_db
def test_a_nobody_sees_no_navigation_on_an_error_page(client):
    response = client.get("/nothing/")
    assert response.status_code == 404 and "Operations" not in response.content.decode()

"""The page that deletes all products."""

import pytest
from django.test import Client
from django.urls import reverse

from config.accounts.models import Role
from products.models import Deletion, Import, ImportState, Product, Upload

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = "/products/delete-all/"
WORDS = {"confirm": "DELETE ALL"}


@pytest.fixture
def admin(django_user_model):
    return django_user_model.objects.create_user("eva", role=Role.ADMIN)


@pytest.fixture
def client(client, admin):
    client.force_login(admin)
    return client


def text(response) -> str:
    return response.content.decode()


def said(client: Client) -> list[str]:
    return [str(message) for message in client.get("/products/").context["messages"]]


def merging(user) -> Import:
    upload = Upload.objects.create(
        created_by=user, file_name="new.csv", size_bytes=1, expires_at="2100-01-01T00:00Z"
    )
    return Import.objects.create(upload=upload, created_by=user, state=ImportState.MERGING)


def test_it_shows_what_goes(client, make_products):
    products = make_products(5)
    Product.objects.filter(pk=products[0].pk).update(active=False)
    page = text(client.get(PAGE))
    assert "5 products" in page and "4 active, 1 inactive" in page
    assert "24 hours" in page


def test_an_empty_catalogue_has_nothing_to_delete(client):
    assert "empty already" in text(client.get(PAGE))
    assert client.post(PAGE, WORDS).status_code == 302
    assert said(client) == ["There was nothing to delete."]
    assert not Deletion.objects.exists()


@pytest.mark.parametrize("typed", ["", "delete all", "DELETE", "DELETE ALL!"])
def test_without_the_words_nothing_goes(client, make_products, typed):
    make_products(2)
    answer = client.post(PAGE, {"confirm": typed})
    assert answer.status_code == 422
    assert "Type DELETE ALL to confirm" in text(answer)
    assert Product.objects.count() == 2


def test_it_deletes_all_and_undo_restores_them(client, make_products):
    make_products(3)
    assert client.post(PAGE, WORDS).url == "/products/"
    assert Product.objects.count() == 0
    undo = reverse("products:undo", args=[Deletion.objects.get().pk])
    page = text(client.get("/products/"))
    assert "All 3 products deleted." in page and f'action="{undo}"' in page
    assert "All products" in text(client.get("/products/deleted/"))
    client.post(undo)
    assert Product.objects.count() == 3
    assert said(client) == ["3 products restored."]


def test_it_is_refused_while_an_import_merges(client, admin, make_products):
    make_products(2)
    job = merging(admin)
    page = text(client.get(PAGE))
    assert reverse("products:import", args=[job.pk]) in page and "new.csv" in page
    answer = client.post(PAGE, WORDS)
    assert answer.status_code == 409
    assert "new.csv" in text(answer)
    assert Product.objects.count() == 2


def test_a_busy_catalogue_is_said(client, make_products, other, monkeypatch):
    monkeypatch.setattr("products.catalogue.delete_all.LOCK_SECONDS", 0.1)
    make_products(2)
    other.cursor().execute("LOCK TABLE products_product IN ACCESS SHARE MODE")
    answer = client.post(PAGE, WORDS)
    assert answer.status_code == 409
    assert "Nothing was deleted. Try again" in text(answer)
    other.rollback()
    assert Product.objects.count() == 2


@pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR])
def test_only_admins_may(client, admin, make_products, role):
    make_products(2)
    admin.role = role
    admin.save()
    assert client.get(PAGE).status_code == 403
    assert client.post(PAGE, WORDS).status_code == 403
    assert PAGE not in text(client.get("/products/"))
    assert Product.objects.count() == 2


def test_a_form_without_csrf_token_is_refused(admin, make_products):
    make_products(2)
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin)
    assert client.post(PAGE, WORDS).status_code == 403
    assert Product.objects.count() == 2

from datetime import datetime

import pytest
from django.db import transaction

from config.accounts.actors import Actor
from config.accounts.models import ApiToken
from products.catalogue import editing, events
from products.models import (
    BulkAction,
    BulkChange,
    Deletion,
    DeletionKind,
    Product,
    ProductChange,
)
from tests.products.imports.importing import HEADER, import_bytes
from webhooks.models import Event

pytestmark = pytest.mark.django_db

LAMP = {"sku": "AB-1", "name": "Lamp", "description": "bright", "active": True}
ANA = {"user": "ana", "token": None}


def told() -> list[tuple[str, dict]]:
    return list(Event.objects.order_by("occurred_at").values_list("type", "data"))


def shown(product: Product) -> dict:
    """The product in an event, its times as they are in JSON."""
    return {
        "id": product.pk,
        "sku": product.sku,
        "name": product.name,
        "description": product.description,
        "active": product.active,
        "created_at": product.created_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "updated_at": product.updated_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }


class TestOneProduct:
    def test_created(self, actor):
        editing.create(actor, LAMP)
        data = {"product": shown(Product.objects.get()), "actor": ANA}
        assert told() == [("product.created", data)]

    def test_updated_tells_the_old_values_of_what_has_changed(self, user, make_products):
        (product,) = make_products(1)
        token = ApiToken.objects.create(owner=user, name="ERP", scopes=[])
        editing.update(Actor(user, token), product.pk, {"name": "Lamp", "active": True})
        data = {
            "product": shown(Product.objects.get()),
            "changed": ["name"],
            "previous": {"name": "Name 1"},
            "actor": {"user": "ana", "token": "ERP"},
        }
        assert told() == [("product.updated", data)]

    def test_deleted_tells_what_it_was(self, actor, make_products):
        (product,) = make_products(1)
        editing.delete(actor, product.pk)
        assert told() == [("product.deleted", {"product": shown(product), "actor": ANA})]

    def test_a_change_that_is_none_is_not_told(self, actor, make_products):
        (product,) = make_products(1)
        editing.update(actor, product.pk, {"name": "Name 1", "active": True})
        assert told() == []

    def test_it_is_taken_back_with_the_change(self, actor, make_products):
        (product,) = make_products(1)
        with pytest.raises(KeyError), transaction.atomic():
            editing.create(actor, LAMP)
            editing.update(actor, product.pk, {"name": "Lamp"})
            editing.delete(actor, product.pk)
            assert len(told()) == 3
            raise KeyError
        assert told() == []
        assert not ProductChange.objects.exists()
        assert not Deletion.objects.exists()
        assert Product.objects.get().name == "Name 1"

    @pytest.mark.parametrize("refused", ["create", "update"])
    def test_a_refused_change_is_not_told(self, actor, make_products, refused):
        one, _ = make_products(2)
        with pytest.raises(editing.SkuTaken):
            if refused == "create":
                editing.create(actor, LAMP | {"sku": "SKU-2"})
            else:
                editing.update(actor, one.pk, {"sku": "SKU-2"})
        assert told() == []

    def test_times_are_in_utc_wherever_the_server_is(self, actor, settings):
        settings.TIME_ZONE = "Asia/Kathmandu"
        made = editing.create(actor, LAMP)
        ((_, data),) = told()
        assert data["product"]["created_at"].endswith("Z")
        assert datetime.fromisoformat(data["product"]["created_at"]) == made.created_at


class TestManyProducts:
    def change(self, user, action: str, **values) -> BulkChange:
        job = BulkChange(
            action=action, created_by=user, by_name="ana", expected=500, last_id=900, changed=480
        )
        for name, value in values.items():
            setattr(job, name, value)
        job.save()
        return job

    def test_those_of_a_search(self, user):
        job = self.change(user, BulkAction.DEACTIVATE, search="lamp", active=True)
        events.bulk_changed(job)
        data = {
            "action": "deactivate",
            "filter": {"search": "lamp", "active": True},
            "count": 480,
            "bulk_change": job.pk,
            "actor": ANA,
        }
        assert told() == [("products.bulk_updated", data)]

    def test_those_that_were_ticked(self, user):
        job = self.change(user, BulkAction.DELETE, ids=[1, 2, 3], token_name="ERP")
        events.bulk_changed(job)
        data = {
            "action": "delete",
            "ids": 3,
            "count": 480,
            "bulk_change": job.pk,
            "actor": {"user": "ana", "token": "ERP"},
        }
        assert told() == [("products.bulk_deleted", data)]

    def test_those_that_are_back(self, user, actor, make_products):
        (product,) = make_products(1)
        deletion = editing.delete(actor, product.pk)
        Event.objects.all().delete()
        job = self.change(user, BulkAction.RESTORE, deletion=deletion)
        events.bulk_changed(job)
        data = {
            "action": "restore",
            "deletion": deletion.pk,
            "count": 480,
            "bulk_change": job.pk,
            "actor": ANA,
        }
        assert told() == [("products.bulk_restored", data)]

    @pytest.mark.parametrize("action", BulkAction.values)
    def test_every_action_has_a_type(self, user, action):
        events.bulk_changed(self.change(user, action))
        assert told()[0][0].startswith("products.bulk_")

    def test_all_of_them(self, user, actor, make_products):
        (product,) = make_products(1)
        deletion = editing.delete(actor, product.pk)
        Event.objects.all().delete()
        deletion.kind, deletion.rows = DeletionKind.ALL, 466_693
        events.deleted_all(deletion)
        data = {"count": 466_693, "deletion": deletion.pk, "actor": ANA}
        assert told() == [("products.deleted_all", data)]


def test_an_import_tells_nothing(user, make_products):
    make_products(1)
    job = import_bytes(user, HEADER + b"Lamp,SKU-1,bright\r\nTorch,sku-2,dim\r\n")
    assert (job.created, job.updated) == (1, 1)
    assert told() == []
    assert not ProductChange.objects.exists()

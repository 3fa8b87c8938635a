from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from config.accounts.actors import Actor
from config.accounts.models import ApiToken
from products.catalogue import editing
from products.catalogue.editing import Busy, SkuTaken, Stale
from products.catalogue.versions import version
from products.models import (
    DeletedProduct,
    Deletion,
    Product,
    ProductChange,
)
from webhooks.models import Event

LAMP = {"sku": "AB-1", "name": "Lamp", "description": "bright", "active": True}


def fields_of(product: Product) -> dict[str, Any]:
    return {field: getattr(product, field) for field in LAMP}


def everything() -> tuple:
    """All that an edit may change."""
    tables = (Product, ProductChange, Deletion, DeletedProduct, Event)
    return tuple(list(table.objects.order_by("pk").values()) for table in tables)


@pytest.mark.django_db
class TestCreate:
    def test_it_adds_the_product(self, actor):
        made = editing.create(actor, LAMP)
        found = Product.objects.get()
        assert fields_of(found) == LAMP
        assert version(made) == version(found)
        assert found.last_import_id is None

    @pytest.mark.parametrize("sku", ["AB-1", "ab-1", "aB-1"])
    def test_a_sku_that_is_taken_is_refused_with_the_product_that_has_it(self, actor, sku):
        first = editing.create(actor, LAMP)
        before = everything()
        with pytest.raises(SkuTaken) as refused:
            editing.create(actor, LAMP | {"sku": sku})
        assert refused.value.other == first
        assert everything() == before

    def test_letters_beyond_ascii_are_compared_as_the_index_does(self, actor):
        first = editing.create(actor, LAMP | {"sku": "ÄÖ-Ñ"})
        with pytest.raises(SkuTaken) as refused:
            editing.create(actor, LAMP | {"sku": "äö-ñ"})
        assert refused.value.other == first

    def test_another_constraint_than_the_skus_is_not_taken_for_it(self, actor, make_products):
        (product,) = make_products(1)
        with pytest.raises(Exception, match="products_product_pkey"):
            editing.create(actor, LAMP | {"id": product.pk})

    def test_it_goes_on_when_the_product_that_had_the_sku_is_gone_again(self, actor, make_products):
        def gone_before_it_is_looked_up(execute, sql, *rest):
            if sql.startswith("SELECT") and "LOWER(" in sql:
                Product.objects.all().delete()
            return execute(sql, *rest)

        make_products(1)
        with connection.execute_wrapper(gone_before_it_is_looked_up):
            made = editing.create(actor, LAMP | {"sku": "SKU-1"})
        assert Product.objects.get() == made

    def test_it_gives_up_when_the_sku_is_taken_and_free_in_turns(self, actor, make_products):
        def away_while_it_is_looked_up(execute, sql, *rest):
            looked_up = sql.startswith("SELECT") and "LOWER(" in sql
            if looked_up:
                Product.objects.update(sku="away")
            found = execute(sql, *rest)
            if looked_up:
                Product.objects.update(sku="SKU-1")
            return found

        make_products(1)
        with connection.execute_wrapper(away_while_it_is_looked_up), pytest.raises(Busy):
            editing.create(actor, LAMP | {"sku": "SKU-1"})


@pytest.mark.django_db
class TestUpdate:
    def test_it_changes_what_is_given(self, actor, make_products):
        product, other = make_products(2)
        changed = editing.update(actor, product.pk, {"name": "Lamp", "active": False})
        found = Product.objects.get(pk=product.pk)
        assert fields_of(found) == fields_of(product) | {"name": "Lamp", "active": False}
        assert found.updated_at > product.updated_at
        assert found.created_at == product.created_at
        assert version(changed) == version(found) != version(product)
        assert Product.objects.filter(pk=other.pk, updated_at=other.updated_at).exists()

    def test_the_case_of_its_own_sku_can_be_changed(self, actor, make_products):
        (product,) = make_products(1)
        editing.update(actor, product.pk, {"sku": "SKU-1"})
        assert Product.objects.get().sku == "SKU-1"

    def test_what_is_so_already_leaves_no_trace(self, actor, make_products):
        (product,) = make_products(1)
        before = everything()
        same = editing.update(actor, product.pk, fields_of(product), version=version(product))
        assert everything() == before
        assert version(same) == version(product)

    def test_a_sku_that_is_taken_is_refused_with_the_product_that_has_it(
        self, actor, make_products
    ):
        product, other = make_products(2)
        before = everything()
        with pytest.raises(SkuTaken) as refused:
            editing.update(actor, product.pk, {"sku": "SKU-2", "name": "Lamp"})
        assert refused.value.other == other
        assert everything() == before

    def test_a_product_does_not_stand_in_its_own_way(self, actor, make_products):
        """Renamed by somebody, to the SKU that it is to have, after that was refused."""

        def renamed_before_it_is_looked_up(execute, sql, *rest):
            if sql.startswith("SELECT") and "LOWER(" in sql:
                Product.objects.filter(pk=other.pk).update(sku="away")
                Product.objects.filter(pk=product.pk).update(sku="sku-2")
            return execute(sql, *rest)

        product, other = make_products(2)
        with connection.execute_wrapper(renamed_before_it_is_looked_up):
            assert editing.update(actor, product.pk, {"sku": "SKU-2"}).sku == "SKU-2"

    def test_who_has_not_seen_the_last_change_is_told(self, actor, make_products):
        (product,) = make_products(1)
        seen = version(product)
        editing.update(actor, product.pk, {"name": "Lamp"}, version=seen)
        before = everything()
        with pytest.raises(Stale) as refused:
            editing.update(actor, product.pk, {"name": "Torch"}, version=seen)
        assert fields_of(refused.value.current) == fields_of(product) | {"name": "Lamp"}
        assert everything() == before
        editing.update(actor, product.pk, {"name": "Torch"}, version=version(refused.value.current))
        assert Product.objects.get().name == "Torch"

    def test_without_a_version_the_last_one_wins(self, actor, make_products):
        (product,) = make_products(1)
        editing.update(actor, product.pk, {"name": "Lamp"})
        editing.update(actor, product.pk, {"name": "Torch"})
        assert Product.objects.get().name == "Torch"

    @pytest.mark.parametrize("seen", [None, "0" * 16])
    def test_a_deleted_product_is_not_there(self, actor, make_products, seen):
        (product,) = make_products(1)
        editing.delete(actor, product.pk)
        with pytest.raises(Product.DoesNotExist):
            editing.update(actor, product.pk, {"name": "Lamp"}, version=seen)
        with pytest.raises(Product.DoesNotExist):
            editing.delete(actor, product.pk, version=seen)


@pytest.mark.django_db
class TestDelete:
    def test_it_keeps_a_copy_for_the_time_of_undo(self, actor, make_products, settings):
        settings.UNDO_HOURS = 2.0
        product, other = make_products(2)
        Product.objects.filter(pk=product.pk).update(last_import_id=12, active=False)
        was = Product.objects.filter(pk=product.pk).values().get()
        before = timezone.now()
        deletion = editing.delete(actor, product.pk)
        after = timezone.now()
        assert Product.objects.get() == other
        kept = DeletedProduct.objects.filter(deletion=deletion).values().get()
        assert was == {name: kept["product_id" if name == "id" else name] for name in was}
        deletion.refresh_from_db()
        assert (deletion.kind, deletion.what, deletion.rows) == ("one", "sku-1", 1)
        assert before <= deletion.kept_until - timedelta(hours=2) <= after
        assert (deletion.restored_at, deletion.swept_at) == (None, None)

    def test_it_says_who_deleted_it(self, user, make_products):
        (product,) = make_products(1)
        token = ApiToken.objects.create(owner=user, name="ERP", scopes=[])
        deletion = editing.delete(Actor(user, token), product.pk)
        assert deletion.created_by == user
        assert (deletion.by_name, deletion.token_name) == ("ana", "ERP")

    def test_who_has_not_seen_the_last_change_is_told(self, actor, make_products):
        (product,) = make_products(1)
        editing.update(actor, product.pk, {"name": "Lamp"})
        before = everything()
        with pytest.raises(Stale) as refused:
            editing.delete(actor, product.pk, version=version(product))
        assert refused.value.current.name == "Lamp"
        assert everything() == before

    def test_its_sku_is_free_again(self, actor, make_products):
        (product,) = make_products(1)
        editing.delete(actor, product.pk)
        assert editing.create(actor, LAMP | {"sku": "SKU-1"}).pk != product.pk

from datetime import timedelta

import pytest
from django.utils import timezone

from config import purging
from config.accounts.actors import Actor
from config.accounts.models import ApiToken
from products.catalogue import editing, history
from products.models import (
    BulkAction,
    BulkChange,
    ChangeAction,
    Deletion,
    DeletionKind,
    Import,
    Product,
    ProductChange,
)
from tests.products.imports.importing import HEADER, import_bytes

pytestmark = pytest.mark.django_db

LAMP = {"sku": "AB-1", "name": "Lamp", "description": "bright", "active": True}


@pytest.fixture
def erp(user) -> Actor:
    """An integration with a token of `user`."""
    return Actor(user, ApiToken.objects.create(owner=user, name="ERP", scopes=[]))


def in_short(product_id: int, limit: int = history.SHOWN) -> list[tuple]:
    found = history.latest(product_id, limit)
    return [(entry.action, entry.who, entry.token, entry.changes) for entry in found]


class TestWhatIsShown:
    def test_all_that_people_did_newest_first(self, actor, erp):
        product = editing.create(actor, LAMP)
        editing.update(erp, product.pk, {"name": "Torch", "active": False, "sku": "AB-1"})
        editing.delete(actor, product.pk)
        assert in_short(product.pk) == [
            ("deleted", "ana", "", {}),
            ("updated", "ana", "ERP", {"name": ["Lamp", "Torch"], "active": [True, False]}),
            ("created", "ana", "", {field: [None, value] for field, value in LAMP.items()}),
        ]
        times = [entry.at for entry in history.latest(product.pk)]
        assert times == sorted(times, reverse=True)
        assert len(set(times)) == 3

    def test_only_the_latest_and_only_of_this_product(self, actor, make_products):
        product, other = make_products(2)
        for n in range(4):
            editing.update(actor, product.pk, {"name": f"Lamp {n}"})
            editing.update(actor, other.pk, {"name": f"Torch {n}"})
        assert [changes["name"][1] for *_, changes in in_short(product.pk, 2)] == [
            "Lamp 3",
            "Lamp 2",
        ]

    def test_names_stay_when_the_account_goes(self, user, erp, make_products):
        (product,) = make_products(1)
        editing.update(erp, product.pk, {"name": "Lamp"})
        user.delete()
        assert in_short(product.pk) == [("updated", "ana", "ERP", {"name": ["Name 1", "Lamp"]})]

    def test_a_product_without_a_history_has_none(self, make_products):
        (product,) = make_products(1)
        assert history.latest(product.pk) == history.latest(product.pk + 1) == []


class TestTheImportThatChangedIt:
    FILE = HEADER + b"Name,sku-1,text\r\n"

    def actions(self, product: Product, limit: int = history.SHOWN) -> list[str]:
        return [entry.action for entry in history.latest(product.pk, limit)]

    def test_it_is_shown_with_its_file(self, user):
        job = import_bytes(user, self.FILE, name="spring.csv")
        product = Product.objects.get()
        (entry,) = history.latest(product.pk)
        assert entry == history.Entry(
            "imported", product.updated_at, "ana", import_id=job.pk, file_name="spring.csv"
        )

    def test_it_is_above_the_changes_before_it(self, user, actor):
        product = editing.create(actor, LAMP | {"sku": "sku-1"})
        editing.update(actor, product.pk, {"name": "Torch"})
        import_bytes(user, self.FILE)
        assert self.actions(product) == ["imported", "updated", "created"]
        assert self.actions(product, 1) == ["imported"]

    def test_it_is_below_the_changes_after_it(self, user, actor):
        import_bytes(user, self.FILE)
        product = Product.objects.get()
        editing.update(actor, product.pk, {"name": "Torch"})
        editing.update(actor, product.pk, {"name": "Lamp"})
        assert self.actions(product) == ["updated", "updated", "imported"]
        assert self.actions(product, 2) == ["updated", "updated"]

    def test_it_is_between_the_changes_before_and_after_it(self, user, actor):
        product = editing.create(actor, LAMP | {"sku": "sku-1"})
        import_bytes(user, self.FILE)
        editing.update(actor, product.pk, {"name": "Torch"})
        assert self.actions(product) == ["updated", "imported", "created"]

    def test_only_the_last_one_that_changed_something(self, user):
        first = import_bytes(user, self.FILE)
        import_bytes(user, self.FILE)
        (entry,) = history.latest(Product.objects.get().pk)
        assert entry.import_id == first.pk

    def test_one_whose_row_is_gone_still_has_its_number(self, make_products):
        (product,) = make_products(1)
        Product.objects.update(last_import_id=12)
        assert history.latest(product.pk) == [
            history.Entry("imported", product.updated_at, "", import_id=12)
        ]

    def test_one_of_a_user_who_is_gone(self, user):
        job = import_bytes(user, self.FILE)
        Import.objects.filter(pk=job.pk).update(created_by=None)
        (entry,) = history.latest(Product.objects.get().pk)
        assert (entry.who, entry.import_id) == ("", job.pk)


class TestChangesOfMany:
    def test_they_are_one_statement(self, erp, make_products, django_assert_num_queries):
        ids = [product.pk for product in make_products(3)]
        with django_assert_num_queries(1):
            history.record_many(
                erp, ids, ChangeAction.UPDATED, {"active": [True, False]}, bulk_id=4
            )
        for product_id in ids:
            (entry,) = history.latest(product_id)
            assert entry.changes == {"active": [True, False]}
            assert (entry.who, entry.token, entry.bulk_id) == ("ana", "ERP", 4)
        assert set(ProductChange.objects.values_list("by", flat=True)) == {erp.user.pk}

    def test_of_none_there_is_nothing_to_do(self, actor, django_assert_num_queries):
        with django_assert_num_queries(0):
            history.record_many(actor, [], ChangeAction.DELETED)

    def test_a_job_is_its_own_author(self, user, make_products):
        (product,) = make_products(1)
        change = BulkChange(
            action=BulkAction.DELETE, created_by=user, by_name="ana", token_name="ERP"
        )
        deletion = Deletion(kind=DeletionKind.ALL, created_by=None, by_name="bob")
        history.record(change, product.pk, ChangeAction.DELETED)
        history.record(deletion, product.pk, ChangeAction.RESTORED)
        assert in_short(product.pk) == [("restored", "bob", "", {}), ("deleted", "ana", "ERP", {})]


class TestPurge:
    def days_old(self, *days: float) -> None:
        now = timezone.now()
        ProductChange.objects.bulk_create(
            ProductChange(product_id=int(age), action="updated", at=now - timedelta(days=age))
            for age in days
        )

    def kept(self) -> set[int]:
        return set(ProductChange.objects.values_list("product_id", flat=True))

    def test_old_changes_are_purged(self, settings):
        settings.HISTORY_KEEP_DAYS = 3.0
        self.days_old(0, 2.9, 3.1, 40)
        assert history.purge(timezone.now()) == 2
        assert self.kept() == {0, 2}

    def test_it_goes_on_in_short_statements_until_all_are_gone(
        self, settings, monkeypatch, django_assert_num_queries
    ):
        settings.HISTORY_KEEP_DAYS = 3.0
        monkeypatch.setattr(purging, "ROWS_AT_ONCE", 2)
        self.days_old(1, 4, 5, 6, 7, 8)
        with django_assert_num_queries(3):
            assert history.purge(timezone.now()) == 5
        assert self.kept() == {1}

    def test_one_call_is_bounded_and_takes_the_oldest_first(self, settings, monkeypatch):
        settings.HISTORY_KEEP_DAYS = 3.0
        monkeypatch.setattr(purging, "ROWS_AT_ONCE", 2)
        monkeypatch.setattr(purging, "ROWS_AT_MOST", 3)
        self.days_old(1, 8, 4, 6, 5, 7)
        assert history.purge(timezone.now()) == 4
        assert self.kept() == {1, 4}

    def test_nothing_begins_when_its_time_is_over(self, settings):
        settings.HISTORY_KEEP_DAYS = 3.0
        self.days_old(1, 4)
        assert history.purge(timezone.now(), deadline=0.0) == 0

"""Undo: what comes back, what is refused and why, and when the copies go."""

from datetime import timedelta

import pytest
from django.utils import timezone

from products.catalogue import bulk, deletions, editing
from products.catalogue.deletions import NotRestorable
from products.catalogue.filters import Filter
from products.models import (
    BulkAction,
    BulkState,
    ChangeAction,
    DeletedProduct,
    Deletion,
    Product,
    ProductChange,
)
from webhooks.models import Event

from .bulk_changing import counts, events, rows, run

DELETE = BulkAction.DELETE


def run_out(deletion: Deletion) -> None:
    Deletion.objects.filter(pk=deletion.pk).update(kept_until=timezone.now() - timedelta(seconds=1))


@pytest.mark.django_db
def test_one_deleted_product_comes_back_as_it_was(actor, make_products):
    product, _ = make_products(2)
    Product.objects.filter(pk=product.pk).update(last_import_id=7, active=False)
    before = rows()
    deletion = editing.delete(actor, product.pk)
    Event.objects.all().delete()

    change = deletions.undo(actor, deletion.pk)

    assert change.state == BulkState.DONE
    assert counts(change) == (1, 1, 1)
    assert rows() == before
    assert events() == [("product.created", "sku-1")]
    newest = ProductChange.objects.order_by("pk").last()
    assert (newest.product_id, newest.action) == (product.pk, ChangeAction.RESTORED)
    deletion.refresh_from_db()
    assert deletion.restored == 1
    assert deletion.restored_at is not None
    assert DeletedProduct.objects.count() == 0


@pytest.mark.django_db
@pytest.mark.parametrize("at_once", [True, False])
def test_many_deleted_products_come_back(actor, make_products, settings, at_once):
    settings.BULK_AT_ONCE = 500 if at_once else 0
    settings.BULK_BATCH_ROWS = 10
    make_products(120)
    before = rows()
    deletion = run(bulk.start(actor, DELETE, filter=Filter("sku"))).deletion

    change = run(deletions.undo(actor, deletion.pk))

    assert counts(change) == (120, 120, 120)
    assert rows() == before
    assert events() == [("products.bulk_deleted", 120), ("products.bulk_restored", 120)]
    assert ProductChange.objects.filter(action=ChangeAction.RESTORED).count() == 120
    new = Product.objects.create(sku="new", name="New")
    assert new.pk > before[-1]["id"]


@pytest.mark.django_db
def test_a_sku_in_use_again_is_left_out_and_can_be_tried_later(actor, make_products):
    products = make_products(3)
    deletion = bulk.start(actor, DELETE, filter=Filter("sku")).deletion
    taken = Product.objects.create(sku="SKU-2", name="Somebody's")

    change = deletions.undo(actor, deletion.pk)

    assert counts(change) == (3, 3, 2)
    assert {row["sku"] for row in rows()} == {"sku-1", "SKU-2", "sku-3"}
    (listed,) = deletions.recents(list(deletions.listed()))
    assert (listed.skipped, listed.why_not) == (1, "")
    taken.delete()
    assert counts(deletions.undo(actor, deletion.pk)) == (1, 1, 1)
    assert [row["id"] for row in rows()] == [product.pk for product in products]
    assert deletions.recents(list(deletions.listed()))[0].skipped == 0


@pytest.mark.django_db
def test_what_a_stopped_restore_did_not_come_to_is_not_left_out(actor, make_products, settings):
    settings.BULK_AT_ONCE = 0
    settings.BULK_BATCH_ROWS = 10
    make_products(30)
    deletion = run(bulk.start(actor, DELETE, filter=Filter("sku"))).deletion
    Product.objects.create(sku="SKU-2", name="Somebody's")
    change = deletions.undo(actor, deletion.pk)
    assert bulk.WORK.step(change)  # it begins
    change.refresh_from_db()
    assert bulk.WORK.step(change)  # ten of them
    bulk.finish(change.pk, BulkState.CANCELLED)

    (listed,) = deletions.recents(list(deletions.listed()))

    assert (listed.skipped, listed.not_yet, listed.why_not) == (1, 20, "")
    run(deletions.undo(actor, deletion.pk))
    (listed,) = deletions.recents(list(deletions.listed()))
    assert (listed.skipped, listed.not_yet) == (1, 0)


@pytest.mark.django_db
def test_a_second_undo_is_refused_and_does_no_harm(actor, make_products):
    make_products(3)
    deletion = bulk.start(actor, DELETE, filter=Filter("sku")).deletion
    deletions.undo(actor, deletion.pk)
    Product.objects.filter(sku="sku-1").delete()
    before = rows()

    with pytest.raises(NotRestorable, match="restored already"):
        deletions.undo(actor, deletion.pk)

    assert rows() == before


@pytest.mark.django_db(transaction=True)
def test_of_two_undos_at_once_one_wins(actor, make_products, workers):
    make_products(100)
    before = rows()
    deletion = bulk.start(actor, DELETE, filter=Filter("sku")).deletion
    Event.objects.all().delete()

    found = [workers(deletions.undo, actor, deletion.pk) for _ in range(3)]

    errors = [future.exception() for future in found]
    assert sum(error is None for error in errors) == 1
    assert all(isinstance(error, NotRestorable) for error in errors if error is not None)
    assert rows() == before
    assert len(events()) == 100


@pytest.mark.django_db
def test_an_undo_has_to_wait_for_the_end_of_the_delete_and_of_another_undo(
    actor, make_products, settings
):
    settings.BULK_AT_ONCE = 0
    make_products(3)
    change = bulk.start(actor, DELETE, filter=Filter("sku"))
    deletion = change.deletion
    with pytest.raises(NotRestorable, match="still being deleted"):
        deletions.undo(actor, deletion.pk)
    run(change)
    undo = deletions.undo(actor, deletion.pk)
    assert undo.state == BulkState.QUEUED
    with pytest.raises(NotRestorable, match="being restored already"):
        deletions.undo(actor, deletion.pk)
    (listed,) = deletions.recents(list(deletions.listed()))
    assert listed.change == undo
    assert run(undo).changed == 3


@pytest.mark.django_db
def test_it_is_refused_when_its_time_is_over_even_if_the_copy_is_still_there(actor, make_products):
    product = make_products(1)[0]
    deletion = editing.delete(actor, product.pk)
    run_out(deletion)
    with pytest.raises(NotRestorable, match="time to undo this is over"):
        deletions.undo(actor, deletion.pk)
    with pytest.raises(Deletion.DoesNotExist):
        deletions.undo(actor, deletion.pk + 1)


@pytest.mark.django_db
def test_copies_go_when_their_time_is_over_and_the_record_stays(actor, make_products, monkeypatch):
    monkeypatch.setattr(deletions, "SWEPT_AT_ONCE", 4)
    products = make_products(12)
    old = bulk.start(actor, DELETE, ids=[product.pk for product in products[:10]]).deletion
    young = editing.delete(actor, products[11].pk)
    run_out(old)

    assert deletions.purge(deadline=0.0) == 0
    deletions.purge()

    assert list(DeletedProduct.objects.values_list("deletion_id", flat=True)) == [young.pk]
    old.refresh_from_db()
    assert old.swept_at is not None
    assert old.rows == 10
    assert [each.deletion for each in deletions.recents(list(deletions.listed()))] == [young, old]
    assert deletions.purge() == 0


@pytest.mark.django_db
def test_a_restore_under_way_keeps_its_copies(actor, make_products, settings):
    settings.BULK_AT_ONCE = 0
    make_products(3)
    deletion = run(bulk.start(actor, DELETE, filter=Filter("sku"))).deletion
    undo = deletions.undo(actor, deletion.pk)
    run_out(deletion)

    deletions.purge()

    assert run(undo).changed == 3
    deletions.purge()
    deletion.refresh_from_db()
    assert deletion.swept_at is not None

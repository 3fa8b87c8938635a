"""Edits that meet each other, or a merge: each with a database connection of its own."""

from concurrent.futures import Future

import pytest
from django.db import OperationalError, connection, transaction

from products.catalogue import editing
from products.catalogue.editing import Busy, SkuTaken, Stale
from products.catalogue.versions import version
from products.imports import pipeline
from products.models import (
    DeletedProduct,
    Deletion,
    ImportState,
    Product,
    ProductChange,
)
from tests.products.imports.importing import HEADER, run, upload
from tests.services.waiting import until
from webhooks.models import Event

pytestmark = pytest.mark.django_db(transaction=True)

LAMP = {"sku": "AB-1", "name": "Lamp", "description": "bright", "active": True}


def waits_for_a_lock() -> bool:
    """Whether somebody waits for somebody else's lock; asked within a transaction, too."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_locks WHERE NOT granted")
        return cursor.fetchone() is not None


def test_the_second_of_two_editors_is_told(actor, make_products, workers):
    (product,) = make_products(1)
    seen = version(product)
    with transaction.atomic():
        editing.update(actor, product.pk, {"name": "Lamp"}, version=seen)
        second = workers(editing.update, actor, product.pk, {"active": False}, version=seen)
        until(waits_for_a_lock)
    with pytest.raises(Stale) as refused:
        second.result()
    assert refused.value.current.name == "Lamp"
    assert Product.objects.get().active is True


def test_the_second_of_two_creates_is_told_of_the_first(actor, workers):
    with transaction.atomic():
        first = editing.create(actor, LAMP)
        second = workers(editing.create, actor, LAMP | {"sku": "ab-1"})
        until(waits_for_a_lock)
    with pytest.raises(SkuTaken) as refused:
        second.result()
    assert refused.value.other == first
    assert Product.objects.count() == ProductChange.objects.count() == 1


def test_a_create_goes_on_when_the_other_is_taken_back(actor, workers):
    with transaction.atomic():
        editing.create(actor, LAMP)
        second = workers(editing.create, actor, LAMP | {"sku": "ab-1"})
        until(waits_for_a_lock)
        transaction.set_rollback(True)
    assert second.result() == Product.objects.get()


def test_an_edit_of_a_product_that_is_being_deleted_finds_none(actor, make_products, workers):
    (product,) = make_products(1)
    with transaction.atomic():
        editing.delete(actor, product.pk)
        second = workers(editing.update, actor, product.pk, {"name": "Lamp"})
        until(waits_for_a_lock)
    with pytest.raises(Product.DoesNotExist):
        second.result()
    assert not Product.objects.exists()


def test_an_edit_that_ends_in_a_deadlock_is_tried_again(actor, make_products, workers):
    one, two = make_products(2)

    def meet() -> Future:
        """The edit waits for this transaction, then this one for the edit."""
        with transaction.atomic():
            editing.update(actor, two.pk, {"sku": "new"})
            edit: Future = workers(editing.update, actor, one.pk, {"sku": "NEW"})
            until(waits_for_a_lock)
            Product.objects.select_for_update().get(pk=one.pk)
        return edit

    # It has waited longer, so it is the one that the database ends; unless this transaction came
    # more than a second later, on a busy machine.
    for _ in range(5):
        try:
            edit = meet()
            break
        except OperationalError:
            until(lambda: Product.objects.filter(pk=one.pk, sku="NEW").update(sku=one.sku))
    with pytest.raises(SkuTaken) as refused:
        edit.result()
    assert refused.value.other == two


def test_who_waits_too_long_is_told_to_try_again(actor, make_products, workers, monkeypatch):
    monkeypatch.setattr(editing, "LOCK_MS", 50)
    (product,) = make_products(1)
    with transaction.atomic():
        Product.objects.select_for_update().get()
        for refused in (
            workers(editing.update, actor, product.pk, {"name": "Lamp"}),
            workers(editing.delete, actor, product.pk),
        ):
            with pytest.raises(Busy, match="Try again") as error:
                refused.result()
            assert isinstance(error.value, OperationalError)
    assert Product.objects.get().updated_at == product.updated_at
    for table in (ProductChange, Deletion, DeletedProduct, Event):
        assert not table.objects.exists()


def test_an_edit_waits_for_the_merge_of_its_row(user, actor, workers, settings):
    settings.IMPORT_BATCH_LINES = 10
    settings.IMPORT_STEP_SECONDS = 0.0  # one step at a time
    lines = b"".join(b"Name %d,sku-%d,text\r\n" % (n, n) for n in range(1, 31))
    run(upload(user, HEADER + lines))
    product = Product.objects.get(sku="sku-1")
    job = upload(user, HEADER + lines.replace(b"text", b"new"))
    while job.state != ImportState.MERGING and pipeline.advance(job.pk):
        job.refresh_from_db()
    with transaction.atomic():
        while not job.merged and pipeline.advance(job.pk):  # the first batch, sku-1 in it
            job.refresh_from_db()
        seen = workers(
            editing.update, actor, product.pk, {"name": "Lamp"}, version=version(product)
        )
        unseen = workers(editing.update, actor, product.pk, {"name": "Torch"})
        until(waits_for_a_lock)
    with pytest.raises(Stale) as refused:
        seen.result()
    assert refused.value.current.description == "new"
    assert unseen.result().description == "new"
    run(job)
    found = Product.objects.get(pk=product.pk)
    assert (found.name, found.description) == ("Torch", "new")


def test_a_merge_waits_for_an_edit_and_has_the_last_word(user, actor, workers):
    run(upload(user, HEADER + b"Name,sku-1,text\r\n"))
    product = Product.objects.get()
    job = upload(user, HEADER + b"Name,sku-1,new\r\n")
    with transaction.atomic():
        editing.update(actor, product.pk, {"name": "Lamp", "active": False})
        imported = workers(run, job)
        until(waits_for_a_lock)
    assert imported.result().updated == 1
    found = Product.objects.get()
    assert (found.name, found.description, found.active) == ("Name", "new", False)

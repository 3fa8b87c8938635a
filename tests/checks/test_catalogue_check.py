"""Counts of imports and deletions: right after all that people do, each planted fault is found."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection
from django.db.models import F
from django.utils import timezone

from config.accounts.actors import Actor
from config.checks.kinds import catalogue
from products.catalogue import bulk, delete_all, deletions, kept_tables, search_index
from products.catalogue.filters import Filter
from products.models import (
    BulkAction,
    DeletedProduct,
    Import,
    ImportPart,
    ImportReject,
    Product,
)
from tests.checks.looking import look, told
from tests.products.imports.importing import import_bytes

pytestmark = pytest.mark.django_db

FILE = b"name,sku,description\r\nA,a,1\r\nB,b,2\r\nA again,A,3\r\n,no-name,4\r\nC,c,5\r\n"


@pytest.fixture
def job(editor) -> Import:
    done = import_bytes(editor, FILE)
    assert (done.created, done.duplicates, done.rejected) == (3, 1, 1)
    return done


def test_an_empty_catalogue_says_so():
    outcome = look("catalogue")
    assert told(outcome) == []
    assert outcome.looked_at == 0 and outcome.summary.startswith("There are no products")


def test_what_people_do_keeps_the_counts_right(job, editor, settings):
    import_bytes(editor, FILE.replace(b"B,b", b"Bee,b"))
    Product.objects.filter(sku="c").update(name="by hand")
    deletion = bulk.start(Actor(editor), BulkAction.DELETE, filter=Filter("b")).deletion
    assert told(look("catalogue")) == []
    deletions.undo(Actor(editor), deletion.pk)
    assert told(look("catalogue")) == []
    outcome = look("catalogue")
    assert outcome.summary.startswith("2 imports, 3 products and 1 deletion")


def test_imports_whose_sums_are_wrong_are_found(job):
    Import.objects.update(created=F("created") + 1)
    (said,) = told(look("catalogue"))
    assert said == (
        f"import {job.pk}: 4 lines went in, and 4 created, 0 updated, 0 unchanged, 1 duplicate are"
        " 5"
    )


def test_parts_that_do_not_make_the_whole_are_found(job):
    ImportPart.objects.update(rows=3)
    (said,) = told(look("catalogue"))
    assert said.startswith(f"import {job.pk}: it says 4 lines, 1 rejects") and "parts 3" in said


def test_lost_rejects_are_found_until_their_time_is_over(job, settings):
    ImportReject.objects.all().delete()
    assert told(look("catalogue")) == [f"import {job.pk}: it refused 1 line, and 0 are kept"]
    settings.REJECT_KEEP_DAYS = 0.5
    Import.objects.update(finished_at=timezone.now() - timedelta(days=1))
    assert told(look("catalogue")) == []


def test_products_of_imports_that_did_not_write_them_are_found(job):
    Product.objects.create(sku="x", name="X", last_import_id=job.pk)
    Product.objects.create(sku="y", name="Y", last_import_id=job.pk + 99)
    assert told(look("catalogue")) == [
        f"import {job.pk + 99}: 1 product name it as their last import, and there is no such"
        " import",
        f"import {job.pk}: 4 products name it as their last import, and it wrote 3",
    ]


def test_lost_copies_of_deleted_products_are_found(job, editor):
    change = bulk.start(Actor(editor), BulkAction.DELETE, filter=Filter("b"))
    DeletedProduct.objects.filter(sku="b").delete()
    (said,) = told(look("catalogue"))
    assert said == f"deletion {change.deletion_id}: 1 deleted and 0 restored, and 0 copies are kept"


@pytest.mark.django_db(transaction=True)
def test_a_whole_table_that_was_put_aside_is_counted(job, editor):
    deletion = delete_all.delete_all(Actor(editor))
    assert told(look("catalogue")) == []
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {deletion.kept_schema}.products_product WHERE sku = 'c'")
    (said,) = told(look("catalogue"))
    assert said.endswith("3 deleted and 0 restored, and 2 copies are kept")
    deletions.undo(Actor(editor), deletion.pk)


@pytest.mark.django_db(transaction=True)
def test_a_missing_search_index_is_found(monkeypatch):
    monkeypatch.setattr(catalogue, "REBUILD_SECONDS", 0.0)
    search_index.build()
    assert told(look("catalogue")) == []
    try:
        search_index.drop()
        (said,) = told(look("catalogue"))
        assert said.startswith("search index: is missing or not valid")
    finally:
        search_index.build()


@pytest.mark.django_db(transaction=True)
def test_an_index_that_is_not_valid_is_found():
    """As a build leaves it that failed."""
    Product.objects.bulk_create(Product(sku=f"sku-{n}", name="Same") for n in range(2))
    with connection.cursor() as cursor:
        try:
            with pytest.raises(IntegrityError):
                cursor.execute(
                    f"CREATE UNIQUE INDEX CONCURRENTLY by_hand ON {kept_tables.TABLE} (name)"
                )
            (said,) = told(look("catalogue"))
        finally:
            cursor.execute("DROP INDEX IF EXISTS by_hand")
    assert said == "index by_hand: is not valid, so not used or not complete"

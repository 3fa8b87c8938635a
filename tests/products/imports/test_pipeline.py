"""The import pipeline on a real PostgreSQL, step by step in this process."""

import pytest
from django.db import connection

from products.imports import pipeline, uploads
from products.models import Import, ImportState, Product

from .importing import HEADER, append, catalogue, counts, import_bytes, run, upload

pytestmark = pytest.mark.django_db(transaction=True)

FILE = HEADER + b'Bryce,lay-raise,"two\r\nlines"\r\nJohn,cup,plain\r\nJohn B,CUP,later wins\r\n'


def test_it_creates_products_and_the_last_line_of_a_sku_wins(user):
    job = import_bytes(user, FILE)

    assert job.state == ImportState.DONE
    assert counts(job) == {
        "rows": 3,
        "rejected": 0,
        "duplicates": 1,
        "created": 2,
        "updated": 0,
        "unchanged": 0,
    }
    assert catalogue() == {
        "lay-raise": ("lay-raise", "Bryce", "two\r\nlines", True),
        "cup": ("CUP", "John B", "later wins", True),
    }


def test_it_does_not_rewrite_unchanged_rows(user):
    import_bytes(user, FILE)
    before = dict(Product.objects.values_list("sku", "updated_at"))

    job = import_bytes(user, FILE)

    assert (job.created, job.updated, job.unchanged) == (0, 0, 2)
    assert dict(Product.objects.values_list("sku", "updated_at")) == before


def test_it_keeps_active_flag_on_reimport(user):
    import_bytes(user, FILE, new_products_active=False)
    Product.objects.filter(sku="lay-raise").update(active=True)

    job = import_bytes(user, HEADER + b"Other name,LAY-RAISE,x\r\nNew,new,x\r\n")

    assert (job.created, job.updated) == (1, 1)
    found = catalogue()
    assert found["lay-raise"] == ("LAY-RAISE", "Other name", "x", True)
    assert found["cup"][3] is False
    assert found["new"][3] is True


def test_it_honours_an_active_column(user):
    import_bytes(user, b"sku,name,active\na,A,no\nb,B,\nc,C,yes\n", new_products_active=True)
    assert {sku: row[3] for sku, row in catalogue().items()} == {"a": False, "b": True, "c": True}

    job = import_bytes(user, b"sku,name,active\na,A,\nb,B,no\nc,C,perhaps\n")

    assert {sku: row[3] for sku, row in catalogue().items()} == {"a": False, "b": False, "c": True}
    assert (job.updated, job.unchanged, job.rejected) == (1, 1, 1)


def test_an_absent_description_keeps_the_old_one_and_an_empty_one_overwrites(user):
    import_bytes(user, HEADER + b"A,a,old\r\nB,b,old\r\n")

    import_bytes(user, b"sku,name\na,A2\n")
    import_bytes(user, b"sku,name,description\nb,B,\n")

    assert {sku: row[2] for sku, row in catalogue().items()} == {"a": "old", "b": ""}


def test_check_first_counts_and_changes_nothing_before_the_yes(user):
    import_bytes(user, HEADER + b"A,a,1\r\nB,b,1\r\n")

    job = import_bytes(
        user, HEADER + b"A,a,1\r\nB,b,2\r\nC,c,3\r\nC,C,4\r\n,x,\r\n", check_first=True
    )

    assert job.state == ImportState.READY
    assert (job.would_create, job.would_update, job.would_keep) == (1, 1, 1)
    assert (job.duplicates, job.rejected) == (1, 1)
    assert Product.objects.count() == 2

    assert pipeline.approve(job.pk)
    job = run(job)
    assert job.state == ImportState.DONE
    assert (job.created, job.updated, job.unchanged) == (1, 1, 1)
    assert catalogue()["c"] == ("C", "C", "4", True)


def test_reading_begins_while_the_upload_still_runs(user, settings):
    settings.UPLOAD_BLOCK_BYTES = settings.IMPORT_PART_BYTES = 64 * 1024
    data = HEADER + b"".join(b"Name,sku-%d,d\r\n" % n for n in range(20_000))
    job = uploads.create(user, "p.csv", len(data), uploads.ImportOptions())
    append(job, data[:200_000])

    job = run(job)

    assert job.state == ImportState.RECEIVING
    assert job.read_bytes == 3 * 64 * 1024
    assert job.rows > 1_000
    append(job, data[200_000:])
    assert run(job).state == ImportState.DONE
    assert Product.objects.count() == 20_000


def test_rejects_keep_line_column_reason_and_raw_text(user):
    job = import_bytes(user, HEADER + b"A,,no sku\r\nB,b,1,2\r\nC,c,fine\r\n")

    assert job.state == ImportState.DONE
    assert [(r.line, r.column, r.raw) for r in job.rejects.all()] == [
        (2, "sku", "A,,no sku"),
        (3, "", "B,b,1,2"),
    ]
    assert (job.rows, job.rejected, job.created) == (1, 2, 1)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"name,price\r\nA,1\r\n", 'no column "sku"'),
        (b"PK\x03\x04" + b"\0" * 100, "ZIP"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 100, "PNG"),
    ],
)
def test_a_file_that_is_no_product_csv_fails_before_any_change(user, data, words):
    job = import_bytes(user, data)

    assert job.state == ImportState.FAILED
    assert words.lower() in job.error.lower()
    assert Product.objects.count() == 0


def test_a_header_without_rows_ends_well_with_nothing_changed(user):
    job = import_bytes(user, HEADER)

    assert job.state == ImportState.DONE
    assert job.rows == job.created == 0


def test_one_import_merges_at_a_time_and_the_others_follow_in_order(user):
    first, second, third = (upload(user, HEADER + b"A,a,%d\r\n" % n) for n in range(3))
    Import.objects.filter(pk=first.pk).update(state=ImportState.MERGING)

    run(second)
    run(third)
    states = dict(Import.objects.values_list("pk", "state"))
    assert states == {
        first.pk: "merging",
        second.pk: "queued",
        third.pk: "queued",
    }

    Import.objects.filter(pk=first.pk).update(state=ImportState.CANCELLED)
    assert run(third).state == ImportState.QUEUED
    assert run(second).state == ImportState.DONE
    assert run(third).state == ImportState.DONE
    assert catalogue()["a"][2] == "2"


def test_cancel_stops_and_leaves_no_staging_table(user):
    job = upload(user, FILE)
    pipeline.cancel(job.pk)

    job = run(job)

    assert job.state == ImportState.CANCELLED
    assert Product.objects.count() == 0
    assert f"products_staging_{job.pk}" not in connection.introspection.table_names()

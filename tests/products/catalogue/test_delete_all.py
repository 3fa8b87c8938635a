"""Delete all: the table that takes the old one's place, what is recorded, and the undo."""

import pytest
from django.db import connection, transaction

from products import tasks
from products.catalogue import bulk, delete_all, deletions, kept_tables, search_index
from products.catalogue.delete_all import CatalogueBusy, ImportMerging, NoRightToKeep
from products.catalogue.filters import Filter
from products.imports.uploads import create_upload
from products.models import (
    BulkAction,
    BulkChange,
    BulkState,
    Deletion,
    DeletionKind,
    Import,
    ImportState,
    Product,
)
from tests.services.waiting import until
from webhooks.models import Event

from .bulk_changing import counts, events, rows, run


def sql(statement: str) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def kept_schemas() -> list[str]:
    return [name for (name,) in sql("SELECT nspname FROM pg_namespace WHERE nspname ~ '^kept_'")]


# The table


@pytest.mark.django_db
def test_all_products_go_and_the_table_that_takes_their_place_is_like_the_old_one(
    actor, make_products
):
    """Fails where a migration gives the table something that the move forgets."""
    make_products(30)
    # More than the table has today: what a later migration or a database's owner may add.
    for statement in (
        "ALTER TABLE products_product SET (autovacuum_vacuum_scale_factor = 0.05,"
        " toast.autovacuum_enabled = false)",
        "ALTER TABLE products_product ALTER name SET STATISTICS 500",
        "ALTER TABLE products_product ALTER sku SET (n_distinct = -1)",
        "ALTER TABLE products_product ALTER description SET STORAGE EXTERNAL",
        "ALTER TABLE products_product ADD CHECK (name <> 'no name')",
        "ALTER TABLE products_product ADD CONSTRAINT pair UNIQUE (id, sku)",
        'CREATE INDEX few ON products_product (name COLLATE "C" DESC) WHERE NOT active',
        "CREATE STATISTICS pairs ON name, active FROM products_product",
        "COMMENT ON COLUMN products_product.name IS 'of a product'",
        "GRANT SELECT ON products_product TO PUBLIC",
        "GRANT UPDATE ON products_product TO pg_monitor WITH GRANT OPTION",
        "GRANT UPDATE (name) ON products_product TO PUBLIC",
    ):
        sql(statement)
    old = kept_tables.oid_of()
    before = kept_tables.describe(old)
    assert all(before[what] for what in ("indexes", "statistics", "rights", "sequence"))

    deletion = delete_all.delete_all(actor)

    assert rows() == []
    new = kept_tables.oid_of()
    assert new != old
    assert kept_tables.oid_of(deletion.kept_schema) == old
    assert kept_tables.describe(new) == before
    assert kept_tables.differences(old, new) == []


@pytest.mark.django_db
def test_the_table_as_the_migrations_made_it_is_moved_and_not_copied(actor, make_products):
    make_products(1)
    old = kept_tables.oid_of()
    deletion = delete_all.delete_all(actor)
    assert kept_tables.oid_of(deletion.kept_schema) == old


@pytest.mark.django_db
def test_ids_are_never_used_again(actor, make_products):
    newest = make_products(5)[-1]
    deletion = delete_all.delete_all(actor)
    assert Product.objects.create(sku="a", name="A").pk == newest.pk + 1
    Product.objects.all().delete()
    deletions.undo(actor, deletion.pk)
    assert Product.objects.create(sku="b", name="B").pk == newest.pk + 2
    assert delete_all.delete_all(actor).rows == 6
    assert Product.objects.create(sku="c", name="C").pk == newest.pk + 3


@pytest.mark.django_db
def test_where_a_view_depends_on_the_table_the_rows_are_copied(actor, make_products):
    make_products(5)
    before = rows()
    sql("CREATE VIEW report AS SELECT count(*) FROM products_product")

    deletion = delete_all.delete_all(actor)

    assert deletion.rows == 5
    assert sql("SELECT * FROM report") == [(0,)]
    assert deletions.undo(actor, deletion.pk).changed == 5
    assert rows() == before
    assert sql("SELECT * FROM report") == [(5,)]


# What is recorded


@pytest.mark.django_db
def test_it_is_recorded_with_the_exact_number_and_told_once(actor, make_products):
    make_products(130)

    deletion = delete_all.delete_all(actor)

    assert (deletion.kind, deletion.rows, deletion.by_name) == (DeletionKind.ALL, 130, "ana")
    assert events() == [("products.deleted_all", 130)]
    assert Event.objects.get().data["deletion"] == deletion.pk
    assert deletions.recents(list(deletions.listed()))[0].why_not == ""
    tasks.sweep_bulk_changes()
    assert len(events()) == 1


@pytest.mark.django_db
def test_a_number_that_was_not_counted_before_a_kill_is_counted_by_the_sweep(actor, make_products):
    make_products(7)
    with transaction.atomic():
        deletion = delete_all._move_aside(actor)
    assert events() == []

    tasks.sweep_bulk_changes()

    deletion.refresh_from_db()
    assert deletion.rows == 7
    assert events() == [("products.deleted_all", 7)]


@pytest.mark.django_db
def test_an_empty_catalogue_leaves_nothing_to_keep(actor):
    deletion = delete_all.delete_all(actor)
    assert (deletion.rows, deletion.kept_schema, kept_schemas()) == (0, "", [])
    assert deletions.recent(deletion).why_not.startswith("There was nothing to delete")


# What stands in its way


@pytest.mark.django_db
def test_it_is_refused_beside_a_merge(actor, user, make_products):
    make_products(3)
    job = Import.objects.create(
        upload=create_upload(user, "p.csv", 10), state=ImportState.MERGING, created_by=user
    )
    assert delete_all.preview().merging == job.pk

    with pytest.raises(ImportMerging) as refused:
        delete_all.delete_all(actor)

    assert refused.value.import_id == job.pk
    assert Product.objects.count() == 3
    assert (Deletion.objects.count(), kept_schemas()) == (0, [])


@pytest.mark.django_db(transaction=True)
def test_it_does_not_wait_for_long(actor, make_products, other, monkeypatch):
    monkeypatch.setattr(delete_all, "LOCK_SECONDS", 0.1)
    make_products(3)
    with other.cursor() as cursor:
        cursor.execute("UPDATE products_product SET name = 'x' WHERE sku = 'sku-1'")

    with pytest.raises(CatalogueBusy):
        delete_all.delete_all(actor)

    other.rollback()
    assert Product.objects.count() == 3
    assert delete_all.delete_all(actor).rows == 3


@pytest.mark.django_db
def test_without_the_right_to_create_a_schema_it_says_which_one_is_missing(actor, make_products):
    make_products(3)
    database = connection.ops.quote_name(connection.settings_dict["NAME"])
    sql(f"REVOKE CREATE ON DATABASE {database} FROM CURRENT_USER")

    with pytest.raises(NoRightToKeep, match="GRANT CREATE ON DATABASE"):
        delete_all.delete_all(actor)

    assert Product.objects.count() == 3


@pytest.mark.django_db
def test_bulk_changes_under_way_end_with_words(actor, make_products, settings):
    settings.BULK_AT_ONCE = 0
    settings.BULK_BATCH_ROWS = 10
    settings.IMPORT_STEP_SECONDS = 0
    make_products(30)
    change = bulk.start(actor, BulkAction.DEACTIVATE, filter=Filter("sku"))
    bulk.advance(change.pk)
    bulk.advance(change.pk)
    assert delete_all.preview().running == [change.pk]

    delete_all.delete_all(actor)

    assert bulk.advance(change.pk) is False
    change.refresh_from_db()
    assert change.state == BulkState.CANCELLED
    assert change.error == "Ended early: all products were deleted meanwhile."
    assert change.changed == 10
    assert [kind for kind, _ in events()] == ["product.updated"] * 10 + ["products.deleted_all"]


@pytest.mark.django_db(transaction=True)
def test_beside_a_worker_in_a_batch_nobody_is_lost(actor, make_products, settings, workers):
    settings.BULK_AT_ONCE = 0
    settings.BULK_BATCH_ROWS = 20
    make_products(1000)
    change = bulk.start(actor, BulkAction.DEACTIVATE, filter=Filter("sku"))
    working = workers(run, change)
    until(lambda: BulkChange.objects.get(pk=change.pk).changed)

    deletion = delete_all.delete_all(actor)

    working.result()
    change.refresh_from_db()
    assert change.state in (BulkState.CANCELLED, BulkState.DONE)
    assert deletion.rows == 1000
    inactive = f"SELECT count(*) FROM {deletion.kept_schema}.products_product WHERE NOT active"
    assert sql(inactive) == [(change.changed,)]
    assert Product.objects.count() == 0


# Undo


@pytest.mark.django_db
def test_the_undo_puts_the_table_back(actor, make_products):
    make_products(120)
    before, old = rows(), kept_tables.oid_of()
    structure = kept_tables.describe(old)
    deletion = delete_all.delete_all(actor)

    change = deletions.undo(actor, deletion.pk)

    assert change.state == BulkState.DONE
    assert counts(change) == (120, 120, 120)
    assert rows() == before
    assert kept_tables.oid_of() == old
    assert kept_tables.describe(old) == structure
    assert kept_schemas() == []
    assert events() == [("products.deleted_all", 120), ("products.bulk_restored", 120)]
    with pytest.raises(deletions.NotRestorable):
        deletions.undo(actor, deletion.pk)


@pytest.mark.django_db
@pytest.mark.parametrize("which", ["kept table", "new table"])
def test_a_search_index_that_only_one_of_the_tables_has_does_not_matter(
    actor, make_products, which
):
    make_products(5)
    before, old = rows(), kept_tables.oid_of()
    sql(f"DROP INDEX IF EXISTS {search_index.NAME}")
    build = f"CREATE INDEX {search_index.NAME} ON products_product (name)"
    if which == "kept table":
        sql(build)
    deletion = delete_all.delete_all(actor)
    if which == "kept table":
        sql(f"DROP INDEX {search_index.NAME}")
    else:
        sql(build)

    deletions.undo(actor, deletion.pk)

    assert rows() == before
    assert kept_tables.oid_of() == old


@pytest.mark.django_db
def test_beside_new_products_the_old_ones_are_put_back_one_by_one(actor, make_products, settings):
    settings.BULK_AT_ONCE = 0
    settings.BULK_BATCH_ROWS = 50
    make_products(120)
    before = rows()
    deletion = delete_all.delete_all(actor)
    taken = Product.objects.create(sku="SKU-7", name="New")

    change = deletions.undo(actor, deletion.pk)

    assert change.state == BulkState.QUEUED
    assert counts(run(change)) == (120, 120, 119)
    found = {row["id"]: row for row in rows()}
    assert found.pop(taken.pk)["name"] == "New"
    assert list(found.values()) == [row for row in before if row["sku"] != "sku-7"]
    taken.delete()
    assert run(deletions.undo(actor, deletion.pk)).changed == 1
    assert rows() == before


@pytest.mark.django_db
def test_a_table_that_a_later_version_has_changed_is_put_back_row_by_row(actor, make_products):
    make_products(10)
    before = rows()
    deletion = delete_all.delete_all(actor)
    sql("ALTER TABLE products_product ADD COLUMN colour text NOT NULL DEFAULT 'grey'")

    assert deletions.undo(actor, deletion.pk).changed == 10

    assert rows() == before
    assert sql("SELECT DISTINCT colour FROM products_product") == [("grey",)]


@pytest.mark.django_db
def test_the_kept_table_goes_when_its_time_is_over(actor, make_products):
    make_products(3)
    deletion = delete_all.delete_all(actor)
    deletions.purge()
    assert kept_schemas() == [deletion.kept_schema]
    Deletion.objects.update(kept_until=deletion.created_at)

    deletions.purge()

    assert kept_schemas() == []
    deletion.refresh_from_db()
    assert deletion.swept_at is not None
    with pytest.raises(deletions.NotRestorable, match="time to undo this is over"):
        deletions.undo(actor, deletion.pk)


@pytest.mark.django_db
def test_a_restore_under_way_ends_when_all_is_deleted_and_goes_on_by_another_undo(
    actor, make_products, settings
):
    settings.BULK_AT_ONCE = 0
    settings.BULK_BATCH_ROWS = 10
    settings.IMPORT_STEP_SECONDS = 0
    make_products(30)
    first = run(bulk.start(actor, BulkAction.DELETE, filter=Filter("sku"))).deletion
    undo = deletions.undo(actor, first.pk)
    bulk.advance(undo.pk)
    bulk.advance(undo.pk)

    second = delete_all.delete_all(actor)

    assert second.rows == 10
    assert BulkChange.objects.get(pk=undo.pk).state == BulkState.CANCELLED
    assert run(deletions.undo(actor, first.pk)).changed == 20
    assert run(deletions.undo(actor, second.pk)).changed == 10
    assert Product.objects.count() == 30

"""Changes of many products: which ones, at once or as a job, counted, recorded and told."""

import psycopg2
import pytest
from django.db import Error as DatabaseError
from django.utils import timezone

from config.live.channels import is_channel
from products import tasks
from products.catalogue import bulk, search, search_index, search_rebuild
from products.catalogue.filters import Filter
from products.models import (
    BulkAction,
    BulkChange,
    BulkState,
    ChangeAction,
    DeletedProduct,
    Deletion,
    Product,
    ProductChange,
)
from tests.services.waiting import until
from webhooks.models import Event

from .bulk_changing import counts, events, rows, run, waits_for_a_lock

ACTIVATE, DEACTIVATE, DELETE = BulkAction.ACTIVATE, BulkAction.DEACTIVATE, BulkAction.DELETE


@pytest.fixture
def small_batches(settings):
    """Everything is a job of batches of 10, one a turn."""
    settings.BULK_AT_ONCE = 0
    settings.BULK_BATCH_ROWS = 10
    settings.IMPORT_STEP_SECONDS = 0


def history() -> list[tuple]:
    return list(
        ProductChange.objects.order_by("product_id").values_list(
            "product_id", "action", "changes", "by_name", "bulk_id"
        )
    )


# At once


@pytest.mark.django_db
def test_it_changes_only_the_chosen_products_that_differ(actor, make_products):
    first, second, third, _ = make_products(4)
    Product.objects.filter(pk=second.pk).update(active=False)
    before = rows()

    change = bulk.start(actor, DEACTIVATE, ids=[third.pk, first.pk, second.pk, first.pk, 10**9])

    assert change.state == BulkState.DONE
    assert counts(change) == (3, 3, 2)
    assert [row["active"] for row in rows()] == [False, False, False, True]
    same = [old["updated_at"] == new["updated_at"] for old, new in zip(before, rows(), strict=True)]
    assert same == [False, True, False, True]
    assert history() == [
        (pk, ChangeAction.UPDATED, {"active": [True, False]}, "ana", change.pk)
        for pk in (first.pk, third.pk)
    ]
    assert events() == [("product.updated", "sku-1"), ("product.updated", "sku-3")]
    told = Event.objects.get(data__product__sku="sku-3").data
    assert (told["changed"], told["previous"]) == (["active"], {"active": True})
    assert told["product"]["active"] is False


@pytest.mark.django_db
def test_it_changes_what_matches_a_filter(actor, make_products):
    make_products(20)
    Product.objects.filter(sku="sku-12").update(active=False)

    change = bulk.start(actor, DEACTIVATE, filter=Filter("sku-1", active=True))

    assert counts(change) == (10, 10, 10)
    assert Product.objects.filter(active=True).count() == 9
    assert (change.ids, change.search, change.active) == (None, "sku-1", True)
    assert bulk.in_words(change) == "products matching “sku-1”, active"


@pytest.mark.django_db
@pytest.mark.parametrize("number", [100, 101])
def test_above_100_changed_products_there_is_one_event(actor, make_products, number):
    make_products(number)

    change = bulk.start(actor, DEACTIVATE, filter=Filter("sku"))

    if number == 100:
        assert len(events()) == 100
        assert {kind for kind, _ in events()} == {"product.updated"}
    else:
        assert events() == [("products.bulk_updated", 101)]
        data = Event.objects.get().data
        assert data["filter"] == {"search": "sku", "active": None}
        assert data["bulk_change"] == change.pk
    assert ProductChange.objects.count() == number


@pytest.mark.django_db
def test_deleted_products_are_kept_with_all_that_they_were(actor, make_products):
    products = make_products(3)
    Product.objects.filter(pk=products[1].pk).update(last_import_id=7, active=False)
    before = rows()

    change = bulk.start(actor, DELETE, ids=[products[0].pk, products[1].pk])

    assert [row["id"] for row in rows()] == [products[2].pk]
    assert change.deletion.rows == 2
    assert change.deletion.what == "2 chosen products"
    kept = [
        {name: row["product_id" if name == "id" else name] for name in before[0]}
        for row in DeletedProduct.objects.order_by("product_id").values()
    ]
    assert kept == before[:2]
    assert [(pk, action) for pk, action, *_ in history()] == [
        (product.pk, ChangeAction.DELETED) for product in products[:2]
    ]
    assert events() == [("product.deleted", "sku-1"), ("product.deleted", "sku-2")]


@pytest.mark.django_db
def test_a_delete_that_finds_nothing_leaves_no_deletion(actor, make_products):
    make_products(1)
    change = bulk.start(actor, DELETE, ids=[10**9])
    assert change.state == BulkState.DONE
    assert (change.deletion, Deletion.objects.count(), events()) == (None, 0, [])


@pytest.mark.django_db
def test_it_wants_either_ids_or_a_filter(actor):
    for wrong in ({}, {"ids": [1], "filter": Filter()}, {"ids": list(range(bulk.MAX_IDS + 1))}):
        with pytest.raises(ValueError):
            bulk.start(actor, ACTIVATE, **wrong)
    with pytest.raises(ValueError):
        bulk.start(actor, BulkAction.RESTORE, ids=[1])
    assert BulkChange.objects.count() == 0


# As a job


@pytest.mark.django_db
@pytest.mark.parametrize("which", ["ids", "filter"])
@pytest.mark.parametrize("action", [DEACTIVATE, DELETE])
def test_more_than_a_few_become_a_job_with_the_same_end(
    actor, make_products, settings, small_batches, action, which
):
    settings.BULK_AT_ONCE = 10
    products = make_products(150)
    before = rows()
    chosen = [product.pk for product in products if "1" in product.sku]

    change = bulk.start(
        actor, action, **({"ids": chosen} if which == "ids" else {"filter": Filter("sku-1")})
    )

    expected = len(chosen) if which == "ids" else 62
    assert change.state == BulkState.QUEUED
    assert change.expected == expected
    assert rows() == before
    change = run(change)
    assert change.state == BulkState.DONE
    assert counts(change) == (expected, expected, expected)
    left = Product.objects.filter(active=True).values_list("sku", flat=True)
    wanted = "1" if which == "ids" else "sku-1"
    assert sorted(left) == sorted(p.sku for p in products if wanted not in p.sku)
    assert ProductChange.objects.filter(bulk_id=change.pk).count() == expected
    assert len(events()) == expected
    assert change.claim > 5  # it did take turns


@pytest.mark.django_db
def test_a_job_of_many_ends_with_one_event(actor, make_products, small_batches):
    make_products(105)
    change = run(bulk.start(actor, DELETE, filter=Filter("sku")))
    assert events() == [("products.bulk_deleted", 105)]
    assert change.deletion.rows == DeletedProduct.objects.count() == 105
    assert run(change).changed == 105
    assert len(events()) == 1


@pytest.mark.django_db
def test_products_made_after_it_was_asked_for_stay(actor, make_products, small_batches):
    make_products(15)
    change = bulk.start(actor, DELETE, filter=Filter("sku"))
    Product.objects.create(sku="sku-late", name="Late")
    assert run(change).changed == 15
    assert [row["sku"] for row in rows()] == ["sku-late"]


@pytest.mark.django_db
def test_wide_gaps_of_ids_cost_nothing(actor, small_batches):
    far = 10**12
    Product.objects.create(pk=5, sku="near", name="Near")
    Product.objects.create(pk=far, sku="far", name="Far")
    change = run(bulk.start(actor, DEACTIVATE, filter=Filter(active=True)))
    assert counts(change) == (2, 2, 2)
    assert change.claim < 6


@pytest.mark.django_db
def test_a_cancelled_one_keeps_what_it_did_and_says_so(actor, make_products, small_batches):
    make_products(25)
    change = bulk.start(actor, DELETE, filter=Filter("sku"))
    bulk.advance(change.pk)
    bulk.advance(change.pk)

    bulk.cancel(change.pk)
    change = run(change)

    assert change.state == BulkState.CANCELLED
    assert change.error == "Cancelled after 10 products had been deleted; you can undo that."
    assert Product.objects.count() == 15
    assert change.deletion.rows == 10
    assert len(events()) == 10


@pytest.mark.django_db
def test_one_that_is_cancelled_before_it_began_changes_nothing(actor, make_products, small_batches):
    make_products(5)
    change = bulk.start(actor, ACTIVATE, filter=Filter("sku"))
    bulk.cancel(change.pk)
    assert run(change).error == "Cancelled before anything changed."
    assert events() == []


@pytest.mark.django_db
def test_forgotten_ones_are_found_and_ended_ones_are_not(actor, make_products, small_batches):
    make_products(5)
    change = bulk.start(actor, DEACTIVATE, filter=Filter("sku"))
    assert bulk.forgotten() == [change.pk]
    tasks.advance_bulk_change(change.pk)
    run(change)
    assert bulk.forgotten() == []


@pytest.mark.django_db
def test_its_snapshot_follows_it(actor, make_products, small_batches):
    make_products(20)
    change = bulk.start(actor, DEACTIVATE, filter=Filter("sku"))
    assert bulk.snapshot(change)["percent"] is None
    bulk.advance(change.pk)
    bulk.advance(change.pk)
    change.refresh_from_db()
    half = bulk.snapshot(change)
    assert (half["state"], half["percent"], half["changed"]) == ("running", 50.0, 10)
    done = bulk.snapshot(run(change))
    assert (done["ended"], done["percent"], done["matched"]) == (True, 100.0, 20)
    assert is_channel(bulk.channel(change.pk))


# Beside others


@pytest.mark.django_db(transaction=True)
def test_a_product_that_is_edited_meanwhile_and_no_longer_matches_stays(
    actor, make_products, other, workers
):
    make_products(3)
    with other.cursor() as cursor:
        cursor.execute("UPDATE products_product SET sku = 'renamed' WHERE sku = 'sku-2'")
        deleting = workers(lambda: bulk.start(actor, DELETE, filter=Filter("sku")))
        until(waits_for_a_lock)
    other.commit()

    change = deleting.result()

    assert [row["sku"] for row in rows()] == ["renamed"]
    assert change.changed == 2


@pytest.mark.django_db(transaction=True)
def test_one_that_has_to_wait_for_long_becomes_a_job(actor, make_products, other, monkeypatch):
    monkeypatch.setattr(bulk, "LOCK_SECONDS", 0.1)
    make_products(3)
    with other.cursor() as cursor:
        cursor.execute("UPDATE products_product SET name = 'x' WHERE sku = 'sku-2'")
    change = bulk.start(actor, DELETE, filter=Filter("sku"))
    assert change.state == BulkState.QUEUED
    assert Product.objects.count() == 3
    assert BulkChange.objects.count() == Deletion.objects.count() == 1
    with pytest.raises(DatabaseError):
        run(change)
    other.commit()

    change = run(change)

    assert (change.state, change.error, change.changed) == (BulkState.DONE, "", 3)
    assert [count for _, count in events()] == ["sku-1", "sku-2", "sku-3"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("at_once", [True, False])
def test_a_batch_that_meets_a_deadlock_is_repeated(
    actor, make_products, other, workers, settings, caplog, at_once
):
    """The server ends the one that notices: mostly the one that began to wait earlier."""
    caplog.set_level("INFO")
    settings.BULK_AT_ONCE = 500 if at_once else 0
    make_products(100)
    for attempt in range(5):
        action = ACTIVATE if attempt % 2 else DEACTIVATE
        with other.cursor() as cursor:
            cursor.execute("UPDATE products_product SET name = 'x' WHERE sku = 'sku-90'")
            working = workers(lambda act: run(bulk.start(actor, act, filter=Filter("sku"))), action)
            until(waits_for_a_lock)
            try:
                cursor.execute("UPDATE products_product SET name = 'x' WHERE sku = 'sku-10'")
            except psycopg2.errors.DeadlockDetected:
                other.rollback()
            else:
                other.commit()
        change = working.result()
        assert (change.state, change.changed) == (BulkState.DONE, 100)
        if "deadlock detected" in caplog.text:
            break
    assert "repeated after: OperationalError: deadlock detected" in caplog.text
    assert ProductChange.objects.count() == len(events()) == 100 * (attempt + 1)


@pytest.mark.django_db(transaction=True)
def test_workers_that_take_turns_do_its_work_once(actor, make_products, small_batches, workers):
    make_products(200)
    change = bulk.start(actor, DELETE, filter=Filter("sku"))

    def work() -> None:
        while not BulkChange.objects.get(pk=change.pk).ended:
            bulk.advance(change.pk)

    for future in [workers(work) for _ in range(3)]:
        future.result()

    change.refresh_from_db()
    assert counts(change) == (200, 200, 200)
    assert DeletedProduct.objects.count() == ProductChange.objects.count() == 200
    assert events() == [("products.bulk_deleted", 200)]
    assert change.finished_at <= timezone.now()


@pytest.mark.django_db
def test_deleting_all_is_left_to_delete_all(actor, make_products):
    make_products(3)
    with pytest.raises(bulk.DeletesAll):
        bulk.start(actor, BulkAction.DELETE, filter=Filter(" "))
    assert Product.objects.count() == 3


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("action", "state"),
    [("deactivate", "missing"), ("delete", "ready")],  # deleting does not write to the index
)
def test_a_change_of_much_of_the_catalogue_goes_on_without_the_search_index(
    actor, make_products, settings, monkeypatch, action, state
):
    monkeypatch.setattr(search_rebuild, "DROP_FROM_ROWS", 20)
    settings.BULK_AT_ONCE = 0
    make_products(30)
    change = bulk.start(actor, BulkAction(action), filter=Filter("sku-"))
    bulk.advance(change.pk)
    change.refresh_from_db()
    assert change.state == BulkState.DONE
    assert search_index.state() == state
    assert search_rebuild.is_due() == (state == "missing")


@pytest.mark.django_db(transaction=True)
def test_a_dump_that_reads_products_all_the_while_costs_a_change_nothing_but_time(
    actor, make_products, settings, monkeypatch, other
):
    monkeypatch.setattr(search_rebuild, "DROP_FROM_ROWS", 20)
    settings.BULK_AT_ONCE = 0
    make_products(30)
    change = bulk.start(actor, DEACTIVATE, filter=Filter("sku-"))
    with other.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM products_product")
    run(change)
    other.rollback()
    change.refresh_from_db()
    assert (change.state, change.changed) == (BulkState.DONE, 30)
    assert search_index.state() == "ready"


@pytest.mark.django_db
def test_what_a_search_finds_is_not_changed_while_it_finds_a_part_only(actor, make_products):
    make_products(3)
    search_index.drop()
    with pytest.raises(search.SearchIncomplete):
        bulk.start(actor, BulkAction.DELETE, filter=Filter("ext 1"))
    bulk.start(actor, BulkAction.DEACTIVATE, filter=Filter(active=True))
    assert Product.objects.filter(active=False).count() == 3

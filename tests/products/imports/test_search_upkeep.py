"""The search index beside merges: kept, dropped, built again, whatever is killed meanwhile."""

import pytest
from django.db import connection

from products import tasks
from products.catalogue import search, search_index, search_rebuild
from products.catalogue.filters import Filter
from products.imports import search_upkeep
from products.models import Import, ImportState, Product
from tests.services.waiting import until

from . import importing

HEADER = importing.HEADER
ROWS = 300


def rows(*, numbers: range = range(ROWS), text: str = "first") -> bytes:
    return HEADER + b"".join(b"Lamp %d,S-%05d,%s\r\n" % (n, n, text.encode()) for n in numbers)


@pytest.fixture(autouse=True)
def _small_imports_count_as_large(monkeypatch):
    monkeypatch.setattr(search_rebuild, "DROP_FROM_ROWS", ROWS // 10)


@pytest.mark.django_db
def test_a_first_import_goes_on_without_the_index(user):
    importing.import_bytes(user, rows())
    assert search_index.state() == "missing"
    assert search_rebuild.is_due()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("again", "state"),
    [
        (rows(), "ready"),  # unchanged
        (rows(numbers=range(20), text="new"), "ready"),
        (rows(numbers=range(ROWS, ROWS + 60)), "ready"),  # a sixth is new
        (rows(numbers=range(ROWS, ROWS + 150)), "missing"),  # a third is new
        (rows(text="new"), "missing"),
    ],
)
@pytest.mark.parametrize("check_first", [False, True])
def test_a_later_import_drops_the_index_where_it_changes_much(
    user, monkeypatch, again, state, check_first
):
    monkeypatch.setattr(search_rebuild, "DROP_FROM_ROWS", 10**9)
    importing.import_bytes(user, rows())
    monkeypatch.setattr(search_rebuild, "DROP_FROM_ROWS", ROWS // 10)
    monkeypatch.setattr(search_upkeep, "SAMPLE_LINES", 20)

    job = importing.import_bytes(user, again, check_first=check_first)
    if check_first:
        Import.objects.filter(pk=job.pk).update(approved=True)
        job = importing.run(job)

    assert job.state == ImportState.DONE
    assert search_index.state() == state


@pytest.mark.django_db
def test_a_drop_outwaits_an_autovacuum_that_stands_in_its_way():
    """PostgreSQL ends one for whoever waits longer than this."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT setting::int FROM pg_settings WHERE name = 'deadlock_timeout'")
        (milliseconds,) = cursor.fetchone()
    assert milliseconds < search_index.DROP_LOCK_BEHIND_UPKEEP_MS


@pytest.mark.django_db(transaction=True)
def test_a_drop_waits_for_an_autovacuum_longer_than_for_a_reader(other, workers, monkeypatch):
    monkeypatch.setattr(search_index, "DROP_LOCK_BEHIND_UPKEEP_MS", 60_000)
    with other.cursor() as cursor:
        cursor.execute("LOCK TABLE products_product IN SHARE UPDATE EXCLUSIVE MODE")
    dropping = workers(search_index.drop)

    def has_waited() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT FROM pg_locks WHERE NOT granted AND relation = 'products_product'::regclass"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
                " AND clock_timestamp() - waitstart > make_interval(secs => %s)",
                [2 * search_index.DROP_LOCK_MS / 1000],
            )
            return cursor.fetchone() is not None

    until(lambda: dropping.done() or has_waited())
    assert not dropping.done()
    other.rollback()
    assert dropping.result(timeout=60)
    assert not _exists()


@pytest.mark.django_db(transaction=True)
def test_a_dump_that_reads_products_all_the_while_costs_an_import_nothing_but_time(user, other):
    with other.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM products_product")
    job = importing.import_bytes(user, rows())
    other.rollback()
    assert (job.state, job.error, job.created) == (ImportState.DONE, "", ROWS)
    assert search_index.state() == "ready"


@pytest.mark.django_db
def test_it_is_not_due_while_another_import_merges(user):
    search_index.drop()
    job = importing.upload(user, rows())
    assert search_rebuild.is_due()
    Import.objects.filter(pk=job.pk).update(state=ImportState.MERGING)
    assert not search_rebuild.is_due()


@pytest.mark.django_db(transaction=True)
def test_a_worker_builds_it_again_and_searches_find_everything(user):
    importing.import_bytes(user, rows())
    assert search.find(Filter("amp 17")).degraded

    tasks.build_search_index()

    assert search_index.state() == "ready"
    found = search.find(Filter("amp 17"))
    assert not found.degraded
    assert [product.sku for product in found.rows] == []  # "17" is short: a beginning
    assert search.find(Filter("amp first")).total.rows == ROWS
    assert not search_index.build()


@pytest.mark.django_db(transaction=True)
def test_it_is_built_as_the_migration_made_it():
    made = _definition()
    search_index.drop()
    search_index.build()
    assert _definition() == made


def _definition() -> tuple:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_get_indexdef(%s::regclass), (SELECT array_agg(attstattarget ORDER BY attnum)"
            " FROM pg_attribute WHERE attrelid = %s::regclass)",
            [search_index.NAME, search_index.NAME],
        )
        return cursor.fetchone()


@pytest.fixture
def half_built(user, workers, other):
    """A build that waits for somebody's transaction; `half_built()` is what it came to."""
    search_index.drop()
    Product.objects.create(sku="S", name="N")
    with other.cursor() as cursor:
        cursor.execute("UPDATE products_product SET name = 'M'")
    build = workers(search_index.build)
    until(lambda: search_index.state() == "building" and _exists(), 60)
    yield build
    other.rollback()
    search_index.build()


def _exists() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [search_index.NAME])
        return cursor.fetchone()[0]


@pytest.mark.django_db(transaction=True)
def test_what_a_killed_build_leaves_behind_is_built_again(half_built, other):
    assert not search_index.build()  # one is at work
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
            " AND objid = %s",
            [search_index.BUILDER],
        )
    assert half_built.exception(timeout=60) is not None
    assert search_index.state() == "missing"
    assert _exists()  # but it can't be used

    other.rollback()
    assert search_index.build()
    assert search_index.state() == "ready"


@pytest.mark.django_db(transaction=True)
def test_statistics_are_not_waited_for_while_it_is_built(half_built, other):
    tasks.analyze_catalogue()  # gives up: the build would wait for it, and both for ever
    assert not half_built.done()
    other.rollback()
    assert half_built.result(timeout=60)
    assert search_index.state() == "ready"


@pytest.mark.django_db(transaction=True)
def test_a_merge_that_drops_it_ends_a_build_under_way(half_built, other):
    other.rollback()
    with other.cursor() as cursor:
        cursor.execute("BEGIN; SELECT count(*) FROM products_upload")
    search_index.drop()
    assert not _exists()
    half_built.exception(timeout=60)

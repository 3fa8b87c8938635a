"""Who may work on an import: claims, their loss, and what happens to work that goes wrong."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg2
import pytest
from django.db import Error as DatabaseError
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from config.jobs import claims, runner
from config.jobs.claims import ClaimLost
from products import tasks
from products.imports import pipeline, progress, sweep, uploads
from products.imports.staging import losers_table, table
from products.models import (
    Import,
    ImportPart,
    ImportReject,
    ImportState,
    Product,
    Upload,
    UploadBlock,
)
from tests.services.waiting import until

from . import import_oracle
from .importing import HEADER, catalogue, counts, import_bytes, run, upload

pytestmark = pytest.mark.django_db(transaction=True)

FILE = HEADER + b"".join(b"Name %d,sku-%d,text\r\n" % (n, n) for n in range(1, 101))
# For tests that wait for the server to notice; a busy machine stops nobody for so long.
FROZEN_SECONDS = 2.0


@pytest.fixture
def other(settings) -> Iterator[Any]:
    """A database connection of somebody else, e.g. of a page's edit."""
    found = psycopg2.connect(
        **{
            name: value
            for name, value in connection.get_connection_params().items()
            if name in ("dbname", "user", "password", "host", "port")
        }
    )
    yield found
    found.close()


def grow_old(job: Import) -> None:
    """What the time would do to the heartbeat of a worker that has stopped."""
    long_ago = timezone.now() - timedelta(days=1)
    Import.objects.filter(pk=job.pk).exclude(heartbeat_at=None).update(heartbeat_at=long_ago)


def held(job: Import, state: ImportState, settings) -> claims.Claim:
    """A claim on `job`, which was taken as far as the first step (or batch) of `state`."""
    settings.IMPORT_BATCH_LINES = 10
    claim = claims.take(Import, job.pk)
    assert claim is not None
    while runner.step(pipeline.WORK, claim):
        job.refresh_from_db()
        if job.state == state and (state != ImportState.MERGING or job.merged):
            return claim
    raise AssertionError(f"never {state}, ended as {job.state}")


def everything(job: Import) -> tuple:
    """All that a step may change."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT job_id, part FROM products_stagedpart ORDER BY 1, 2")
        staged = cursor.fetchall()
    return (
        Import.objects.filter(pk=job.pk).values().get(),
        list(Product.objects.order_by("pk").values()),
        list(ImportPart.objects.order_by("pk").values()),
        staged,
    )


def waits_for_a_lock() -> bool:
    """Whether somebody in this database waits for somebody else's lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock'"
        )
        return cursor.fetchone() is not None


@contextmanager
def refused(on: str, code: str, message: str, table: str = "products_product") -> Iterator[None]:
    """The server refuses to insert or update (`on`) a row with this SQLSTATE."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$"
            f" BEGIN RAISE EXCEPTION '{message}' USING ERRCODE = '{code}'; END $$"
        )
        cursor.execute(
            f"CREATE TRIGGER refuse BEFORE {on} ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION refuse CASCADE")


# One holder at a time


def test_of_many_workers_at_once_only_one_gets_the_import(user, workers):
    job = upload(user, FILE)
    together = threading.Barrier(6)

    def take() -> claims.Claim | None:
        together.wait()
        return claims.take(Import, job.pk)

    found = [future.result() for future in [workers(take) for _ in range(6)]]

    assert [claim for claim in found if claim is not None] == [claims.Claim(Import, job.pk, 1, 1)]


def test_workers_that_take_turns_on_one_import_do_its_work_once(user, workers, settings):
    settings.IMPORT_BATCH_LINES = 5
    settings.IMPORT_PART_BYTES = 500
    settings.IMPORT_STEP_SECONDS = 0  # a turn is one step
    job = upload(user, FILE + FILE[len(HEADER) :].replace(b"text", b"later"))

    def work() -> None:
        while not Import.objects.get(pk=job.pk).ended:
            pipeline.advance(job.pk)

    for future in [workers(work) for _ in range(4)]:
        future.result()

    job.refresh_from_db()
    assert job.state == ImportState.DONE
    assert counts(job) == {
        "rows": 200,
        "rejected": 0,
        "duplicates": 100,
        "created": 100,
        "updated": 0,
        "unchanged": 0,
    }
    assert {row[2] for row in catalogue().values()} == {"later"}
    assert job.claim > 10  # they did take turns


def test_a_claim_in_use_is_not_taken_and_a_stale_one_is(user, settings):
    job = upload(user, FILE)
    first = claims.take(Import, job.pk)
    assert first is not None
    assert claims.take(Import, job.pk) is None

    grow_old(job)

    second = claims.take(Import, job.pk)
    assert second == claims.Claim(Import, job.pk, first.number + 1, 2)
    assert claims.take(Import, job.pk) is None


def test_a_worker_in_the_middle_of_a_long_step_keeps_its_import_however_old_its_heartbeat(
    user, workers
):
    job = upload(user, FILE)
    claim = claims.take(Import, job.pk)
    grow_old(job)
    with transaction.atomic():
        claims.hold(claim)
        assert workers(claims.take, Import, job.pk).result() is None
    assert claims.take(Import, job.pk) is None  # its heartbeat is fresh now


def test_an_upload_does_not_wait_for_the_worker_s_step(user):
    job = uploads.create(user, "p.csv", len(FILE), uploads.ImportOptions())
    turn = uploads.append(uploads.take_turn(job.upload_id), FILE[:500])
    claim = claims.take(Import, job.pk)

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        claims.hold(claim)

        def send_the_rest() -> None:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '10s'")  # an error, not for ever
            uploads.append(turn, FILE[500:])
            connection.close()

        pool.submit(send_the_rest).result()

    claims.release(claim)
    job = run(job)
    assert job.state == ImportState.DONE
    assert job.received_at == job.upload.completed_at


def test_a_released_claim_is_free_at_once(user):
    job = upload(user, FILE)
    claims.release(claims.take(Import, job.pk))
    assert claims.take(Import, job.pk) is not None


def test_nobody_can_claim_an_import_that_has_ended(user):
    job = import_bytes(user, FILE)
    assert job.state == ImportState.DONE
    assert claims.take(Import, job.pk) is None
    assert pipeline.advance(job.pk) is False


# The frozen twin


@pytest.mark.parametrize("state", [ImportState.READING, ImportState.MERGING])
def test_a_frozen_twin_gives_up_at_its_next_step_and_changes_nothing(user, settings, state):
    job = upload(user, FILE)
    frozen = held(job, state, settings)
    grow_old(job)
    successor = claims.take(Import, job.pk)
    before = everything(job)

    with pytest.raises(ClaimLost):
        runner.step(pipeline.WORK, frozen)

    assert everything(job) == before
    while runner.step(pipeline.WORK, successor):
        pass
    job.refresh_from_db()
    assert job.state == ImportState.DONE
    assert (job.created, job.updated, job.unchanged) == (100, 0, 0)


def test_a_frozen_twin_neither_frees_nor_blames_the_claim_of_its_successor(user, settings):
    job = upload(user, FILE)
    frozen = held(job, ImportState.MERGING, settings)
    grow_old(job)
    claims.take(Import, job.pk)
    before = everything(job)

    claims.release(frozen)
    claims.release(frozen, error="from the past")

    assert everything(job) == before
    assert claims.take(Import, job.pk) is None


def test_a_twin_that_wakes_up_when_all_is_over_gives_up(user, settings):
    job = upload(user, FILE)
    frozen = held(job, ImportState.MERGING, settings)
    grow_old(job)
    assert run(job).state == ImportState.DONE
    before = everything(job)

    with pytest.raises(ClaimLost):
        runner.step(pipeline.WORK, frozen)

    assert everything(job) == before


def test_a_worker_frozen_inside_its_transaction_is_ended_by_the_server(user, settings, workers):
    settings.IMPORT_STALE_SECONDS = FROZEN_SECONDS
    job = upload(user, FILE)
    holds, wakes_up = threading.Event(), threading.Event()

    def freeze() -> None:
        claim = claims.take(Import, job.pk)
        with transaction.atomic():
            claims.hold(claim)
            Product.objects.create(sku="half", name="of a step")
            holds.set()
            wakes_up.wait()
            Product.objects.create(sku="other half", name="of a step")

    frozen = workers(freeze)
    assert holds.wait(30)
    try:
        until(lambda: claims.take(Import, job.pk))
    finally:
        wakes_up.set()
    with pytest.raises(DatabaseError):
        frozen.result()
    assert Product.objects.count() == 0
    grow_old(job)
    assert run(job).state == ImportState.DONE


class Stuck:
    """A file for COPY that gives some lines and then nothing, as of a process that is stopped."""

    def __init__(self) -> None:
        self.reached, self.goes_on = threading.Event(), threading.Event()
        self._lines = ["1\tsku-half\tof a part\ttext\tt\n" * 100]

    def read(self, size: int) -> str:
        if self._lines:
            return self._lines.pop()
        self.reached.set()
        self.goes_on.wait()
        return ""


def test_a_worker_frozen_inside_a_copy_is_ended_by_the_sweep(user, settings, workers):
    settings.IMPORT_STALE_SECONDS = FROZEN_SECONDS
    settings.IMPORT_PART_BYTES = 1000
    job = upload(user, FILE)
    file = Stuck()

    def freeze() -> None:
        claim = claims.take(Import, job.pk)
        runner.step(pipeline.WORK, claim)
        runner.step(pipeline.WORK, claim)
        with transaction.atomic():
            claims.hold(claim)
            with connection.cursor() as cursor:
                cursor.copy_expert(f"COPY {table(job.pk)} FROM STDIN", file)

    frozen = workers(freeze)
    assert file.reached.wait(30)

    def taken() -> claims.Claim | None:
        tasks.sweep_imports()
        return claims.take(Import, job.pk)

    try:
        until(taken)
    finally:
        file.goes_on.set()
    with pytest.raises(psycopg2.OperationalError):
        frozen.result()
    grow_old(job)
    job = run(job)
    assert job.state == ImportState.DONE
    assert counts(job) == import_oracle.expect(FILE).counts


def test_a_web_process_frozen_while_it_stores_a_block_is_ended_by_the_sweep(
    user, other, settings, workers
):
    settings.IMPORT_STALE_SECONDS = FROZEN_SECONDS
    job = uploads.create(user, "p.csv", len(FILE), uploads.ImportOptions())
    with other.cursor() as cursor:
        cursor.execute("UPDATE products_upload SET writer = writer + 1")
    coming_back = workers(uploads.take_turn, job.upload_id)
    until(waits_for_a_lock)

    def swept() -> bool:
        tasks.sweep_imports()
        return coming_back.done()

    until(swept)
    uploads.append(coming_back.result(), FILE)
    assert run(job).state == ImportState.DONE


def test_the_sweep_leaves_a_worker_alone_that_has_only_begun_its_copy(user, settings, workers):
    settings.IMPORT_PART_BYTES = 1000
    job = upload(user, FILE)
    file = Stuck()

    def begin() -> None:
        claim = claims.take(Import, job.pk)
        runner.step(pipeline.WORK, claim)
        runner.step(pipeline.WORK, claim)
        with transaction.atomic():
            claims.hold(claim)
            with connection.cursor() as cursor:
                cursor.copy_expert(f"COPY {table(job.pk)} FROM STDIN", file)

    working = workers(begin)
    assert file.reached.wait(30)
    tasks.sweep_imports()
    file.goes_on.set()
    working.result()


# Errors and stalls


def test_an_import_whose_workers_are_stopped_each_time_fails_with_words(user, settings):
    settings.IMPORT_MAX_STALLS = 3
    job = upload(user, FILE)
    for number in range(1, 4):
        assert claims.take(Import, job.pk) == claims.Claim(Import, job.pk, number, number)
        grow_old(job)

    assert pipeline.advance(job.pk) is False

    job.refresh_from_db()
    assert job.state == ImportState.FAILED
    assert job.error.startswith("Tried 3 times in vain: the worker was stopped each time")
    assert Product.objects.count() == 0
    assert job.heartbeat_at is None


def test_a_step_that_gets_done_forgives_earlier_stalls(user, settings):
    settings.IMPORT_MAX_STALLS = 3
    job = upload(user, FILE)
    for _ in range(3):
        claim = claims.take(Import, job.pk)
        grow_old(job)
    runner.step(pipeline.WORK, claim)
    for _ in range(3):
        grow_old(job)
        claim = claims.take(Import, job.pk)
    assert claim.stalls == 3
    grow_old(job)
    Import.objects.filter(pk=job.pk).update(stalls=2)

    assert run(job).state == ImportState.DONE


def test_an_unexpected_error_is_recorded_and_the_import_goes_on_once_it_is_over(user):
    job = upload(user, FILE)
    with refused("INSERT", "P0001", "out of order"):
        with pytest.raises(DatabaseError):
            run(job)
        job.refresh_from_db()
        assert job.state == ImportState.MERGING
        assert job.error == "InternalError: out of order"
        assert job.heartbeat_at is None  # free, nobody has to wait for it to get stale
        assert sweep.forgotten_imports() == [job.pk]
        assert Product.objects.count() == 0

    job = run(job)

    assert job.state == ImportState.DONE
    assert job.error == ""
    assert counts(job) == import_oracle.expect(FILE).counts


def test_an_error_that_stays_fails_the_import_with_its_text_and_keeps_the_file(user, settings):
    settings.IMPORT_MAX_STALLS = 3
    job = upload(user, FILE)
    with refused("INSERT", "P0001", "out of order"):
        for _ in range(1 + 3):  # the first one got something done before
            with pytest.raises(DatabaseError):
                run(job)
        run(job)
    job.refresh_from_db()
    assert job.state == ImportState.FAILED
    assert job.error == "Tried 3 times in vain: InternalError: out of order"
    assert table(job.pk) not in connection.introspection.table_names()
    assert losers_table(job.pk) not in connection.introspection.table_names()

    again = run(pipeline.repeat(job, user))

    assert again.state == ImportState.DONE
    assert again.created == 100


def test_the_database_s_words_on_a_full_disk_are_shown(user, settings):
    settings.IMPORT_BATCH_LINES = 10
    job = upload(user, FILE)
    held(job, ImportState.MERGING, settings)
    grow_old(job)
    full = 'could not extend file "base/5/16384": No space left on device'
    with refused("INSERT", "53100", full):
        with pytest.raises(DatabaseError) as raised:
            run(job)
    assert isinstance(raised.value.__cause__, psycopg2.errors.DiskFull)
    job.refresh_from_db()
    assert full in progress.snapshot(job)["error"]
    assert job.merged == 10  # what went in before stays

    job = run(job)

    assert job.state == ImportState.DONE
    assert job.error == ""
    assert counts(job) == import_oracle.expect(FILE).counts


def test_a_disk_that_is_full_while_the_file_is_read_is_shown_too(user, settings):
    settings.IMPORT_MAX_STALLS = 2
    job = upload(user, FILE)
    full = "could not write to file: No space left on device"
    with refused("INSERT", "53100", full, table="products_stagedpart"):
        for _ in range(1 + 2):  # the first one got something done before
            with pytest.raises(DatabaseError):
                run(job)
        run(job)
    job.refresh_from_db()
    assert job.state == ImportState.FAILED
    assert job.error == f"Tried 2 times in vain: OperationalError: {full}"
    assert ImportPart.objects.count() == 0


# Merging beside others


def test_a_product_created_meanwhile_is_updated_instead(user, other, workers):
    job = upload(user, FILE)
    with other.cursor() as cursor:
        cursor.execute(
            "INSERT INTO products_product (sku, name, active) VALUES ('SKU-50', 'by hand', false)"
        )
    merging = workers(run, job)
    until(waits_for_a_lock)
    other.commit()

    job = merging.result()

    assert job.state == ImportState.DONE
    assert (job.created, job.updated, job.unchanged) == (99, 1, 0)
    assert catalogue()["sku-50"] == ("sku-50", "Name 50", "text", False)
    assert Product.objects.count() == 100


def test_a_product_whose_creation_was_undone_is_created(user, other, workers):
    job = upload(user, FILE)
    with other.cursor() as cursor:
        cursor.execute("INSERT INTO products_product (sku, name) VALUES ('SKU-50', 'by hand')")
    merging = workers(run, job)
    until(waits_for_a_lock)
    other.rollback()

    job = merging.result()

    assert (job.created, job.updated, job.unchanged) == (100, 0, 0)


def test_a_product_edited_or_deleted_meanwhile_ends_as_the_file_says(user, other, workers):
    import_bytes(user, FILE)
    job = upload(user, FILE.replace(b"text", b"other"))
    with other.cursor() as cursor:
        cursor.execute("UPDATE products_product SET name = 'by hand' WHERE sku = 'sku-50'")
        cursor.execute("DELETE FROM products_product WHERE sku = 'sku-60'")
    merging = workers(run, job)
    until(waits_for_a_lock)
    other.commit()

    job = merging.result()

    assert job.state == ImportState.DONE
    found = catalogue()
    assert len(found) == 100
    assert {row[2] for row in found.values()} == {"other"}
    assert found["sku-50"][1] == "Name 50"
    assert (job.created, job.updated, job.unchanged) == (1, 99, 0)


def test_a_batch_that_meets_a_deadlock_is_repeated(user, other, workers, caplog):
    """Of two sessions that wait for each other the server ends the one that notices: mostly the
    merge, which began to wait earlier. Where it was the other one, we try again."""
    caplog.set_level("INFO", "config.jobs.runner")
    data = FILE
    import_bytes(user, data)
    for attempt in range(5):
        data = FILE.replace(b"text", b"text %d" % attempt)
        job = upload(user, data)
        with other.cursor() as cursor:
            cursor.execute("UPDATE products_product SET name = 'x' WHERE sku = 'sku-90'")
            merging = workers(run, job)
            until(waits_for_a_lock)
            try:
                cursor.execute("UPDATE products_product SET name = 'x' WHERE sku = 'sku-10'")
            except psycopg2.errors.DeadlockDetected:
                other.rollback()
            else:
                other.commit()
        job = merging.result()
        assert job.state == ImportState.DONE
        assert (job.created, job.updated, job.unchanged) == (0, 100, 0)
        assert import_oracle.by_key(catalogue().values()) == import_oracle.expect(data).products
        if "deadlock detected" in caplog.text:
            break
    assert "step repeated after: OperationalError: deadlock detected" in caplog.text


def test_a_batch_is_not_repeated_for_ever(user, workers):
    job = upload(user, FILE)
    with refused("INSERT", "40001", "could not serialize access"):
        with pytest.raises(DatabaseError):
            run(job)
    job.refresh_from_db()
    assert job.error == "OperationalError: could not serialize access"
    assert run(job).state == ImportState.DONE


# Queueing


def test_imports_merge_in_the_order_in_which_they_were_queued(user, workers, settings):
    settings.IMPORT_BATCH_LINES = 10
    settings.IMPORT_STEP_SECONDS = 0
    late, second, first = (
        upload(user, FILE.replace(b"text", b"%d" % n), check_first=True) for n in range(3)
    )
    for job in (late, second, first):
        assert run(job).state == ImportState.READY
    blocker = upload(user, FILE)
    held(blocker, ImportState.MERGING, settings)
    for job in (first, second, late):
        assert pipeline.approve(job.pk)
        assert run(job).state == ImportState.QUEUED
    grow_old(blocker)

    def work() -> None:
        while Import.objects.exclude(state__in=Import.ENDED).exists():
            for job_id in sweep.forgotten_imports():
                pipeline.advance(job_id)

    for future in [workers(work) for _ in range(3)]:
        future.result()

    done = Import.objects.order_by("merge_started_at")
    assert [job.pk for job in done] == [blocker.pk, first.pk, second.pk, late.pk]
    for earlier, later in zip(done, list(done)[1:], strict=False):
        assert earlier.finished_at <= later.merge_started_at
    assert {row[2] for row in catalogue().values()} == {"0"}
    assert [(job.created, job.updated) for job in done] == [(100, 0)] + [(0, 100)] * 3


def test_a_cancelled_import_lets_the_next_one_in_the_queue_merge(user, settings):
    first, second = upload(user, FILE), upload(user, FILE)
    claims.release(held(first, ImportState.MERGING, settings))
    assert run(second).state == ImportState.QUEUED
    assert sweep.forgotten_imports() == [first.pk]

    pipeline.cancel(first.pk)
    first = run(first)

    assert first.state == ImportState.CANCELLED
    assert first.error == "Cancelled after 10 rows; they stay in the catalogue."
    assert sweep.forgotten_imports() == [second.pk]
    assert run(second).state == ImportState.DONE
    assert (second.created, second.unchanged) == (90, 10)


def test_whoever_reads_its_staging_tables_keeps_no_import_from_its_end(
    user, other, workers, settings
):
    waits_for_a_yes = import_bytes(user, FILE, check_first=True)
    job = upload(user, FILE)
    claims.release(held(job, ImportState.MERGING, settings))
    with other.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {table(job.pk)} IN ACCESS SHARE MODE")
    ending = workers(run, job)
    try:
        assert ending.result(timeout=60).state == ImportState.DONE
        tasks.sweep_imports()
        assert table(job.pk) in connection.introspection.table_names()
    finally:
        other.rollback()
    tasks.sweep_imports()
    left = connection.introspection.table_names()
    assert table(job.pk) not in left and losers_table(job.pk) not in left
    assert table(waits_for_a_yes.pk) in left


# What the sweep finds


def test_the_sweep_finds_what_nobody_works_on(user, settings):
    settings.UPLOAD_BLOCK_BYTES = 100
    never_begun = upload(user, FILE)
    released = upload(user, FILE)
    claims.release(claims.take(Import, released.pk))
    stopped = upload(user, FILE)
    claims.take(Import, stopped.pk)
    grow_old(stopped)
    held_by_a_worker = upload(user, FILE)
    claims.take(Import, held_by_a_worker.pk)
    half_there = uploads.create(user, "p.csv", len(FILE), uploads.ImportOptions())
    uploads.append(uploads.take_turn(half_there.upload_id), FILE[:500])
    nothing_there = uploads.create(user, "p.csv", len(FILE), uploads.ImportOptions())
    uploads.append(uploads.take_turn(nothing_there.upload_id), FILE[:50])
    waits_for_a_yes = import_bytes(user, FILE, check_first=True)
    assert waits_for_a_yes.state == ImportState.READY
    done = import_bytes(user, HEADER)
    assert done.state == ImportState.DONE

    assert sweep.forgotten_imports() == [
        job.pk for job in (never_begun, released, stopped, half_there)
    ]

    Import.objects.filter(pk=waits_for_a_yes.pk).update(approved=True)
    Import.objects.filter(pk=nothing_there.pk).update(cancel_requested=True)
    found = sweep.forgotten_imports()
    assert waits_for_a_yes.pk in found
    assert nothing_there.pk in found


def test_a_forgotten_import_ends_as_if_nothing_had_been(user, settings):
    settings.IMPORT_PART_BYTES = 500
    job = upload(user, FILE)
    held(job, ImportState.READING, settings)
    for _ in range(200):
        grow_old(job)
        for job_id in sweep.forgotten_imports():  # as the worker that then gets killed again
            runner.step(pipeline.WORK, claims.take(Import, job_id))
    job.refresh_from_db()
    assert job.state == ImportState.DONE
    assert counts(job) == import_oracle.expect(FILE).counts
    found = import_oracle.by_key(catalogue().values())
    assert import_oracle.differences(found, import_oracle.expect(FILE).products) == []


def expire(job: Import) -> None:
    Upload.objects.filter(pk=job.upload_id).update(expires_at=timezone.now() - timedelta(seconds=1))


def test_an_abandoned_upload_is_purged_and_its_import_fails_with_words(user, settings):
    settings.UPLOAD_KEEP_HOURS = 24
    settings.UPLOAD_BLOCK_BYTES = 100
    job = uploads.create(user, "p.csv", len(FILE), uploads.ImportOptions())
    uploads.append(uploads.take_turn(job.upload_id), FILE[: len(FILE) // 3])
    going_on = uploads.create(user, "q.csv", len(FILE), uploads.ImportOptions())
    uploads.append(uploads.take_turn(going_on.upload_id), FILE[:1000])
    job = run(job)
    assert job.read_bytes == len(FILE) // 3
    expire(job)

    sweep.purge_uploads()

    job.refresh_from_db()
    assert job.state == ImportState.FAILED
    assert job.error == "The upload stopped at 33 % and was not resumed within 24 hours."
    assert job.upload.purged_at is not None
    assert list(UploadBlock.objects.values_list("upload_id", flat=True)) == [going_on.upload_id]
    assert table(job.pk) not in connection.introspection.table_names()
    with pytest.raises(uploads.UploadGone):
        uploads.append(uploads.take_turn(job.upload_id), FILE[len(FILE) // 3 :])
    with pytest.raises(pipeline.NotRepeatable):
        pipeline.repeat(job, user)
    going_on.refresh_from_db()
    assert going_on.state == ImportState.RECEIVING


def test_an_upload_that_goes_on_is_not_abandoned(user):
    job = uploads.create(user, "p.csv", len(FILE), uploads.ImportOptions())
    expire(job)
    uploads.append(uploads.take_turn(job.upload_id), FILE)  # puts its end off

    sweep.purge_uploads()

    assert run(job).state == ImportState.DONE


def test_an_upload_that_goes_on_at_the_moment_of_the_sweep_is_not_abandoned(user, other, workers):
    job = uploads.create(user, "p.csv", len(FILE), uploads.ImportOptions())
    expire(job)
    with other.cursor() as cursor:  # what storing a block does first
        cursor.execute("UPDATE products_upload SET expires_at = now() + interval '1 day'")
    sweeping = workers(sweep.purge_uploads)
    until(waits_for_a_lock)
    other.commit()
    sweeping.result()

    uploads.append(uploads.take_turn(job.upload_id), FILE)
    assert run(job).state == ImportState.DONE


def test_a_check_that_nobody_confirms_is_cancelled(user, settings):
    settings.UPLOAD_KEEP_HOURS = 1.5
    job = import_bytes(user, FILE, check_first=True)
    expire(job)

    sweep.purge_uploads()

    job.refresh_from_db()
    assert job.state == ImportState.CANCELLED
    assert job.error == "Not confirmed within 1.5 hours; nothing was changed."
    assert Product.objects.count() == 0
    assert UploadBlock.objects.count() == 0
    assert pipeline.approve(job.pk) is False
    assert table(job.pk) not in connection.introspection.table_names()


def test_a_check_has_its_whole_time_for_the_yes_however_late_it_ends(user, settings):
    job = upload(user, FILE, check_first=True)
    claims.release(held(job, ImportState.CHECKING, settings))
    expire(job)
    assert run(job).state == ImportState.READY

    sweep.purge_uploads()

    job.refresh_from_db()
    assert job.state == ImportState.READY


def test_a_yes_that_no_worker_has_seen_so_far_is_no_abandoned_check(user):
    job = import_bytes(user, FILE, check_first=True)
    expire(job)
    assert pipeline.approve(job.pk)

    sweep.purge_uploads()

    assert run(job).state == ImportState.DONE


def test_a_yes_at_the_moment_of_the_sweep_counts(user, other, workers):
    job = import_bytes(user, FILE, check_first=True)
    expire(job)
    with other.cursor() as cursor:
        cursor.execute("UPDATE products_import SET approved = true")
    sweeping = workers(sweep.purge_uploads)
    until(lambda: sweeping.done() or waits_for_a_lock())
    other.commit()
    sweeping.result(timeout=60)

    assert run(job).state == ImportState.DONE


def test_a_file_that_is_imported_again_is_kept_for_as_long_again(user):
    job = import_bytes(user, HEADER + b"A,a,\xff\r\n")
    expire(job)

    again = pipeline.repeat(job, user, encoding="cp1252", check_first=True)

    assert Upload.objects.get(pk=again.upload_id).expires_at > timezone.now()


@pytest.mark.parametrize("state", [ImportState.READING, ImportState.MERGING])
def test_the_bytes_of_an_import_at_work_are_kept_however_long_it_takes(user, settings, state):
    job = upload(user, FILE)
    held(job, state, settings)
    expire(job)

    sweep.purge_uploads()

    assert UploadBlock.objects.count() == 1
    grow_old(job)
    assert run(job).state == ImportState.DONE


def test_a_file_kept_for_another_try_is_purged_when_its_time_is_over(user):
    job = import_bytes(user, HEADER + b"A,a,\xff\r\n")
    assert (job.state, job.undecodable) == (ImportState.DONE, 1)
    sweep.purge_uploads()
    assert UploadBlock.objects.count() == 1

    expire(job)
    sweep.purge_uploads()

    assert UploadBlock.objects.count() == 0
    with pytest.raises(pipeline.NotRepeatable):
        pipeline.repeat(job, user)


def test_an_upload_without_an_import_is_purged(user):
    found = uploads.create_upload(user, "p.csv", 10)
    uploads.append(uploads.take_turn(found.pk), b"sku")
    Upload.objects.filter(pk=found.pk).update(expires_at=timezone.now() - timedelta(seconds=1))

    sweep.purge_uploads()

    found.refresh_from_db()
    assert found.purged_at is not None
    assert UploadBlock.objects.count() == 0


def test_rejects_are_swept_when_their_time_is_over_and_their_count_stays(user, settings):
    settings.REJECT_KEEP_DAYS = 30
    old, new = (import_bytes(user, HEADER + b"A,,no sku\r\n") for _ in range(2))
    Import.objects.filter(pk=old.pk).update(finished_at=F("finished_at") - timedelta(days=31))

    sweep.purge_rejects()

    assert list(ImportReject.objects.values_list("job_id", flat=True)) == [new.pk]
    old.refresh_from_db()
    assert old.rejected == 1

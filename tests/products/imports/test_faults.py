"""Imports through a running Stockroom of which a part is killed, stopped or restarted.

Whatever happens, the import has to end by itself with the products and counts of the oracle.
A lock in the database (a gate) holds the import at the place where it is to be hit.
"""

import io
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import psutil
import pytest

from bench.sample_csv import write_sample
from tests.services.waiting import until

from . import import_oracle
from .import_oracle import Expected, Stored
from .stack import SECONDS, RunningStockroom, running_stockroom

ROWS = 20_000
BLOCK_BYTES = 64 * 1024
PART_BYTES = 256 * 1024

READING = "products_stagedpart"  # gates: written to at the end of each part
MERGING = "products_product"  # and by each batch


@dataclass(frozen=True)
class File:
    """A file, the catalogue it is imported into, and what has to come of that."""

    data: bytes
    before: dict[str, Stored]
    expected: Expected

    @property
    def new_sku(self) -> str:
        """A SKU in the middle of the file that is not in the catalogue."""
        rows = [row for _, row in import_oracle.records(self.data) if row is not None]
        middle = rows[len(rows) // 2 :]
        return next(row.sku for row in middle if row.sku.lower() not in self.before)


@pytest.fixture(scope="module")
def file() -> File:
    """About a quarter of its products are unchanged, a quarter changed, half new."""
    data, old = io.BytesIO(), io.BytesIO()
    write_sample(data, ROWS, seed=1, rejects=60)
    write_sample(old, ROWS, seed=1, changed_fraction=0.5)
    known = import_oracle.expect(old.getvalue(), new_products_active=False).products
    before = {key: product for n, (key, product) in enumerate(known.items()) if n % 2}
    return File(data.getvalue(), before, import_oracle.expect(data.getvalue(), before))


@pytest.fixture(scope="module")
def running() -> Iterator[RunningStockroom]:
    """One for all tests of this file; each puts back what it has killed."""
    with running_stockroom(
        IMPORT_STALE_SECONDS="2",
        IMPORT_SWEEP_SECONDS="1",
        IMPORT_STEP_SECONDS="1",
        IMPORT_PART_BYTES=str(PART_BYTES),
        UPLOAD_BLOCK_BYTES=str(BLOCK_BYTES),
        IMPORT_BATCH_LINES="500",
        WEB_CONCURRENCY="1",
    ) as stockroom:
        yield stockroom


@pytest.fixture
def stockroom(running: RunningStockroom, file: File) -> RunningStockroom:
    running.set_catalogue(file.before)
    return running


def some_parts_are_read(job: dict) -> bool:
    return job["read_bytes"] >= 3 * PART_BYTES


def some_batches_are_merged(job: dict) -> bool:
    return job["state"] == "merging" and job["merge_line"] > 3000


def test_without_any_fault_it_ends_as_the_oracle_says(stockroom, file):
    stockroom.check(stockroom.upload(file.data), file.expected)


def test_the_worker_is_killed_while_it_reads(stockroom, file):
    job_id, address = stockroom.create(len(file.data))
    stockroom.uploader(address, file.data).upload(stop_at=len(file.data) // 2)
    stockroom.wait(job_id, some_parts_are_read)
    with stockroom.gate(READING) as gate:
        stockroom.uploader(address, file.data).upload()
        gate.reached()
        stockroom.kill_group("worker.1")

    stockroom.check(job_id, file.expected)


def test_the_worker_is_killed_inside_a_batch_of_the_merge(stockroom, file):
    with stockroom.gate_at(file.new_sku) as gate:
        job_id = stockroom.upload(file.data)
        gate.reached()
        assert some_batches_are_merged(stockroom.job(job_id))
        stockroom.kill_group("worker.1")

    stockroom.check(job_id, file.expected)


@pytest.mark.parametrize("place", [READING, MERGING])
def test_only_the_pool_s_process_is_killed(stockroom, file, place):
    with stockroom.gate(place) as gate:
        job_id = stockroom.upload(file.data)
        port = gate.reached()
        children = stockroom.processes("worker.1")[1:]
        (working,) = (
            child
            for child in children
            if any(each.laddr.port == port for each in child.net_connections() if each.laddr)
        )
        working.kill()
        psutil.wait_procs([working], SECONDS)

    stockroom.check(job_id, file.expected)
    assert stockroom.stack.processes["worker.1"].running


def test_postgres_is_killed_while_the_file_is_read(stockroom, file):
    with stockroom.gate(READING) as gate:
        job_id = stockroom.upload(file.data)
        gate.reached()
        gate.open()
        stockroom.wait(job_id, some_parts_are_read)
        stockroom.restart_engine("postgres")

    stockroom.check(job_id, file.expected)


def test_postgres_is_killed_inside_a_batch_of_the_merge(stockroom, file):
    with stockroom.gate_at(file.new_sku) as gate:
        job_id = stockroom.upload(file.data)
        gate.reached()
        merged = stockroom.job(job_id)
        assert some_batches_are_merged(merged)
        stockroom.restart_engine("postgres")

    assert stockroom.job(job_id)["merge_line"] >= merged["merge_line"]  # what was done stays
    stockroom.check(job_id, file.expected)


def test_postgres_is_killed_while_a_checked_import_waits_for_its_yes(stockroom, file):
    job_id = stockroom.upload(file.data, check_first="true")
    stockroom.wait(job_id, lambda job: job["state"] == "ready")
    stockroom.restart_engine("postgres")
    assert stockroom.query(f"SELECT count(*) FROM products_staging_{job_id}") == [(0,)]
    answer = stockroom.request("GET", f"/api/imports/{job_id}/").json()
    assert {
        "created": answer["would_create"],
        "updated": answer["would_update"],
        "unchanged": answer["would_keep"],
    }.items() <= file.expected.counts.items()

    stockroom.request("POST", f"/api/imports/{job_id}/approve/")

    stockroom.check(job_id, file.expected)


def test_web_is_killed_in_the_middle_of_a_patch_and_the_client_goes_on(stockroom, file):
    job_id, address = stockroom.create(len(file.data), check_first="true")
    sent = len(file.data) // 2
    with stockroom.half_sent(address, file.data, 0, sent):
        kept = sent // BLOCK_BYTES * BLOCK_BYTES
        stockroom.wait(job_id, lambda job: job["offset"] == kept)
        stockroom.kill_group("web.1")
        stockroom.stack.wait_ready(SECONDS)

    uploader = stockroom.uploader(address, file.data, chunk=300_000)
    assert uploader.offset == kept
    uploader.upload()

    stockroom.wait(job_id, lambda job: job["state"] == "ready")
    upload_id = stockroom.job(job_id)["upload_id"]
    blocks = stockroom.query(
        'SELECT "offset", data FROM products_uploadblock WHERE upload_id = %s ORDER BY 1', upload_id
    )
    stored = b""
    for offset, data in blocks:
        assert offset == len(stored)
        stored += bytes(data)
    assert stored == file.data
    stockroom.request("POST", f"/api/imports/{job_id}/approve/")
    stockroom.check(job_id, file.expected)


def test_web_is_killed_while_it_stores_a_block(stockroom, file):
    """The dead process's transaction may still be open in the server when the client comes back."""
    job_id, address = stockroom.create(len(file.data))
    stockroom.uploader(address, file.data).upload(stop_at=1_000_000)
    with stockroom.gate("products_uploadblock") as gate:
        with stockroom.half_sent(address, file.data, 1_000_000, 1_500_000):
            gate.reached()
            stockroom.kill_group("web.1")
            stockroom.stack.wait_ready(SECONDS)
    uploader = stockroom.uploader(address, file.data)
    assert uploader.offset == 1_000_000
    uploader.upload()

    stockroom.check(job_id, file.expected)


def test_a_frozen_worker_loses_the_merge_to_another_and_does_no_harm(stockroom, file):
    cut_off = "server closed the connection unexpectedly"
    before = stockroom.said("worker.1").count(cut_off)
    frozen = []
    try:
        with stockroom.gate_at(file.new_sku) as gate:
            job_id = stockroom.upload(file.data)
            gate.reached()
            claim = stockroom.job(job_id)["claim"]
            frozen = stockroom.processes("worker.1")
            stockroom.signal(frozen, signal.SIGSTOP)
        # Entered once the server has ended the frozen transaction, which writes to the table.
        with stockroom.gate(MERGING) as gate:
            stockroom.stack.start_processes(["worker.2"])
            gate.reached()
            assert stockroom.job(job_id)["claim"] > claim
            stockroom.signal(frozen, signal.SIGCONT)
            until(lambda: stockroom.said("worker.1").count(cut_off) > before, SECONDS)
        stockroom.check(job_id, file.expected)
    finally:
        stockroom.signal(frozen, signal.SIGCONT)
        stockroom.stack.processes["worker.2"].stop()


def test_a_worker_that_is_asked_to_stop_in_a_merge_ends_its_step_and_leaves_it_free(
    stockroom, file
):
    worker = stockroom.stack.processes["worker.1"]
    farewells = stockroom.said("worker.1").count("Warm shutdown")
    with stockroom.gate_at(file.new_sku) as gate:
        job_id = stockroom.upload(file.data)
        gate.reached()
        before = stockroom.job(job_id)["merge_line"]
        stopping = threading.Thread(target=worker.stop)
        stopping.start()
        until(lambda: stockroom.said("worker.1").count("Warm shutdown") > farewells, SECONDS)
        gate.open()
        stopping.join()
    job = stockroom.job(job_id)
    worker.start()

    assert job["merge_line"] > before  # the step was finished
    assert job["heartbeat_at"] is None  # nobody has to wait for it to get stale
    assert job["error"] == ""
    stockroom.check(job_id, file.expected)


@pytest.mark.parametrize("place", [READING, MERGING])
def test_valkey_is_killed_and_comes_back(stockroom, file, place):
    with stockroom.gate(place) as gate:
        job_id = stockroom.upload(file.data)
        gate.reached()
        stockroom.restart_engine("valkey")

    stockroom.check(job_id, file.expected)


def test_an_upload_while_valkey_is_away_is_taken_and_imported_later(stockroom, file):
    valkey = stockroom.stack.engines["valkey"]
    valkey.kill()
    try:
        job_id = stockroom.upload(file.data)
        assert stockroom.job(job_id)["offset"] == len(file.data)
    finally:
        valkey.start()

    stockroom.check(job_id, file.expected)


def test_the_same_file_twice_at_once(stockroom, file):
    found: list[int] = []
    together = threading.Barrier(2)

    def send() -> None:
        together.wait()
        found.append(stockroom.upload(file.data))

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first, second = sorted(found, key=lambda job_id: merge_started(stockroom, job_id))

    again = import_oracle.expect(file.data, file.expected.products)
    assert (again.created, again.updated) == (0, 0)
    counts = [
        {name: job[name] for name in file.expected.counts}
        for job in map(stockroom.end, (first, second))
    ]
    assert counts == [file.expected.counts, again.counts]
    assert import_oracle.differences(stockroom.catalogue(), file.expected.products) == []


def test_two_files_at_once_merge_one_after_the_other(stockroom, file):
    """Both rewrite the same products: the one queued later has the last word on all of them."""
    other = io.BytesIO()
    write_sample(other, ROWS, seed=1, changed_fraction=0.7, rejects=10)
    files = [file.data, other.getvalue()]
    ids: dict[int, bytes] = {}
    together = threading.Barrier(2)

    def send(data: bytes) -> None:
        together.wait()
        ids[stockroom.upload(data)] = data

    threads = [threading.Thread(target=send, args=(data,)) for data in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first, second = sorted(ids, key=lambda job_id: merge_started(stockroom, job_id))

    one = import_oracle.expect(ids[first], file.before)
    two = import_oracle.expect(ids[second], one.products)
    job = stockroom.end(first)
    assert {name: job[name] for name in one.counts} == one.counts
    stockroom.check(second, two)
    (times,) = stockroom.query(
        "SELECT a.finished_at <= b.merge_started_at AND a.queued_at < b.queued_at"
        " FROM products_import a, products_import b WHERE a.id = %s AND b.id = %s",
        first,
        second,
    )
    assert times == (True,)


def merge_started(stockroom: RunningStockroom, job_id: int):
    """When the import began to merge, once it has ended well."""
    assert stockroom.end(job_id)["state"] == "done"
    return stockroom.query("SELECT merge_started_at FROM products_import WHERE id = %s", job_id)

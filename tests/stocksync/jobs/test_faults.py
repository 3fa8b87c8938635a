"""Jobs through a running Stockroom of which a part is killed, stopped or restarted.

Whatever happens, a job has to end by itself with the files and rows of the engine. A lock in the
database (a gate) holds it at the place where it is to be hit.
"""

import io
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest
import requests

from tests.products.imports.stack import SECONDS, RunningStockroom, running_stockroom
from tests.services.waiting import until

from .expected import expect, sample
from .stack import JOBS, check, download, end, gate_at, job, upload

FILE = sample(2_000_000, 1_000)
EXPECTED = expect(FILE)
MIDDLE = len(EXPECTED.decisions) * 2 // 3
MAX_BYTES = 5_000_000
BLOCK_BYTES = 64 * 1024
# The server waits so long for the rest of a form.
IDLE_SECONDS = "5"


@pytest.fixture(scope="module")
def stockroom() -> Iterator[RunningStockroom]:
    """One for all tests of this file; each puts back what it has killed."""
    with running_stockroom(
        IMPORT_STALE_SECONDS="2",
        IMPORT_SWEEP_SECONDS="1",
        IMPORT_STEP_SECONDS="0",  # a checkpoint as often as its cost allows
        STOCKSYNC_STEP_BYTES="50000",
        STOCKSYNC_MAX_BYTES=str(MAX_BYTES),
        UPLOAD_BLOCK_BYTES=str(BLOCK_BYTES),
        UPLOAD_IDLE_SECONDS=IDLE_SECONDS,
        WEB_CONCURRENCY="1",
    ) as stockroom:
        yield stockroom


def in_the_middle(stockroom: RunningStockroom, job_id: int) -> dict:
    """The job's row: it has done something, and will not have to begin at the beginning."""
    row = job(stockroom, job_id)
    assert row["state"] == "running"
    assert len(FILE) / 3 < row["read_bytes"] < len(FILE)
    assert row["checkpoint"]["read_bytes"] > 0
    return row


@pytest.mark.parametrize("clock", ["tree", "global"])
def test_without_any_fault_it_ends_as_the_engine_says(stockroom, clock):
    check(stockroom, upload(stockroom, FILE, clock), expect(FILE, clock))


def test_the_worker_is_killed_in_the_middle(stockroom):
    with gate_at(stockroom, MIDDLE) as gate:
        job_id = upload(stockroom, FILE)
        gate.reached()
        in_the_middle(stockroom, job_id)
        stockroom.kill_group("worker.1")

    check(stockroom, job_id, EXPECTED)


def test_only_the_pool_s_process_is_killed(stockroom):
    with gate_at(stockroom, MIDDLE) as gate:
        job_id = upload(stockroom, FILE)
        port = gate.reached()
        (working,) = (
            child
            for child in stockroom.processes("worker.1")[1:]
            if any(each.laddr.port == port for each in child.net_connections() if each.laddr)
        )
        working.kill()
        psutil.wait_procs([working], SECONDS)

    check(stockroom, job_id, EXPECTED)


def test_the_worker_is_killed_while_it_writes_what_the_trees_are(stockroom):
    with stockroom.gate("stocksync_synctree") as gate:
        job_id = upload(stockroom, FILE)
        gate.reached()
        assert job(stockroom, job_id)["read_bytes"] == len(FILE)
        stockroom.kill_group("worker.1")

    check(stockroom, job_id, EXPECTED)


def test_postgres_is_killed_in_the_middle(stockroom):
    with gate_at(stockroom, MIDDLE) as gate:
        job_id = upload(stockroom, FILE)
        gate.reached()
        before = in_the_middle(stockroom, job_id)
        stockroom.restart_engine("postgres")

    assert job(stockroom, job_id)["read_bytes"] >= before["checkpoint"]["read_bytes"]
    check(stockroom, job_id, EXPECTED)


def test_valkey_is_killed_in_the_middle(stockroom):
    with gate_at(stockroom, MIDDLE) as gate:
        job_id = upload(stockroom, FILE)
        gate.reached()
        stockroom.restart_engine("valkey")

    check(stockroom, job_id, EXPECTED)


def test_an_upload_while_valkey_is_away_is_taken_and_worked_off_later(stockroom):
    valkey = stockroom.stack.engines["valkey"]
    valkey.kill()
    try:
        job_id = upload(stockroom, FILE)
        assert job(stockroom, job_id)["state"] == "queued"
    finally:
        valkey.start()

    check(stockroom, job_id, EXPECTED)


def test_a_frozen_worker_loses_the_job_to_another_and_does_no_harm(stockroom):
    frozen = []
    lost = "server closed the connection unexpectedly"
    before = stockroom.said("worker.1").count(lost)
    try:
        with gate_at(stockroom, MIDDLE) as gate:
            job_id = upload(stockroom, FILE)
            gate.reached()
            claim = in_the_middle(stockroom, job_id)["claim"]
            frozen = stockroom.processes("worker.1")
            stockroom.signal(frozen, signal.SIGSTOP)
        stockroom.stack.start_processes(["worker.2"])
        check(stockroom, job_id, EXPECTED)
        assert job(stockroom, job_id)["claim"] > claim
        stockroom.signal(frozen, signal.SIGCONT)
        until(lambda: stockroom.said("worker.1").count(lost) > before, SECONDS)
        check(stockroom, job_id, EXPECTED)
    finally:
        stockroom.signal(frozen, signal.SIGCONT)
        stockroom.stack.processes["worker.2"].stop()


def test_cancel_in_the_middle(stockroom):
    with gate_at(stockroom, MIDDLE) as gate:
        job_id = upload(stockroom, FILE)
        gate.reached()
        in_the_middle(stockroom, job_id)
        with pytest.raises(requests.HTTPError) as busy:
            stockroom.request("POST", cancel(job_id))
        assert busy.value.response.status_code == 503
        gate.open()
        asked = until(lambda: asked_to_stop(stockroom, job_id), SECONDS)
    row = end(stockroom, job_id)
    if asked == "too late":
        return
    assert row["state"] == "cancelled"
    assert EXPECTED.rejects.startswith(download(stockroom, job_id, "rejects"))
    with pytest.raises(requests.HTTPError) as gone:
        download(stockroom, job_id, "output")
    assert gone.value.response.status_code in (404, 409, 410)


def cancel(job_id: int) -> str:
    return f"{JOBS}{job_id}/cancel/"


def asked_to_stop(stockroom: RunningStockroom, job_id: int) -> str:
    try:
        stockroom.request("POST", cancel(job_id))
    except requests.HTTPError as error:
        return "too late" if error.response.status_code == 409 else ""
    return "asked"


# Uploads


class HalfForm:
    """A form's body that stops in the middle of the file, by an error or in silence."""

    def __init__(self, hangs_up: bool) -> None:
        head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="cut"\r\n\r\n'
        self._rest = io.BytesIO(head + FILE[: len(FILE) // 2])
        self._hangs_up = hangs_up
        self.over = threading.Event()
        self.middle = threading.Event()

    def __len__(self) -> int:
        return len(FILE)

    def read(self, size: int) -> bytes:
        data = self._rest.read(size)
        if not data:
            self.middle.set()
            if not self._hangs_up:
                self.over.wait()
            raise ConnectionAbortedError
        return data


def send(stockroom: RunningStockroom, form: HalfForm) -> None:
    with suppress(requests.RequestException, ConnectionError):
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        stockroom.request("POST", JOBS, data=form, headers=headers)


def cut_files(stockroom: RunningStockroom) -> int:
    ((count,),) = stockroom.query("SELECT count(*) FROM stocksync_storedfile WHERE name = 'cut'")
    return count


@pytest.mark.parametrize("hangs_up", [True, False], ids=["hung up", "silent"])
def test_an_upload_that_is_cut_leaves_nothing(stockroom, hangs_up):
    form = HalfForm(hangs_up)
    with stockroom.gate("stocksync_fileblock") as gate:
        sending = threading.Thread(target=send, args=(stockroom, form))
        sending.start()
        until(lambda: cut_files(stockroom) == 1, SECONDS)
        gate.reached()
        gate.open()
        assert form.middle.wait(SECONDS)
        until(lambda: cut_files(stockroom) == 0, SECONDS)
    form.over.set()
    sending.join()


@pytest.mark.parametrize("size", [MAX_BYTES + 1, MAX_BYTES + 2 * 1024**2])
def test_too_large_a_file_is_refused_in_words_and_leaves_nothing(stockroom, size):
    before = stockroom.query("SELECT count(*) FROM stocksync_storedfile")
    with pytest.raises(requests.HTTPError) as refusal:
        upload(stockroom, b"\n" * size)
    assert refusal.value.response.status_code == 413
    assert "at most" in refusal.value.response.json()["error"]["message"].lower()
    assert stockroom.query("SELECT count(*) FROM stocksync_storedfile") == before


def test_the_largest_file_is_taken(stockroom):
    comment = b"// " + b"-" * 60_000 + b"\n"
    data = (FILE + comment * 100)[:MAX_BYTES]
    assert len(data) == MAX_BYTES
    check(stockroom, upload(stockroom, data), expect(data))

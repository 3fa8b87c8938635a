"""`--jobs`: several processes say byte for byte what one says, whatever the file is."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stocksync.engine import registry
from stocksync.engine.parallel import ParallelSynchronizer
from stocksync.engine.synchronizer import Synchronizer
from stocksync.engine.workers import WorkerLost
from tests.services.waiting import until
from tests.stocksync.engine.histories import LINES
from tests.stocksync.engine.running import created, ended, updated

ROOT = Path(__file__).resolve().parents[3]


def said(sync, pieces):
    """Output with summary, rejects and counts."""
    output, rejects = bytearray(), bytearray()
    with sync:
        for piece in pieces:
            sync.feed(piece)
            output += sync.take_output()
            rejects += sync.take_rejects()
        sync.finish()
        output += sync.take_output()
        rejects += sync.take_rejects()
        output += b"".join(sync.summary())
        return bytes(output), bytes(rejects), sync.counts.as_dict()


def cut(data: bytes, chance: random.Random, largest: int) -> list[bytes]:
    pieces = []
    while data:
        size = chance.randint(1, largest)
        pieces.append(data[:size])
        data = data[size:]
    return pieces


def history(chance: random.Random, events: int, products: int) -> bytes:
    """Trees that are created, updated and ended in any order, some of them wrong or never there."""
    lines = []
    for time in range(events):
        product, when = chance.randrange(products), max(0, time - chance.randrange(40))
        what = chance.random()
        if what < 0.2:
            parent = chance.choice([None, product // 4 * 4, chance.randrange(products)])
            lines.append(created(product, chance.randrange(5), when, parent))
        elif what < 0.9:
            lines.append(updated(product, chance.randrange(5), when))
        elif what < 0.96:
            lines.append(ended(product, when))
        else:
            lines.append(chance.choice([b"\n", b"// x\n", b"{}\n", b"\xff\n", b'{"id": 1}\n']))
    return b"".join(lines)


@pytest.mark.parametrize("jobs", [1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_long_histories_come_out_the_same(jobs, seed):
    chance = random.Random(seed)
    data = history(chance, 6_000, chance.choice([8, 200, 1_000]))
    expected = said(Synchronizer(), [data])
    assert said(ParallelSynchronizer(jobs), cut(data, chance, 20_000)) == expected
    assert expected[2]["stale"] and expected[2]["waited"] and expected[2]["refused"]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(LINES, min_size=20, max_size=120), st.integers(1, 400), st.randoms())
def test_generated_lines_come_out_the_same(lines, largest, chance):
    data = b"".join(lines)
    expected = said(Synchronizer(), [data])
    assert said(ParallelSynchronizer(2), cut(data, chance, largest)) == expected


def test_nobody_has_a_product_and_too_many_wait(monkeypatch):
    monkeypatch.setattr(registry, "WAITING_EVENTS", 50)
    data = b"".join(updated(product % 70, 1, product) for product in range(300))
    data += created(3, 5, 1_000) + updated(3, 7, 1_001) + updated(90, 7, 1_002)
    expected = said(Synchronizer(), [data])
    assert expected[2]["refused"]["waiting_full"] == 250
    assert said(ParallelSynchronizer(2), [data]) == expected


def test_a_file_of_nothing_comes_out_the_same():
    for data in (b"", b"\n", b"{"):
        assert said(ParallelSynchronizer(2), [data]) == said(Synchronizer(), [data])


def test_one_worker_has_no_tree_at_all():
    data = created(1, 5, 1) + created(2, 5, 2, 1) + updated(2, 4, 3)
    assert said(ParallelSynchronizer(3), [data]) == said(Synchronizer(), [data])


def test_a_killed_worker_ends_the_run_with_words():
    with ParallelSynchronizer(2) as sync:
        sync.feed(created(1, 5, 1))
        child = sync._workers[0]._process
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        with pytest.raises(WorkerLost, match="ended before its work"):
            for time in range(2, 40):
                sync.feed(updated(1, time, time))
            sync.finish()


def test_workers_end_with_the_process_that_is_killed(tmp_path):
    command = [sys.executable, "-m", "stocksync", "-", str(tmp_path / "out"), "--jobs", "2"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT)
    here = psutil.Process(process.pid)
    workers = until(lambda: (found := here.children(recursive=True))[1:] and found)
    process.kill()
    process.communicate()
    until(lambda: not any(worker.is_running() for worker in workers))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("clock", ["tree", "global"])
def test_the_command_line_writes_the_same_files(tmp_path, clock):
    data = history(random.Random(7), 3_000, 300)
    (tmp_path / "in").write_bytes(data)
    written = []
    for jobs in ("1", "2"):
        command = [sys.executable, "-m", "stocksync", str(tmp_path / "in"), str(tmp_path / "out")]
        command += ["--jobs", jobs, "--clock", clock, "--rejects", str(tmp_path / "rejects")]
        done = subprocess.run([*command, "--summary"], cwd=ROOT, capture_output=True, check=True)
        files = [(tmp_path / name).read_bytes() for name in ("out", "rejects")]
        written.append([*files, done.stderr])
    assert written[0] == written[1]
    assert len(written[0][0]) > 10_000

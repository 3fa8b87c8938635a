"""The engine of stock sync in this process, and what it is compared with. For bench.stocksync."""

import ast
import json
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from stocksync.engine import events
from stocksync.engine.synchronizer import Synchronizer

PIECE_BYTES = 1024 * 1024
CHILDREN = 10_000  # of one large tree
UPDATES = 100


def cpu_seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def synchronize(path: Path, trace: bool = False) -> Synchronizer:
    """What the command line does, without writing."""
    sync = Synchronizer(trace=trace)
    with path.open("rb") as file:
        while data := file.read(PIECE_BYTES):
            sync.feed(data)
            sync.take_output()
            sync.take_rejects()
            sync.take_decisions()
    sync.finish()
    sync.take_output()
    for _ in sync.summary():
        pass
    return sync


def read_each(lines: Sequence[bytes]) -> None:
    """The part of the engine that makes events of lines."""
    for line in lines:
        try:  # noqa: SIM105 (costs nothing, suppress does)
            events.read(line)
        except events.NotAnEvent:
            pass


def state_bytes(path: Path) -> int:
    """The size of what the web application keeps of a job in its middle."""
    return len(json.dumps(synchronize(path).state()))


def readable(lines: Sequence[str]) -> list[str]:
    """Those that json.loads can read, so that it needs no `try`; all but 2 in 1,000."""
    return [line for line in lines if line.endswith("}")]


def load_each(lines: Sequence[str] | Sequence[bytes]) -> None:
    """The baseline."""
    for line in lines:
        json.loads(line)


def evaluate_each(lines: Sequence[str]) -> None:
    """What a script for the specification's sample would do."""
    for line in lines:
        ast.literal_eval(line)


def one_after_the_other(path: Path) -> float:
    """Seconds for the file, twice."""
    began = time.perf_counter()
    synchronize(path)
    synchronize(path)
    return time.perf_counter() - began


def in_two_threads(path: Path) -> float:
    """Seconds for the file twice, at the same time."""
    threads = [threading.Thread(target=synchronize, args=(path,)) for _ in range(2)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began


def large_tree() -> tuple[int, float]:
    """Commands, and the CPU seconds they took, of updates to a tree with many children."""
    sync = Synchronizer()
    created = '{"type": "ProductCreated", "id": %d, "stock": 1, "timestamp": %d, "parent_id": %s}\n'
    lines = [created % (0, 0, "null")]
    lines += [created % (child, child, 0) for child in range(1, CHILDREN + 1)]
    sync.feed("".join(lines).encode())
    update = '{"type": "ProductUpdated", "id": 0, "timestamp": %d, "stock": %d}\n'
    updates = [update % (CHILDREN + n, n + 1) for n in range(1, UPDATES + 1)]
    began = time.process_time()
    for line in updates:
        sync.feed(line.encode())
        sync.take_output()
    seconds = time.process_time() - began
    return sync.counts.as_dict()["commands"]["UpdateProduct"], seconds

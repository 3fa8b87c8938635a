"""What others notice of an import: pages and edits while it merges, and the worker's memory."""

import random
import re
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bench.import_stack import Bench

IDLE_SECONDS = 5  # how long an idle Stockroom is measured
PAUSE_SECONDS = 0.02
OLDER = re.compile(rb"\?before=(\d+)")


@dataclass
class Latencies:
    """Seconds of each request, those during a merge only."""

    name: str
    seconds: list[float] = field(default_factory=list)

    def line(self) -> str:
        if len(self.seconds) < 2:
            return f"{self.name}: no samples"
        cuts = statistics.quantiles(self.seconds, n=100)
        p50, p95, p99 = (1000 * cuts[n] for n in (49, 94, 98))
        return (
            f"{self.name:<22} {len(self.seconds):>5} requests"
            f"   p50 {p50:6.1f}   p95 {p95:6.1f}   p99 {p99:6.1f}"
            f"   max {1000 * max(self.seconds):6.1f} ms"
        )


def latencies(bench: Bench, path: Path | None) -> tuple[list[Latencies], float]:
    """Ask for pages and edit products while `path` is imported, or for a while with nothing else.

    Returns what was waited, and the longest statement of anybody else that was seen running.
    """
    counting, stop = threading.Event(), threading.Event()
    pages, edits = Latencies("product list"), Latencies("edit of one product")
    longest = [0.0]
    threads = [
        threading.Thread(target=_repeat, args=(make, into, counting, stop))
        for make, into in ((lambda: _pages(bench), pages), (_edits, edits))
    ]
    watch = threading.Thread(target=_watch_statements, args=(longest, counting, stop))
    for thread in (*threads, watch):
        thread.start()
    try:
        if path is None:
            counting.set()
            time.sleep(IDLE_SECONDS)
        else:
            _count_while_merging(bench, bench.upload(path).job_id, counting)
    finally:
        stop.set()
        for thread in (*threads, watch):
            thread.join()
    return [pages, edits], longest[0]


def _count_while_merging(bench: Bench, job_id: int, counting: threading.Event) -> None:
    while True:
        state = bench.sql("SELECT state FROM products_import WHERE id = %s", job_id)[0][0]
        if state == "merging":
            counting.set()
        elif state in ("done", "failed", "cancelled"):
            counting.clear()
            return
        time.sleep(PAUSE_SECONDS)


def _repeat(
    make: Callable[[], Iterator[None]],
    into: Latencies,
    counting: threading.Event,
    stop: threading.Event,
) -> None:
    with closing(make()) as work:
        while not stop.is_set():
            counted, began = counting.is_set(), time.perf_counter()
            next(work)
            if counted:
                into.seconds.append(time.perf_counter() - began)
            stop.wait(PAUSE_SECONDS)


def _pages(bench: Bench) -> Iterator[None]:
    """The first page of the product list and some that follow, again and again."""
    client, cookie = bench.client(), bench.cookie()
    path = "/products/"
    try:
        for number in range(10**9):
            body = bench.get(client, path, cookie)
            older = OLDER.search(body)
            path = "/products/"
            if older is not None and number % 5:
                path += f"?before={older[1].decode()}"
            yield
    finally:
        client.close()


def _edits() -> Iterator[None]:
    """Change one product anywhere in the catalogue, as a page does: by the ORM, one transaction."""
    from django.db import connection
    from django.db.models import Max, Min
    from django.utils import timezone

    from products.models import Product

    chosen = random.Random(1)
    try:
        while True:
            ends = Product.objects.aggregate(low=Min("pk"), high=Max("pk"))
            if ends["low"] is not None:
                pk = chosen.randint(ends["low"], ends["high"])
                Product.objects.filter(pk=pk).update(name=f"Edited {pk}", updated_at=timezone.now())
            yield
    finally:
        connection.close()


def _watch_statements(
    longest: list[float], counting: threading.Event, stop: threading.Event
) -> None:
    from django.db import connection

    try:
        with connection.cursor() as cursor:
            while not stop.wait(PAUSE_SECONDS):
                cursor.execute(
                    "SELECT max(extract(epoch FROM clock_timestamp() - query_start))"
                    " FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()"
                    " AND backend_type = 'client backend'"
                )
                seconds = cursor.fetchone()[0]
                if counting.is_set() and seconds is not None:
                    longest[0] = max(longest[0], float(seconds))
    finally:
        connection.close()


@contextmanager
def peak_memory(processes: list[psutil.Process]) -> Iterator[dict[int, int]]:
    """Fills in the peak resident bytes of each process between entry and exit (Linux)."""
    peaks: dict[int, int] = {}
    for process in processes:
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # forgets the peak so far
    yield peaks
    for process in processes:
        with suppress(FileNotFoundError):
            status = Path(f"/proc/{process.pid}/status").read_text()
            found = re.search(r"VmHWM:\s+(\d+) kB", status)
            peaks[process.pid] = int(found[1]) * 1024 if found else 0

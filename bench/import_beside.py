"""What others notice of an import: pages and edits while it merges, and the worker's memory."""

import random
import re
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from html import unescape
from itertools import count, cycle
from pathlib import Path

import psutil

from bench.import_stack import Bench
from bench.report_figure import tell

IDLE_SECONDS = 5  # how long an idle Stockroom is measured
PAUSE_SECONDS = 0.02
FOLLOWED = 5  # pages of each list
NEXT = re.compile(rb'id="page-next" href="([^"]+)"')
LISTS = ("?", "?state=active", "?sort=sku", "?sort=name", "?state=active&sort=name")
SEARCHES = ("?q=energy", "?q=nosuchword", "?q=s", "?q=martin+the&state=active")


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

    def tell_p95(self, beside: str, goal_ms: float | None) -> None:
        """To `make bench`."""
        if len(self.seconds) >= 2:
            p95 = 1000 * statistics.quantiles(self.seconds, n=100)[94]
            tell(f"{self.name}, p95, {beside}", p95, "ms", goal=goal_ms)


def latencies(bench: Bench, path: Path | None) -> tuple[list[Latencies], float]:
    """Ask for pages, search and edit products while `path` is imported, or with nothing else.

    Returns what was waited, and the longest statement of anybody else that was seen running.
    """
    counting, stop = threading.Event(), threading.Event()
    work = {
        "pages and filters": lambda: _pages(bench, LISTS),
        "searches": lambda: _pages(bench, SEARCHES),
        "edit of one product": lambda: _edits(bench),
    }
    found = [Latencies(name) for name in work]
    longest = [0.0]
    threads = [
        threading.Thread(target=_repeat, args=(make, into, counting, stop))
        for make, into in zip(work.values(), found, strict=True)
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
    return found, longest[0]


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


def _pages(bench: Bench, lists: Sequence[str]) -> Iterator[None]:
    """The first page of each list and some that follow, again and again."""
    client, cookie = bench.client(), bench.cookie()
    try:
        for begin in cycle(lists):
            path = f"/products/{begin}"
            for _ in range(FOLLOWED):
                body = bench.get(client, path, cookie)
                yield
                following = NEXT.search(body)
                if following is None:
                    break
                path = unescape(following[1].decode())
    finally:
        client.close()


def _edits(bench: Bench) -> Iterator[None]:
    """Rename one product anywhere in the catalogue, as the product's page does."""
    from django.db import connection
    from django.db.models import Max, Min

    from config.accounts.actors import Actor
    from products.catalogue import editing
    from products.models import Product

    chosen = random.Random(1)
    actor = Actor(bench.user, None)
    try:
        for number in count():
            ends = Product.objects.aggregate(low=Min("pk"), high=Max("pk"))
            if ends["low"] is not None:
                pk = chosen.randint(ends["low"], ends["high"])
                with suppress(Product.DoesNotExist):
                    editing.update(actor, pk, {"name": f"Edited {number}"})
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

"""Edits, endpoints, a quick receiver and the engine's process for the bench of webhooks.

Django is set up by then, with the settings of the bench's stack.
"""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from urllib.parse import urlsplit

import psutil

from bench.import_stack import Bench

ENGINE = "deliveries.1"
ENDPOINTS = 50
PRODUCTS = 1_000
IDLE_SECONDS = 300
POLL_SECONDS = 0.05
# Children first.
TABLES = ("attempt", "delivery", "secret", "health", "endpoint", "event")
LISTENING = """
SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'LISTEN stockroom_webhooks%')
"""
BUSY = """
SELECT EXISTS (SELECT FROM webhooks_event WHERE fanned_out_at IS NULL)
    OR EXISTS (SELECT FROM webhooks_delivery WHERE state IN ('pending', 'sending'))
"""


class Editor:
    """Renames products, each time to a name that no product had."""

    def __init__(self, bench: Bench) -> None:
        from config.accounts import scopes, tokens
        from config.accounts.actors import Actor

        bench.sql(
            "INSERT INTO products_product (sku, name)"
            f" SELECT 'by-hand-' || n, 'By hand' FROM generate_series(1, {PRODUCTS}) n"
        )
        found = bench.sql("SELECT id FROM products_product WHERE sku LIKE 'by-hand-%'")
        self._ids = [pk for (pk,) in found]
        self._actor = Actor(bench.user, None)
        self._token = tokens.issue(bench.user, "webhooks", scopes.ALL)[1]
        self._host = urlsplit(bench.stack.address).netloc
        self._numbers = count()

    def in_process(self) -> None:
        from products.catalogue import editing

        number = next(self._numbers)
        pk = self._ids[number % len(self._ids)]
        editing.update(self._actor, pk, {"name": f"Edit {number}"})

    def over_http(self) -> None:
        number = next(self._numbers)
        with closing(http.client.HTTPConnection(self._host)) as client:
            client.request(
                "PATCH",
                f"/api/products/{self._ids[number % len(self._ids)]}/",
                json.dumps({"name": f"Edit {number}"}),
                {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
            )
            answer = client.getresponse()
            text = answer.read()
        if answer.status != 200:
            raise SystemExit(f"PATCH: {answer.status} {text[:500]!r}")


@dataclass(frozen=True)
class QuickReceiver:
    """One in a process of its own: it must not hold up the threads that measure."""

    url: str
    pid: int


@contextmanager
def quick_receiver() -> Iterator[QuickReceiver]:
    command = [sys.executable, "-m", "bench.webhook_receiver"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield QuickReceiver(process.stdout.readline().strip(), process.pid)
        process.terminate()


def many(receiver: QuickReceiver) -> list[str]:
    """ENDPOINTS addresses of it."""
    return [f"{receiver.url}/{number}" for number in range(ENDPOINTS)]


def add_endpoints(bench: Bench, urls: Iterable[str]) -> None:
    """An endpoint for all events for each URL."""
    from config.accounts.actors import Actor
    from webhooks.endpoints import fields, service

    for url in urls:
        service.create(Actor(bench.user, None), fields.clean({"url": url, "event_types": ["*"]}))


def clear(bench: Bench) -> None:
    """No endpoints, no events; what is under way is forgotten."""
    for table in TABLES:
        bench.sql(f"DELETE FROM webhooks_{table}")


def wait_idle(bench: Bench) -> None:
    """Until everything has been delivered."""
    deadline = time.monotonic() + IDLE_SECONDS
    while bench.sql(BUSY)[0][0]:
        if time.monotonic() > deadline:
            raise SystemExit(f"deliveries are left after {IDLE_SECONDS} s")
        time.sleep(POLL_SECONDS)


@contextmanager
def engine_stopped(bench: Bench) -> Iterator[None]:
    """Within the block nothing is delivered."""
    bench.stack.processes[ENGINE].stop()
    yield
    bench.stack.processes[ENGINE].start()
    wait_for_engine(bench)


def wait_for_engine(bench: Bench) -> None:
    """Until it listens: its process takes seconds to start."""
    deadline = time.monotonic() + IDLE_SECONDS
    while not bench.sql(LISTENING)[0][0]:
        if time.monotonic() > deadline:
            raise SystemExit("the engine does not start")
        time.sleep(POLL_SECONDS)


def engine_pid(bench: Bench) -> int:
    pid = bench.stack.processes[ENGINE].pid
    if pid is None:
        raise SystemExit("the engine is not running")
    return pid


def cpu(pid: int) -> float:
    """CPU seconds of a process so far."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def load() -> float:
    """Of the machine, over the last minute."""
    return round(psutil.getloadavg()[0], 1)

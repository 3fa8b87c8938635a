"""What BuyStock takes over HTTP while other orders are verified. For bench.orders."""

import asyncio
import json
import time
import uuid
from collections.abc import Callable, Sequence
from itertools import count

import psycopg2

from bench.orders.client import CONNECTIONS, Pace, Request, steadily
from bench.orders.stage import STOCK, USERS, VERIFYING, Stage, complain
from bench.orders.words import in_words, percentiles
from bench.report_figure import tell
from bench.sales_stage import load

GOAL_P99_MS = 50
WARM_SECONDS = 2.0
# All columns that the API writes. Into a copy with the same indexes, which no consumer works on.
COPY = "CREATE TABLE bench_order (LIKE transactions_order INCLUDING ALL)"
INSERT = """
INSERT INTO bench_order (order_id, "user", stockname, quantity, status, reason, detail, price,
    amount, credit_before, credit_after, received_at, verification_began_at, verified_at,
    decided_at, verifications, holder, claim, created_by_id, callback_url, delivery_id)
VALUES (%s, %s, %s, 1, 'received', '', '', NULL, NULL, NULL, NULL, now(), NULL, NULL, NULL, 0,
    NULL, 0, 1, '', NULL) RETURNING id
"""
HEALTH, ROW, READ, PLACE, WITH_KEY = (
    "GET /healthz",
    "bare INSERT",
    "GET an order",
    "BuyStock",
    "BuyStock, key",
)


class Way:
    """Something that is done at a rate, and what all rounds of it took."""

    def __init__(self, name: str, run: Callable[[int], list[float]]) -> None:
        self.name, self.run = name, run
        self.times: dict[int, list[float]] = {}
        self.cpu: dict[int, float] = {}  # seconds, of the web processes

    def measure(self, stage: Stage, rate: int) -> None:
        cpu, verifying = stage.web_cpu_seconds(), stage.number(VERIFYING)
        self.times.setdefault(rate, []).extend(self.run(rate))
        self.cpu[rate] = self.cpu.get(rate, 0.0) + stage.web_cpu_seconds() - cpu
        print(
            f"   … {self.name} at {rate}/s, {verifying:,} to {stage.number(VERIFYING):,}"
            f" verifying, load {load()}",
            flush=True,
        )

    def in_words(self, rate: int, bases: Sequence["Way"]) -> str:
        times = self.times[rate]
        words = f"{rate:>4}/s {self.name:<14} {in_words(times)}"
        if self.name != ROW:
            words += f"; {1000 * self.cpu[rate] / len(times):.1f} ms of web's CPU each"
        for base in bases:
            pairs = zip(
                percentiles(times, 50, 99), percentiles(base.times[rate], 50, 99), strict=True
            )
            p50, p99 = (mine / other for mine, other in pairs)
            words += f"; times {base.name}: p50 {p50:.1f}, p99 {p99:.1f}"
        if bases and percentiles(times, 99)[0] > GOAL_P99_MS / 1000:
            words += "   MISSED"
        return words


def show(stage: Stage, rounds: int, rates: Sequence[int], seconds: float, verified: int) -> None:
    """`verified` orders are being verified at the beginning, by the specification's simulation."""
    print(
        f"\nBuyStock while {verified:,} others are verified, {CONNECTIONS} kept connections,"
        f" {seconds:g} s each, {rounds} rounds, load {load()}; goal p99 {GOAL_P99_MS} ms",
        flush=True,
    )
    stage.clear()
    stage.sql(COPY)
    with stage.consumer() as consumer:
        stage.wait_ready(consumer)
        ways = all_ways(stage, seconds)
        over_http(stage, rates[0], WARM_SECONDS, lambda: placed(0), 202)
        for _ in range(rounds):
            for rate in rates:
                stage.announce(stage.orders(verified - stage.number(VERIFYING)))
                stage.wait(
                    consumer,
                    lambda: stage.number(VERIFYING) >= 0.95 * verified,
                    f"{verified:,} are verified at once",
                )
                for way in ways:
                    way.measure(stage, rate)
        complain(consumer)
    stage.sql("DROP TABLE bench_order")
    for rate in rates:
        for way in ways:
            bases = ways[:2] if way.name in (PLACE, WITH_KEY) else []
            print(f"   {way.in_words(rate, bases)}", flush=True)
            for base in bases:
                ours, bare = (1000 * percentiles(each.times[rate], 99)[0] for each in (way, base))
                what = f"{way.name} at {rate}/s, p99, beside {base.name}"
                tell(what, ours, "ms", baseline=base.name, bare=bare, goal=GOAL_P99_MS)


def all_ways(stage: Stage, seconds: float) -> list[Way]:
    """The bare ones first."""
    numbers = count()
    order = Request("GET", f"/api/orders/{stage.orders(1)[0]}/")

    def http(name: str, make: Callable[[], Request], good: int) -> Way:
        return Way(name, lambda rate: over_http(stage, rate, seconds, make, good))

    return [
        http(HEALTH, lambda: Request("GET", "/healthz"), 200),
        Way(ROW, lambda rate: inserted(stage.database_url, rate, seconds)),
        http(READ, lambda: order, 200),
        http(PLACE, lambda: placed(next(numbers)), 202),
        http(WITH_KEY, lambda: placed(next(numbers), key=True), 202),
    ]


def placed(number: int, *, key: bool = False) -> Request:
    order = {"user": f"user{1 + number % USERS}", "stockname": STOCK, "quantity": 1}
    headers = f"Idempotency-Key: {uuid.uuid4()}\r\n" if key else ""
    return Request("POST", "/api/BuyStock", json.dumps(order).encode(), headers)


def over_http(
    stage: Stage, rate: int, seconds: float, make: Callable[[], Request], good: int
) -> list[float]:
    return asyncio.run(steadily(stage.place, stage.token, rate, seconds, make, good))


def inserted(database_url: str, rate: int, seconds: float) -> list[float]:
    """A connection of its own, one row and one commit at a time, at the same rate."""
    connection = psycopg2.connect(database_url)
    connection.autocommit = True
    times = []
    try:
        with connection.cursor() as cursor:
            pace = Pace(rate)
            for number in range(int(rate * seconds)):
                due = pace.next()
                time.sleep(max(0.0, due - time.perf_counter()))
                cursor.execute(INSERT, [str(uuid.uuid4()), f"user{1 + number % USERS}", STOCK])
                cursor.fetchone()
                times.append(time.perf_counter() - due)
    finally:
        connection.close()
    return times

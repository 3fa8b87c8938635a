"""How late the balances of a minute are, by length of history, idle and busy. For bench.ledger."""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from statistics import median, quantiles
from typing import NamedTuple

import psycopg2
import redis

from bench.ledger.stage import READY_SECONDS, Stage, Tables, complain
from bench.report_figure import tell
from bench.sales_stage import Worker, load
from transactions.ledger.engine import tables as adopted
from transactions.ledger.engine.rollup import Rollup

PERIOD_SECONDS = 3
REAL_SECONDS = 60
# Of the generator, before it counts.
WARM_SECONDS = 6.0
POLL_SECONDS = 0.25
GOAL_P99_MS = 100
# The real consumer, whose minutes are this short. All else it does as ever: the last look at new
# rows is 1.5 s before, as with real ones.
SIMULATED = f"""
from transactions.ledger.engine import minute_thread
minute_thread.next_minute = lambda now: (int(now // {PERIOD_SECONDS}) + 1) * {PERIOD_SECONDS}
"""
RUNS = """
SELECT lateness_seconds, duration_seconds, new_rows, failure FROM stockroom_ledger.runs
WHERE minute > to_timestamp(%s) ORDER BY minute
"""


class Run(NamedTuple):
    """A row of stockroom_ledger.runs."""

    lateness_seconds: float
    duration_seconds: float
    new_rows: int
    failure: str


OF: dict[str, Callable[[Run], float]] = {
    "lateness": lambda run: run.lateness_seconds,
    "duration": lambda run: run.duration_seconds,
}


class Measured(NamedTuple):
    """Minutes one after the other, and how many messages a second were taken in meanwhile."""

    runs: list[Run]
    a_second: float
    left: int  # messages in the queue at the end

    @property
    def good(self) -> list[Run]:
        return [run for run in self.runs if not run.failure]


def show(stage: Stage, rounds: int, histories: Sequence[int], minutes: int, rate: int) -> None:
    """Histories in turn, each first idle, then with `rate` messages a second."""
    print(
        f"\nBalances of {minutes} minutes of {PERIOD_SECONDS} s each, {rounds} rounds,"
        f" load {load()}; goal p99 {GOAL_P99_MS} ms",
        flush=True,
    )
    with ExitStack() as stack:
        made = {rows: stack.enter_context(stage.tables(rows)) for rows in histories}
        for rows, tables in made.items():
            seconds = first_adding(stage, tables)
            print(
                f"   {rows:,} rows, {tables.megabytes():,.0f} MB, are added up for the first time"
                f" in {seconds:.1f} s",
                flush=True,
            )
        found: dict[tuple[int, int], list[Measured]] = {}
        for _ in range(rounds):
            for each_rate in (0, rate):
                for rows, tables in made.items():
                    measured = followed(stage, tables, minutes, each_rate, simulated=True)
                    found.setdefault((rows, each_rate), []).append(measured)
                    print(f"   {rows:>11,} rows, {in_words([measured], each_rate)}", flush=True)
    if rounds > 1:
        print("   All rounds together:", flush=True)
        for (rows, each_rate), parts in found.items():
            print(f"   {rows:>11,} rows, {in_words(parts, each_rate)}", flush=True)
    for (rows, each_rate), parts in found.items():
        tell_lateness(f"{rows:,} rows, {said(each_rate)}", parts)
    small, large = histories[0], histories[-1]
    for each_rate in (0, rate):
        for name, of in OF.items():
            ratios = [
                median(map(of, long.good)) / median(map(of, short.good))
                for short, long in zip(
                    found[small, each_rate], found[large, each_rate], strict=True
                )
            ]
            print(
                f"   p50 of {name} with {large:,} rows is {median(ratios):.2f} times that with"
                f" {small:,} ({min(ratios):.2f} to {max(ratios):.2f}), {said(each_rate)}",
                flush=True,
            )
            ours, bare = (
                [1000 * median(map(of, each.good)) for each in found[rows, each_rate]]
                for rows in (large, small)
            )
            what = f"{name} p50 with {large:,} rows, {said(each_rate)}"
            tell(what, ours, "ms", baseline=f"{small:,} rows", bare=bare)
    print(f"   load {load()} at the end", flush=True)


def show_real(stage: Stage, history: int, minutes: int, rate: int) -> None:
    """Real minutes of the whole consumer."""
    print(f"\nBalances of {minutes} real minutes, load {load()}", flush=True)
    with stage.tables(history) as tables:
        first_adding(stage, tables)
        measured = followed(stage, tables, minutes, rate, simulated=False)
        print(f"   {history:>11,} rows, {in_words([measured], rate)}", flush=True)
        tell_lateness(f"{history:,} rows, {said(rate)}, real minutes", [measured])
        each = ", ".join(f"{1000 * run.lateness_seconds:.0f}" for run in measured.runs)
        print(f"   one by one: {each} ms late; load {load()} at the end", flush=True)


def first_adding(stage: Stage, tables: Tables) -> float:
    """Add up the whole history, as the consumer's first start does; seconds."""
    began = time.monotonic()
    connection = psycopg2.connect(tables.url)
    keydb = redis.Redis.from_url(stage.environment["KEYDB_URL"])
    try:
        adopted.make_ours(connection)
        with connection, connection.cursor() as cursor:
            adopted.begin_anew_where_it_is_another(cursor)
        Rollup(connection, keydb).catch_up(math.inf)
    finally:
        keydb.close()
        connection.close()
    return time.monotonic() - began


def followed(stage: Stage, tables: Tables, minutes: int, rate: int, *, simulated: bool) -> Measured:
    """The consumer's next `minutes`, while `rate` messages a second arrive."""
    period = PERIOD_SECONDS if simulated else REAL_SECONDS
    with ExitStack() as stack:
        consumer = stack.enter_context(stage.consumer(tables, SIMULATED if simulated else ""))
        watched = [consumer]
        wait_for(tables, time.time(), 1, consumer, period)
        if rate:
            words = ["manage.py", "generate_transactions", "--rate", str(rate), "--no-progress"]
            generator = stage.worker("generator", words, tables)
            watched.append(generator)
            with generator:
                start = tables.highest()
                while tables.highest() == start:
                    check(watched)
                    time.sleep(POLL_SECONDS)
                time.sleep(WARM_SECONDS)
                measured = measure(stage, tables, minutes, watched, period)
            drain(stage, tables, consumer)
        else:
            measured = measure(stage, tables, minutes, watched, period)
        complain(consumer)
        return measured


def measure(
    stage: Stage, tables: Tables, minutes: int, watched: list[Worker], period: int
) -> Measured:
    since, began, rows = time.time(), time.monotonic(), tables.highest()
    runs = wait_for(tables, since, minutes, watched[0], period)
    check(watched)
    a_second = (tables.highest() - rows) / (time.monotonic() - began)
    return Measured(runs, a_second, stage.waiting(tables.queue))


def wait_for(
    tables: Tables, since: float, minutes: int, consumer: Worker, period: int
) -> list[Run]:
    """So many minutes after `since`, once they are over."""
    deadline = time.monotonic() + READY_SECONDS + period * minutes
    while len(found := tables.sql(RUNS, [since])) < minutes:
        consumer.check()
        if time.monotonic() > deadline:
            raise SystemExit(f"{len(found)} of {minutes} minutes:\n{consumer.said()}")
        time.sleep(POLL_SECONDS)
    return [Run(*row) for row in found[:minutes]]


def drain(stage: Stage, tables: Tables, consumer: Worker) -> None:
    """Until the queue is empty."""
    while stage.waiting(tables.queue):
        consumer.check()
        time.sleep(POLL_SECONDS)


def check(watched: list[Worker]) -> None:
    for worker in watched:
        worker.check()


def said(rate: int) -> str:
    return f"{rate:,}/s" if rate else "idle"


def in_words(parts: Sequence[Measured], rate: int) -> str:
    runs = [run for part in parts for run in part.runs]
    good = [run for part in parts for run in part.good]
    words = f"{said(rate):<8}"
    for name, of in OF.items():
        p50, p99, longest = (1000 * each for each in cuts([of(run) for run in good]))
        words += f" {name}: p50 {p50:.1f}, p99 {p99:.1f}, longest {longest:.1f} ms;"
    words += f" {len(good)} minutes, {len(runs) - len(good)} failed"
    if rate:
        taken = median(part.a_second for part in parts)
        fresh = median(run.new_rows for run in runs)
        words += f", {fresh:,.0f} new rows each; {taken:,.0f}/s taken in,"
        words += f" {max(part.left for part in parts):,} left in the queue"
    if cuts([run.lateness_seconds for run in good])[1] > GOAL_P99_MS / 1000:
        words += "   MISSED"
    return words


def tell_lateness(what: str, parts: Sequence[Measured]) -> None:
    """To `make bench`."""
    times = [run.lateness_seconds for part in parts for run in part.good]
    tell(f"lateness p99, {what}", 1000 * cuts(times)[1], "ms", goal=GOAL_P99_MS)


def cuts(times: Sequence[float]) -> tuple[float, float, float]:
    """p50, p99 (of few ones nearly the longest), longest; seconds."""
    if len(times) < 2:
        raise SystemExit("no balances were written in time")
    parts = quantiles(times, n=100, method="inclusive")
    return parts[49], parts[98], max(times)

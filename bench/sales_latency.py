"""From a record's append to the reading of its committed output. For bench.sales."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from statistics import quantiles
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from bench.report_figure import tell
from bench.sales_stage import PARTITIONS, Stage, Worker, load
from bench.sample_sales import even

RATES = (1_000, 5_000)
GOAL_P99_MS = 200
WARM_SECONDS = 3.0
READY_SECONDS = 60.0
PRIMING = 200


def show(stage: Stage, rounds: int, seconds: int) -> None:
    print(
        f"\nMilliseconds from append to committed output, read by one more process,"
        f" {seconds} s at each pace, {rounds} rounds, load {load()}; goal p99 {GOAL_P99_MS}",
        flush=True,
    )
    ways: dict[str, Callable[[str, str, str], Worker]] = {
        "bare copy": stage.bare,
        "sales": stage.consumer,
    }
    for rate in RATES:
        found: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, start in ways.items():
                words, p99_ms = measured(stage, start, rate, seconds)
                missed = "   MISSED" if name == "sales" and p99_ms > GOAL_P99_MS else ""
                print(f"   {rate:>5,}/s, {name:<9} {words}{missed}", flush=True)
                found[name].append(p99_ms)
        tell(
            f"latency at {rate:,}/s, p99",
            found["sales"],
            "ms",
            baseline="bare copy",
            bare=found["bare copy"],
            goal=GOAL_P99_MS,
        )


def measured(
    stage: Stage, start: Callable[[str, str, str], Worker], rate: int, seconds: int
) -> tuple[str, float]:
    """A process at work at that pace: in words, and the p99 in milliseconds."""
    source = stage.filled(even(PRIMING, PRIMING, time.time() - 60))
    output, group = stage.topic("output"), stage.name("latency")
    with start(source, output, group) as worker, closing(reader(stage, output)) as consumer:
        wait_until_done(stage, worker, group, source)
        words = ["-m", "bench.sales_offer", stage.servers, source, str(rate)]
        total = round(rate * (seconds + WARM_SECONDS))
        with stage.worker("offer", [*words, str(seconds + WARM_SECONDS)], {}) as offering:
            cpu, began = worker.cpu_seconds(), time.monotonic()
            found = list(latencies(consumer, worker, PRIMING + total))
            share = (worker.cpu_seconds() - cpu) / (time.monotonic() - began)
            late = offering.wait(READY_SECONDS).strip().splitlines()[-1]
    first = min(at for at, _ in found[PRIMING:])
    waited = [waited for at, waited in found[PRIMING:] if at > first + WARM_SECONDS]
    cuts = quantiles(waited, n=100)
    p50, p95, p99 = (1000 * cuts[place] for place in (49, 94, 98))
    lasted = max(at for at, _ in found) - first
    words = (
        f"p50 {p50:6.1f}   p95 {p95:6.1f}   p99 {p99:6.1f}   longest {1000 * max(waited):6.1f} ms"
        f"   {total / lasted:5,.0f}/s came, {len(waited):,} counted,"
        f" {share:.0%} of a CPU; offered {late}"
    )
    return words, p99


def reader(stage: Stage, output: str) -> KafkaConsumer:
    consumer = KafkaConsumer(
        bootstrap_servers=stage.servers,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_poll_records=10_000,
        metrics_enabled=False,
    )
    consumer.assign([TopicPartition(output, number) for number in range(PARTITIONS)])
    return consumer


def wait_until_done(stage: Stage, worker: Worker, group: str, source: str) -> None:
    """Until it has joined the group and done with what was there."""
    deadline = time.monotonic() + READY_SECONDS
    while stage.committed(group, source) < PRIMING:
        worker.check()
        if time.monotonic() > deadline:
            raise SystemExit(f"{group} does not begin:\n{worker.said()}")
        time.sleep(0.1)


def latencies(consumer: KafkaConsumer, worker: Worker, total: int) -> Iterator[tuple[float, float]]:
    """When each record was appended by the broker's clock, which is this one's, and the seconds
    until its output was here. Outputs carry their input's timestamp, in whole milliseconds."""
    count, heard = 0, time.monotonic()
    while count < total:
        polled: dict[Any, list[Any]] = consumer.poll(timeout_ms=200)
        now = time.time()
        if polled:
            heard = time.monotonic()
        elif time.monotonic() > heard + READY_SECONDS:
            raise SystemExit(f"{total - count:,} outputs are missing:\n{worker.said()}")
        for records in polled.values():
            for record in records:
                yield record.timestamp / 1000, now - record.timestamp / 1000
            count += len(records)

"""How quickly a window is read again after a restart. For bench.sales."""

import time
from collections.abc import Iterator
from contextlib import closing
from statistics import median
from typing import Any, NamedTuple

from bench.report_figure import tell
from bench.sales_latency import reader
from bench.sales_stage import BATCH, PARTITIONS, Stage, Worker, load
from bench.sample_sales import PER_WINDOW, WINDOW_SECONDS, even

BEGIN_SECONDS = 60.0
REPLAY_SECONDS = 300.0
KEPT_WINDOWS = 2  # lateness is one more
LESS = 0.99  # a little less than what is kept
POLL_SECONDS = 0.02
SNAPSHOT_SECONDS = "0.1"


class Seen(NamedTuple):
    """A replay at an instant of the instance's clock."""

    at: float
    cpu_seconds: float
    records: int


def show(stage: Stage, rounds: int, messages: int) -> None:
    codes = round(messages / PER_WINDOW / KEPT_WINDOWS)
    print(
        f"\nReplay of {messages:,} records in {PARTITIONS} partitions after a restart,"
        f" {codes:,} StockCodes, {rounds} rounds, load {load()}",
        flush=True,
    )
    lasts = KEPT_WINDOWS * WINDOW_SECONDS * LESS
    source = stage.filled(even(codes, messages, time.time() - lasts, rate=messages / lasts))
    group, output = stage.name("replay"), stage.topic("output")
    with stage.consumer(source, output, group) as worker:
        wait_until_done(stage, worker, group, source, messages)
    pairs = [(replayed(stage, source, output, group), bare(stage, source)) for _ in range(rounds)]
    rates = [count / seconds for (count, seconds, *_), _ in pairs]
    cores = [count / cpu for (count, _, cpu, _, _), _ in pairs]
    plain = [count / seconds for _, (count, seconds) in pairs]
    ratios = [ours / base for ours, base in zip(rates, plain, strict=True)]
    print(
        f"   {median(rates):,.0f} records/s ({min(rates):,.0f} to {max(rates):,.0f}),"
        f" {median(cores):,.0f} for each second of CPU; a bare consumer reads"
        f" {median(plain):,.0f}/s: ratio {median(ratios):.2f}"
        f" ({min(ratios):.2f} to {max(ratios):.2f})\n"
        f"   from the start of the process to running:"
        f" {median(whole for (*_, whole, _), _ in pairs):.1f} s;"
        f" resident memory then {median(size for (*_, size), _ in pairs) / 1024**2:.0f} MiB",
        flush=True,
    )
    beside = {"more": True, "baseline": "bare consumer", "bare": plain}
    tell("replay after a restart", rates, "records/s", **beside)


def wait_until_done(stage: Stage, worker: Worker, group: str, source: str, count: int) -> None:
    deadline = time.monotonic() + REPLAY_SECONDS
    while stage.committed(group, source) < count:
        worker.check()
        if time.monotonic() > deadline:
            raise SystemExit(f"{group} does not come to an end:\n{worker.said()}")
        time.sleep(0.1)


def replayed(
    stage: Stage, source: str, output: str, group: str
) -> tuple[int, float, float, float, int]:
    """Records, seconds and CPU from the first sight of the replay to its end; seconds from the
    process's start to there; resident bytes then."""
    instance = stage.name("instance")
    began = time.time()
    with stage.consumer(
        source,
        output,
        group,
        SALES_SNAPSHOT_SECONDS=SNAPSHOT_SECONDS,
        SALES_INSTANCE=instance,
    ) as worker:
        seen = []
        for snapshot in snapshots(worker, instance):
            records = [
                (each["replay"]["at"] if each["replay"] else each["position"])
                for each in snapshot["partitions"]
            ]
            seen.append(Seen(snapshot["at"], worker.cpu_seconds(), sum(records)))
            if snapshot["state"] == "running":
                break
        size = worker.resident_bytes()
    first, last = seen[0], seen[-1]
    if first.records == last.records:
        raise SystemExit(f"the replay of {last.records:,} records was too quick to be seen")
    return (
        last.records - first.records,
        last.at - first.at,
        last.cpu_seconds - first.cpu_seconds,
        last.at - began,
        size,
    )


def snapshots(worker: Worker, instance: str) -> Iterator[dict[str, Any]]:
    """Each new one of the instance, from its first with partitions on."""
    from streaming.sales import board

    newest = 0.0
    deadline = time.monotonic() + REPLAY_SECONDS
    while time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        worker.check()
        for snapshot in board.snapshots():
            if snapshot["instance"] != instance or not snapshot["partitions"]:
                continue
            if snapshot["at"] > newest:
                newest = snapshot["at"]
                yield snapshot
    raise SystemExit(f"{instance} shows no end of its replay:\n{worker.said()}")


def bare(stage: Stage, source: str) -> tuple[int, float]:
    """Records and seconds of a consumer that reads all and does nothing."""
    with closing(reader(stage, source)) as consumer:
        consumer.config["max_poll_records"] = BATCH
        where = list(consumer.assignment())
        ends = consumer.end_offsets(where)
        total, count, began = sum(ends.values()), 0, time.monotonic()
        while count < total:
            count += sum(map(len, consumer.poll(timeout_ms=500).values()))
            if time.monotonic() > began + REPLAY_SECONDS:
                raise SystemExit(f"{source} gives {count:,} of {total:,} records")
        return count, time.monotonic() - began

"""The consumer of sales beside quixstreams' sliding sum. For bench.sales."""

import json
import time
from contextlib import closing
from importlib.metadata import version
from statistics import median
from typing import Any

from kafka import TopicPartition

from bench.report_figure import tell
from bench.sales_latency import reader
from bench.sales_stage import PARTITIONS, Rate, Stage, follow, load
from bench.sample_sales import PER_WINDOW, even

CODES = 1_000
MESSAGES = 200_000
HOURS_BACK = 4 * 3600
GOAL_RATIO = 30
QUIX_SECONDS = 120.0
COMPARED = 10_000  # of each partition
NEAR = 0.001


def show(stage: Stage, rounds: int, quick: bool) -> None:
    codes, seconds = (200, 30.0) if quick else (CODES, QUIX_SECONDS)
    messages = MESSAGES * codes // CODES
    warm = codes * PER_WINDOW  # one window, then there are 25 of each
    print(
        f"\nSums beside quixstreams {version('quixstreams')}, sliding window of 10 minutes, grace"
        f" 10 minutes, exactly once: the same {messages:,} messages in {PARTITIONS} partitions,"
        f" {PER_WINDOW} of each of {codes:,} StockCodes in a window; from the first window's end"
        f" on, quixstreams for {seconds:g} s at most; {rounds} rounds, load {load()};"
        f" goal {GOAL_RATIO} times",
        flush=True,
    )
    source = stage.filled(even(codes, messages, time.time() - HOURS_BACK))
    by_clock, by_cpu = [], []
    for number in range(rounds):
        theirs_output, theirs = quix(stage, source, messages, warm, seconds)
        ours_output, ours = sales(stage, source, messages, warm)
        if number == 0:
            compare(stage, theirs_output, ours_output)
        by_clock.append(ours.a_second / theirs.a_second)
        by_cpu.append(ours.a_core / theirs.a_core)
        goal = {"goal": GOAL_RATIO, "goal_of": "ratio"}
        beside = {"more": True, "baseline": "quixstreams", **goal}
        clock, cpu = "beside quixstreams", "beside quixstreams, CPU"
        tell(clock, ours.a_second, "messages/s", bare=theirs.a_second, **beside)
        tell(cpu, ours.a_core, "messages/s of CPU", bare=theirs.a_core, **beside)
        for name, rate in {"quixstreams": theirs, "sales": ours}.items():
            print(
                f"   {name:<12} {rate.a_second:9,.0f}/s,"
                f" {1e6 / rate.a_core:8,.0f} µs of CPU a message; {rate.messages:,} messages"
                f" in {rate.seconds:.1f} s",
                flush=True,
            )
    for name, ratios in {"by the clock": by_clock, "by CPU": by_cpu}.items():
        print(
            f"   {median(ratios):.0f} times quixstreams {name}"
            f" ({min(ratios):.0f} to {max(ratios):.0f})"
            + ("   MISSED" if median(ratios) < GOAL_RATIO else ""),
            flush=True,
        )


def quix(stage: Stage, source: str, messages: int, warm: int, seconds: float) -> tuple[str, Rate]:
    group, output = stage.name("quix"), stage.topic("output")
    folder = stage.folder / group
    words = ["-m", "bench.sales_quix", stage.servers, source, output, group, str(folder)]
    with stage.worker("quix", words, {}) as worker:
        return output, follow(stage, worker, group, source, messages, warm=warm, seconds=seconds)


def sales(stage: Stage, source: str, messages: int, warm: int) -> tuple[str, Rate]:
    group, output = stage.name("sales"), stage.topic("output")
    with stage.consumer(source, output, group) as worker:
        return output, follow(stage, worker, group, source, messages, warm=warm)


def compare(stage: Stage, theirs: str, ours: str) -> None:
    """Both must have found the same sums for the same sales, in the same order."""
    count = 0
    for number in range(PARTITIONS):
        pairs = zip(outputs(stage, theirs, number), outputs(stage, ours, number), strict=False)
        for left, right in pairs:
            same = left["StockCode"] == right["StockCode"] and left["Epoch"] == right["Epoch"]
            if not same or abs(left["10minutesSum"] - right["10minutesSum"]) > NEAR:
                raise SystemExit(f"quixstreams has {left}, sales {right}")
            count += 1
    print(f"   the first {count:,} sums of both are the same", flush=True)


def outputs(stage: Stage, topic: str, number: int) -> list[dict[str, Any]]:
    """The first outputs of a partition, as far as they are committed."""
    where = TopicPartition(topic, number)
    found: list[dict[str, Any]] = []
    with closing(reader(stage, topic)) as consumer:
        consumer.assign([where])
        end = consumer.end_offsets([where])[where]
        while len(found) < COMPARED and consumer.position(where) < end:
            for record in consumer.poll(timeout_ms=500).get(where, ()):
                found.append(json.loads(record.value))
    return found[:COMPARED]

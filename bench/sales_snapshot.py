"""What it costs the loop to show how things are. For bench.sales."""

import time
from contextlib import closing
from dataclasses import replace
from itertools import islice
from statistics import median
from typing import Any

from bench.report_figure import tell
from bench.sales_stage import BATCH, PARTITIONS, Stage, load
from bench.sample_sales import WINDOW_SECONDS, code, even

GOAL_SHARE = 0.01
SALES_OF_EACH = 3  # few: what a snapshot costs hangs on the number of StockCodes
HOURS_BACK = 3600
WATCHED = 50  # curves that somebody looks at: the most there may be
STEPS_SECONDS = 600.0


def show(stage: Stage, rounds: int, quick: bool) -> None:
    count = 5 * rounds
    print(
        f"\nA snapshot of {PARTITIONS} partitions, made and published, {count} of each, load"
        f" {load()}; goal {GOAL_SHARE:.0%} of the loop's time",
        flush=True,
    )
    for codes in (4_000, 20_000 if quick else 100_000):
        show_size(stage, codes, count)


def show_size(stage: Stage, codes: int, count: int) -> None:
    """By a loop in this process, that takes one more poll between two snapshots."""
    from django.conf import settings

    from streaming.sales import board
    from streaming.sales.loop import Loop
    from streaming.sales.snapshot import Rates, snapshot
    from streaming.show import SHARE

    first = codes * SALES_OF_EACH
    messages = first + 2 * count * BATCH  # for both of those below
    rate = first / WINDOW_SECONDS
    made_up = even(codes, messages, time.time() - HOURS_BACK - messages / rate, rate=rate)
    source = stage.filled(islice(made_up, first))
    with closing(Loop(options(stage, source), "bench")) as loop:
        step(loop, first)
        stage.fill(source, made_up)
        for watched in (0, WATCHED):
            rates, made, published = Rates(), [], []
            curves = [code(number) for number in range(watched)]
            for _ in range(count):
                step(loop, min(messages, loop.taken + 1))
                began = time.thread_time()
                found = snapshot(loop, "bench", rates, curves)
                done = time.thread_time()
                board.publish(found)
                made.append(done - began)
                published.append(time.thread_time() - done)
            cost = median(make + publish for make, publish in zip(made, published, strict=True))
            period = max(settings.SALES_SNAPSHOT_SECONDS, cost / SHARE)
            print(
                f"   {sum(owned.state.keys for owned in loop.owned.values()):>7,} StockCodes,"
                f" {len(found['curves']):>2} curves: {1000 * median(made):6.1f} ms of CPU to make,"
                f" {1000 * median(published):5.1f} ms to publish;"
                f" {cost / settings.SALES_SNAPSHOT_SECONDS:.1%} if there were one each"
                f" {settings.SALES_SNAPSHOT_SECONDS:g} s, so there is one each {period:.1f} s:"
                f" {cost / period:.2%}",
                flush=True,
            )
            what = f"snapshot of {codes:,} StockCodes, {len(found['curves'])} curves"
            share = 100 * cost / period
            tell(what, share, "% of the loop's time", goal=100 * GOAL_SHARE)


def options(stage: Stage, source: str) -> Any:
    from streaming.sales.options import Options

    return replace(
        Options.from_settings(),
        input_topic=source,
        output_topic=stage.topic("output"),
        dead_letter_topic=stage.topic("letters"),
        group=stage.name("snapshot"),
    )


def step(loop: Any, taken: int) -> None:
    """Until the loop has taken so many messages in all."""
    deadline = time.monotonic() + STEPS_SECONDS
    while loop.taken < taken:
        loop.step()
        if time.monotonic() > deadline:
            raise SystemExit(f"the loop has taken {loop.taken:,} of {taken:,} messages")

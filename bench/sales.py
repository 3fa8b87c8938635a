"""What rolling sums on Kafka cost: CPU, throughput, latency, memory, replay, snapshots.

`python -m bench.sales [--rounds N] [--quick] [--only NAME] [--file CSV] [--profile]`
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from bench import (
    sales_beside,
    sales_core,
    sales_latency,
    sales_profile,
    sales_replay,
    sales_snapshot,
)
from bench.report_figure import tell
from bench.sales_stage import BATCH, PARTITIONS, Rate, Stage, Worker, follow, load, running
from bench.sample_sales import PER_WINDOW, even

CODES = 1_000
MESSAGES = 200_000
HOURS_BACK = 4 * 3600  # event times must not be ahead of the broker's
WARM_SHARE = 0.25  # two windows of eight: then the state has its size
GOALS = {"public API": 20_000, "short cut": 35_000}
PARTS = ("core", "throughput", "quix", "latency", "replay", "snapshot")


def show_throughput(stage: Stage, rounds: int, messages: int) -> None:
    print(
        f"\n{messages:,} messages in {PARTITIONS} partitions, {PER_WINDOW} of each StockCode in a"
        f" window, polls of {BATCH:,}, {rounds} rounds, load {load()}; goals per core"
        f" {GOALS['public API']:,} and {GOALS['short cut']:,}",
        flush=True,
    )
    codes = CODES * messages // MESSAGES
    source = stage.filled(even(codes, messages, time.time() - HOURS_BACK))
    warm = round(messages * WARM_SHARE)

    def measured(worker: Worker, group: str) -> Rate:
        with worker:
            return follow(stage, worker, group, source, messages, warm=warm)

    def copied() -> Rate:
        group, output = stage.name("bare"), stage.topic("output")
        return measured(stage.bare(source, output, group), group)

    def summed(public_api: bool) -> Rate:
        group, output = stage.name("sales"), stage.topic("output")
        worker = stage.consumer(source, output, group, public_api=public_api)
        return measured(worker, group)

    ways: dict[str, Callable[[], Rate]] = {
        "bare copy": copied,
        "public API": lambda: summed(True),
        "short cut": lambda: summed(False),
    }
    found: dict[str, list[Rate]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            found[name].append(way())
    show_rates(found, "bare copy")


def show_rates(found: dict[str, list[Rate]], base: str) -> None:
    for name, rates in found.items():
        by_cpu = ratios(rates, found[base], lambda rate: rate.a_core)
        by_clock = ratios(rates, found[base], lambda rate: rate.a_second)
        a_core = median(rate.a_core for rate in rates)
        print(
            f"   {name:<12} {median(rate.a_second for rate in rates):9,.0f}/s,"
            f" {a_core:9,.0f} for each second of CPU"
            f" ({min(rate.a_core for rate in rates):,.0f} to"
            f" {max(rate.a_core for rate in rates):,.0f});"
            f" times {base}: {median(by_cpu):.2f} by CPU, {median(by_clock):.2f} by the clock"
            + ("   MISSED" if a_core < GOALS.get(name, 0) else ""),
            flush=True,
        )
        if name != base:
            tell(
                f"throughput, {name}",
                [rate.a_core for rate in rates],
                "messages/s of CPU",
                more=True,
                baseline=base,
                bare=[rate.a_core for rate in found[base]],
                goal=GOALS.get(name),
            )


def ratios(
    rates: Sequence[Rate], bases: Sequence[Rate], of: Callable[[Rate], float]
) -> list[float]:
    return [of(rate) / of(base) for rate, base in zip(rates, bases, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round, small")
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--file", type=Path, help="the retail file, for `core`; else one is made")
    parser.add_argument(
        "--profile", action="store_true", help="where kafka-python's send spends its time, only"
    )
    options = parser.parse_args()
    rounds = 1 if options.quick else options.rounds
    quick = options.quick

    def wanted(name: str) -> bool:
        return not options.profile and (not options.only or name in options.only)

    if wanted("core"):
        sales_core.show(rounds, quick, options.file)
    if not options.profile and options.only == ["core"]:
        return
    with tempfile.TemporaryDirectory(prefix="stockroom-bench-") as name:
        with running(Path(name)) as stage:
            if options.profile:
                sales_profile.show(stage, 20_000 if quick else 100_000)
            if wanted("throughput"):
                show_throughput(stage, rounds, 40_000 if quick else MESSAGES)
            if wanted("quix"):
                sales_beside.show(stage, rounds, quick)
            if wanted("latency"):
                sales_latency.show(stage, rounds, 10 if quick else 30)
            if wanted("replay"):
                sales_replay.show(stage, rounds, 100_000 if quick else 300_000)
            if wanted("snapshot"):
                sales_snapshot.show(stage, rounds, quick)


if __name__ == "__main__":
    main()

"""What stock sync costs: CPU next to bare json.loads, memory, and from which size processes pay.

`python -m bench.stocksync [--rounds N] [--quick] [--huge] [--only cpu|memory|jobs]`
"""

import argparse
import filecmp
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench.report_figure import tell
from bench.sample_stocksync import MEGABYTE, TREES
from bench.stocksync_engine import (
    CHILDREN,
    cpu_seconds,
    evaluate_each,
    in_two_threads,
    large_tree,
    load_each,
    one_after_the_other,
    read_each,
    readable,
    state_bytes,
    synchronize,
)
from bench.stocksync_runs import Run, apart, command_line, sample, startup

GOAL_CPU = 3.0
MIB = 1024 * 1024
JOBS = (1, 2, 4)


def load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


def spread(values: Sequence[float], unit: str, digits: int = 2) -> str:
    low, middle, high = min(values), median(values), max(values)
    return f"{middle:,.{digits}f} {unit} ({low:,.{digits}f} to {high:,.{digits}f})"


def show_cpu(directory: Path, rounds: int, megabytes: float) -> None:
    plain = sample(directory, megabytes, TREES)
    literal = sample(directory, megabytes, TREES, literals=True)
    text = readable(plain.read_text().splitlines())
    raw = [line.encode() for line in text]
    literal_text = readable(literal.read_text().splitlines())
    output = directory / "commands.txt"
    print(
        f"\nCPU for {megabytes:g} MB, {len(text):,} lines, {TREES:,} trees, {rounds} rounds,"
        f" load {load()}; goal {GOAL_CPU:g} × json.loads",
        flush=True,
    )
    base = "json.loads on each line, text"
    ours = {
        "python -m stocksync, JSON": lambda: command_line(plain, output).cpu_seconds,
        "python -m stocksync, literals": lambda: command_line(literal, output).cpu_seconds,
        "engine, JSON": lambda: cpu_seconds(lambda: synchronize(plain)),
        "engine, literals": lambda: cpu_seconds(lambda: synchronize(literal)),
    }
    ways = {
        base: lambda: cpu_seconds(lambda: load_each(text)),
        "json.loads on each line, bytes": lambda: cpu_seconds(lambda: load_each(raw)),
        "ast.literal_eval on each line": lambda: cpu_seconds(lambda: evaluate_each(literal_text)),
        "python -c pass": lambda: startup().cpu_seconds,
        "engine, reading lines alone": lambda: cpu_seconds(lambda: read_each(raw)),
        "engine, JSON, with trace": lambda: cpu_seconds(lambda: synchronize(plain, True)),
        **ours,
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, seconds in ways.items():
            # The baseline each time anew: how fast this machine is changes within seconds.
            pair = (seconds(), ways[base]())
            if number:  # the first is for warmth
                found[name].append(pair)
    for name, pairs in found.items():
        taken = median(seconds for seconds, _ in pairs)
        ratios = [seconds / bare for seconds, bare in pairs]
        print(
            f"   {name:<40} {1000 * taken:8,.0f} ms {len(text) / taken:11,.0f} lines/s"
            f"   ratio {median(ratios):5.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            + ("   MISSED" if name in ours and median(ratios) > GOAL_CPU else ""),
            flush=True,
        )
        if name not in (base, "python -c pass"):
            tell(
                f"{name}, {megabytes:g} MB",
                [1000 * seconds for seconds, _ in pairs],
                "ms of CPU",
                baseline="json.loads",
                bare=[1000 * bare for _, bare in pairs],
                goal=GOAL_CPU if name in ours else None,
                goal_of="ratio",
            )
    rates = [commands / seconds for commands, seconds in (large_tree() for _ in range(rounds))]
    print(f"   updates of a tree with {CHILDREN:,} children: {spread(rates, 'commands/s', 0)}")


def show_memory(directory: Path, sizes: Sequence[float], trees: Sequence[int]) -> None:
    print(f"\nPeak memory by size, always {TREES:,} trees, one process, load {load()}", flush=True)
    output = directory / "commands.txt"
    for megabytes in sizes:
        path = sample(directory, megabytes, TREES)
        run = apart(path, output)
        print(f"   {f'{megabytes:,g} MB':<30} {of(run)}", flush=True)
        tell(f"peak memory, {megabytes:,g} MB", run.own_peak_bytes / MIB, "MiB")
        path.unlink()
    print("\nPeak memory by products, each created once and no more", flush=True)
    runs: list[tuple[int, Run]] = []
    for count in trees:
        path = sample(directory, 0, count)
        with path.open("rb") as file:
            products = sum(b"ProductCreated" in line for line in file)
        runs.append((products, apart(path, output)))
        print(f"   {f'{products:,} products':<30} {of(runs[-1][1])}", flush=True)
        if count == trees[-1]:
            print(f"   state as JSON {state_bytes(path) / products:,.0f} bytes a product")
        path.unlink()
    (few, less), (many, more) = runs[0], runs[-1]
    each = (more.own_peak_bytes - less.own_peak_bytes) / (many - few)
    print(f"   so {each:,.0f} bytes for each further product")
    tell("memory of each further product", each, "bytes")


def of(run: Run) -> str:
    return (
        f"{run.own_peak_bytes / MIB:8,.1f} MiB, {run.cpu_seconds:7.1f} s CPU, {run.seconds:7.1f} s,"
        f" output {run.output_bytes / MEGABYTE:,.1f} MB"
    )


def show_jobs(directory: Path, rounds: int, sizes: Sequence[float]) -> None:
    print(
        f"\nSeconds with --jobs on {os.cpu_count()} CPUs, {rounds} rounds, load {load()};"
        " outputs compared byte for byte",
        flush=True,
    )
    for megabytes in sizes:
        # Products grow with the file, as they do in life.
        path = sample(directory, megabytes, round(TREES * megabytes / 10))
        found: dict[int, list[Run]] = {jobs: [] for jobs in JOBS}
        for _ in range(rounds):
            for jobs in JOBS:
                found[jobs].append(apart(path, written(directory, jobs), jobs=jobs))
                if jobs != 1:
                    same(written(directory, 1), written(directory, jobs))
        for jobs, runs in found.items():
            gains = [one.seconds / run.seconds for one, run in zip(found[1], runs, strict=True)]
            print(
                f"   {megabytes:4,g} MB, {jobs} jobs:"
                f" {spread([run.seconds for run in runs], 's')},"
                f" CPU {median(run.cpu_seconds for run in runs):.2f} s"
                f" ({median(run.own_cpu_seconds for run in runs):.2f} s where all comes together),"
                f" {median(gains):.2f} times as fast as 1 ({min(gains):.2f} to {max(gains):.2f})",
                flush=True,
            )
            if jobs != 1:
                one = {"baseline": "1 job", "bare": [each.seconds for each in found[1]]}
                tell(f"{megabytes:g} MB, {jobs} jobs", [run.seconds for run in runs], "s", **one)
        path.unlink()
    show_threads(directory, rounds, sizes[0])


def show_threads(directory: Path, rounds: int, megabytes: float) -> None:
    path = sample(directory, megabytes, TREES)
    pairs = [(one_after_the_other(path), in_two_threads(path)) for _ in range(rounds)]
    gains = [one / two for one, two in pairs]
    print(
        f"   two files of {megabytes:g} MB in two threads of one process:"
        f" {spread([two for _, two in pairs], 's')},"
        f" {median(gains):.2f} times as fast as one after the other"
        f" ({min(gains):.2f} to {max(gains):.2f})",
        flush=True,
    )
    after = {"baseline": "one after the other", "bare": [one for one, _ in pairs]}
    tell("two files in two threads", [two for _, two in pairs], "s", **after)


def written(directory: Path, jobs: int) -> Path:
    return directory / f"commands-{jobs}.txt"


def same(one: Path, other: Path) -> None:
    for left, right in ((one, other), (rejects_of(one), rejects_of(other))):
        if not filecmp.cmp(left, right, shallow=False):
            raise AssertionError(f"{right.name} is not {left.name}")


def rejects_of(output: Path) -> Path:
    return output.with_suffix(".rejects")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round, small")
    parser.add_argument("--huge", action="store_true", help="a file of 1 GB and 3 GB of disk, too")
    parser.add_argument("--only", choices=["cpu", "memory", "jobs"], action="append")
    parser.add_argument("--mb", type=float, action="append", help="sizes for jobs, not 10, 50, 200")
    options = parser.parse_args()
    rounds = 1 if options.quick else options.rounds
    sizes = (1.0, 10.0) if options.quick else (10.0, 100.0)
    trees = (10_000, 100_000) if options.quick else (33_333, 333_333)
    jobs_sizes = (1.0, 10.0) if options.quick else (10.0, 50.0, 200.0)

    def wanted(name: str) -> bool:
        return not options.only or name in options.only

    with tempfile.TemporaryDirectory(prefix="stockroom-bench-") as name:
        directory = Path(name)
        if wanted("cpu"):
            show_cpu(directory, rounds, 1.0 if options.quick else 10.0)
        if wanted("memory"):
            show_memory(directory, (*sizes, 1000.0) if options.huge else sizes, trees)
        if wanted("jobs"):
            show_jobs(directory, rounds, options.mb or jobs_sizes)


if __name__ == "__main__":
    main()

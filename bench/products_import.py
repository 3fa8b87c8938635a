"""How fast an import is, next to a bare COPY + INSERT and to django-import-export in the same run.

`python -m bench.products_import [--rows N] [--rounds N] [--mbit N] [--quick] [--huge]`
"""

import argparse
import logging
import statistics
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bench import import_bare, import_export
from bench.import_beside import latencies, peak_memory
from bench.import_stack import Bench, Run, running
from bench.report_figure import tell
from bench.sample_csv import ROWS, write_sample

GOAL_BARE = 1.5
GOAL_EXPORT = 10
GOAL_P95_MS = 100
HUGE_ROWS = 5_000_000
SLICE_ROWS = 5_000
MIB = 1024**2


@dataclass
class Case:
    """One of the three imports, with its runs and those of the baselines by round."""

    name: str
    ours: list[Run] = field(default_factory=list)
    bare: list[import_bare.BareRun] = field(default_factory=list)
    skipping: list[import_bare.BareRun] = field(default_factory=list)

    def show(self) -> None:
        phases = {
            name: median(run.phases[name] for run in self.ours) for name in self.ours[0].phases
        }
        seconds = median(run.done for run in self.ours)
        print(f"\n{self.name}: {self.ours[0].rows:,} rows in {seconds:.2f} s from the last part on")
        print("   " + ", ".join(f"{name} {value:.2f}" for name, value in phases.items()))
        print(
            f"   {self.ours[0].rows / seconds:,.0f} rows/s;"
            f" CPU of the whole stack {median(run.cpu for run in self.ours):.1f} s;"
            f" whole upload {median(run.upload for run in self.ours):.2f} s;"
            f" WAL {median(run.wal_bytes for run in self.ours) / MIB:,.0f} MiB with the upload's"
        )
        self._show_ratio("bare", self.bare)
        if self.skipping:
            self._show_ratio("bare that skips unchanged rows", self.skipping)

    def _show_ratio(self, name: str, runs: list[import_bare.BareRun]) -> None:
        pairs = list(zip(self.ours, runs, strict=True))
        print(
            f"   {name}: {median(run.done for run in runs):.2f} s"
            f" (CPU {median(run.cpu for run in runs):.1f} s,"
            f" WAL {median(run.wal_bytes for run in runs) / MIB:,.0f} MiB);"
            f" ratio {median(ours.done / bare.done for ours, bare in pairs):.2f}, goal {GOAL_BARE};"
            f" of CPU {median(ours.cpu / bare.cpu for ours, bare in pairs):.2f}"
        )
        tell(
            f"{self.name}, beside {name}",
            [run.done for run in self.ours],
            "s",
            baseline=name,
            bare=[run.done for run in runs],
            goal=GOAL_BARE,
            goal_of="ratio",
        )
        cpu, bare_cpu = [run.cpu for run in self.ours], [run.cpu for run in runs]
        tell(f"{self.name}, beside {name}, CPU", cpu, "s of CPU", baseline=name, bare=bare_cpu)


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


def compare_with_bare(bench: Bench, first: Path, changed: Path, rounds: int) -> list[Case]:
    """Import for the first time, again unchanged, again all changed; each beside its baseline."""
    cases = [Case("first time"), Case("again, unchanged"), Case("again, all changed")]
    for _ in range(rounds):
        bench.clear()
        import_bare.clear(bench)
        for case, path in zip(cases, (first, first, changed), strict=True):
            bench.settle()
            case.ours.append(bench.run(path))
            bench.settle()
            if case is cases[1]:  # first: it leaves the table as it is
                case.skipping.append(import_bare.run(bench, path, skip_unchanged=True))
            case.bare.append(import_bare.run(bench, path))
        print(".", end="", flush=True)
    return cases


def compare_with_import_export(bench: Bench, source: Path, seconds_per_row: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "slice.csv"
        import_export.write_slice(source, path, SLICE_ROWS)
        print(f"\ndjango-import-export, {SLICE_ROWS:,} rows of the same file, first time")
        for bulk in (False, True):
            bench.clear()
            theirs = import_export.seconds(path, bulk=bulk)
            bench.clear()
            ours = bench.run(path).done
            ratio = theirs / SLICE_ROWS / seconds_per_row
            print(
                f"   use_bulk={bulk}: {theirs:.2f} s, {1e6 * theirs / SLICE_ROWS:.0f} µs a row;"
                f" ours {1e6 * seconds_per_row:.1f} µs a row of the whole file:"
                f" {ratio:.0f} × faster, goal {GOAL_EXPORT}"
                f" (the slice itself: ours {ours:.2f} s)"
            )
            tell(
                f"first time, beside django-import-export, use_bulk={bulk}",
                1 / seconds_per_row,
                "rows/s",
                more=True,
                baseline="django-import-export",
                bare=SLICE_ROWS / theirs,
                goal=GOAL_EXPORT,
                goal_of="ratio",
            )


def show_latencies(bench: Bench, first: Path, changed: Path) -> None:
    print(f"\nBeside an import, goal p95 < {GOAL_P95_MS} ms")
    bench.clear()
    for name, path in (("first time", first), ("all changed", changed), ("nothing", None)):
        bench.settle()
        found, longest = latencies(bench, path)
        print(f"   {name}: longest statement seen {1000 * longest:.0f} ms")
        for one in found:
            print(f"      {one.line()}")
            one.tell_p95(f"beside an import, {name}", GOAL_P95_MS if path else None)


def show_memory(bench: Bench, sizes: dict[int, Path]) -> None:
    """Peak of the worker's children while they import a file for the first time."""
    print("\nPeak memory of the worker's processes")
    for rows, path in sizes.items():
        bench.clear()
        bench.settle()
        with peak_memory(bench.workers()) as peaks:
            run = bench.run(path)
        shown = ", ".join(f"{peak / MIB:.0f}" for peak in sorted(peaks.values()))
        print(f"   {rows:>9,} rows: {shown} MiB   ({run.done:.1f} s from the last part on)")
        tell(f"peak memory of a worker, {rows:,} rows", max(peaks.values()) / MIB, "MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="50,000 rows, one round")
    parser.add_argument("--mbit", type=float, default=0.0, help="speed of the upload")
    parser.add_argument("--huge", action="store_true", help="memory for 5,000,000 rows too")
    parser.add_argument("--only", choices=["bare", "export", "memory", "beside"], action="append")
    options = parser.parse_args()
    rows, rounds = (50_000, 1) if options.quick else (options.rows, options.rounds)
    logging.basicConfig(level=logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="stockroom-bench-") as name:
        folder = Path(name)
        first, changed = folder / "first.csv", folder / "changed.csv"
        write_sample(first, rows)
        write_sample(changed, rows, changed_fraction=1.0)
        with running(folder / "var") as bench:
            bench.mbit = options.mbit
            bench.run(first)  # warms everything up
            measure(bench, first, changed, rows, rounds, options)


def measure(
    bench: Bench,
    first: Path,
    changed: Path,
    rows: int,
    rounds: int,
    options: argparse.Namespace,
) -> None:
    def wanted(name: str) -> bool:
        return not options.only or name in options.only

    if wanted("bare") or wanted("export"):
        cases = compare_with_bare(bench, first, changed, rounds)
        for case in cases:
            case.show()
        if wanted("export"):
            per_row = median(run.done / run.rows for run in cases[0].ours)
            compare_with_import_export(bench, first, per_row)
    if wanted("beside"):
        show_latencies(bench, first, changed)
    if wanted("memory"):
        sizes = {rows: first}
        if options.huge:
            sizes[HUGE_ROWS] = huge = first.with_name("huge.csv")
            write_sample(huge, HUGE_ROWS)
        show_memory(bench, sizes)


if __name__ == "__main__":
    main()

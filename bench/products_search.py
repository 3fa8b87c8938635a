"""How long pages, filters and searches take, in the database and over HTTP, next to a naive LIKE.

`python -m bench.products_search [--rows N] [--rounds N] [--quick] [--large] [--plans] [--only …]`
"""

import argparse
import logging
import statistics
import tempfile
from pathlib import Path

import psutil

from bench import search_cases, search_catalogue
from bench.import_beside import latencies
from bench.import_stack import Bench, running
from bench.report_figure import tell
from bench.sample_csv import ROWS, write_sample
from bench.search_cases import CATEGORIES, Category, Searches

GOAL_MS = 50  # in the database
GOAL_OTHERS_LARGE_MS = 300  # with 5,000,000 products, for what is not rare
GOAL_PAGE_MS = 100  # what a page may take besides
NAIVE_SAMPLES = 3
PAGES = 60  # asked for over HTTP, of each category


def goal(category: Category, large: bool) -> int:
    return GOAL_OTHERS_LARGE_MS if large and not category.rare else GOAL_MS


def show_searches(bench: Bench, title: str, rounds: int, *, large: bool = False) -> None:
    """A line for each category, then how many goals are missed."""
    load = psutil.getloadavg()[0]
    print(f"\n{title}, load {load:.1f}; milliseconds")
    heads = ("find p50", "p95", "CPU p95", "page p50", "p95", "naive", "ratio", "goal")
    print(f"{'':<26}{''.join(f'{head:>9}' for head in heads)}   slowest search")
    searches = Searches(bench)
    missed = 0
    for category in CATEGORIES:
        chosen = searches.of(category, rounds)
        search_cases.time_in_database(chosen[:5])  # warm
        found = search_cases.time_in_database(chosen)
        pages = search_cases.time_pages(bench, chosen[:PAGES])
        words = category.words[0]
        naive = statistics.median(
            search_cases.time_naive(bench, words)
            for _ in range(1 if large or "{" in words else NAIVE_SAMPLES)
        )
        limit = goal(category, large)
        ok = found.percentile(95) <= limit and pages.percentile(95) <= limit + GOAL_PAGE_MS
        missed += not ok
        figures = (
            *(found.percentile(50), found.percentile(95), found.cpu_p95),
            *(pages.percentile(50), pages.percentile(95)),
            *(1000 * naive, 1000 * naive / found.percentile(50), limit),
        )
        print(
            f"{category.name:<26}{''.join(f'{figure:>9.1f}' for figure in figures)}"
            f"   {found.worst}"
            + (f", {found.too_broad} too broad" if found.too_broad else "")
            + ("" if ok else "   MISSED"),
            flush=True,
        )
        tell(
            f"{category.name}, p95, {title}",
            found.percentile(95),
            "ms",
            baseline="ILIKE with a count",
            bare=1000 * naive,
            goal=limit,
        )
    print(f"{missed} of {len(CATEGORIES)} miss their goal")


def show_plans(bench: Bench) -> None:
    """Of each category's first search, in each order, without a filter and with one."""
    searches = Searches(bench)
    for category in CATEGORIES:
        shown = set()
        for label, filter, sort, cursor in searches.of(category, 1, states=(None, False)):
            words, _, state, place = label.rsplit("/", 3)
            if place != "first" or (words, sort, state) in shown:
                continue
            shown.add((words, sort, state))
            print(f"\n{category.name}: {label}")
            print("\n      …\n".join(search_cases.plans(filter, sort, cursor)))


def show_beside(bench: Bench, folder: Path, rows: int) -> None:
    """Pages, filters, searches and edits while an import merges."""
    print(f"\nBeside a merge, goal p95 {GOAL_MS + GOAL_PAGE_MS} ms")
    few, all_changed = folder / "few.csv", folder / "changed.csv"
    write_sample(few, rows, changed_fraction=0.05)
    write_sample(all_changed, rows, changed_fraction=1.0)
    bench.run(few)  # takes the planted words away
    search_catalogue.wait_for_index()
    for name, path in (("nothing", None), ("5 % changed", few), ("all changed", all_changed)):
        bench.settle()
        found, longest = latencies(bench, path)
        print(f"   {name}: longest statement seen {1000 * longest:.0f} ms")
        for one in found:
            print(f"      {one.line()}")
            one.tell_p95(f"beside an import, {name}", GOAL_MS + GOAL_PAGE_MS if path else None)
        search_catalogue.wait_for_index()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="50,000 rows, one round")
    parser.add_argument("--large", action="store_true", help="ten times as many after that")
    parser.add_argument("--plans", action="store_true", help="EXPLAIN ANALYZE of each way")
    parser.add_argument("--only", choices=["search", "beside"])
    options = parser.parse_args()
    rows, rounds = (50_000, 1) if options.quick else (options.rows, options.rounds)
    logging.basicConfig(level=logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="stockroom-bench-") as name:
        folder = Path(name)
        path = folder / "catalogue.csv"
        search_catalogue.write_catalogue(path, rows)
        with running(folder / "var") as bench:
            bench.run(path)
            search_catalogue.wait_for_index()
            bench.settle()
            if options.only != "beside":
                measure(bench, rounds, options)
            if options.only != "search":
                show_beside(bench, folder, rows)


def measure(bench: Bench, rounds: int, options: argparse.Namespace) -> None:
    sizes = (False, True) if options.large else (False,)
    for large in sizes:
        if large:
            search_catalogue.multiply(bench)
        products = bench.sql("SELECT count(*) FROM products_product")[0][0]
        inactive = bench.sql("SELECT count(*) FROM products_product WHERE NOT active")[0][0]
        show_searches(bench, f"{products:,} products, {inactive:,} inactive", rounds, large=large)
        if options.plans:
            show_plans(bench)
    search_catalogue.deactivate_older_half(bench)
    bench.settle()
    show_searches(
        bench, f"{products:,} products, the older half inactive", rounds, large=options.large
    )


if __name__ == "__main__":
    main()

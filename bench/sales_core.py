"""What the sums themselves cost, without Kafka: for bench.sales."""

import gc
import json
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench.report_figure import tell
from bench.sales_stage import BATCH, load
from bench.sample_sales import (
    FILE_SALES,
    PER_WINDOW,
    WINDOW_SECONDS,
    Sold,
    even,
    of_file,
    uneven,
)
from streaming.sales.limits import Limits
from streaming.sales.partition import PartitionState

LIMITS = Limits(window_seconds=WINDOW_SECONDS, lateness_seconds=600, max_skew_seconds=300)
GOAL_MICROSECONDS = 6.0
EVEN_CODES = 2_000
BEGIN = 1_700_000_000.0


class Read(NamedTuple):
    """A message as kafka-python's consumer gives it, as far as sums look at it."""

    offset: int
    timestamp: int
    key: bytes
    value: bytes


def read(messages: Iterable[Sold]) -> Iterator[Read]:
    """As records of one partition, stamped by the broker long after."""
    for offset, sold in enumerate(messages):
        yield Read(offset, int(BEGIN * 2000), sold.key, sold.value)


def in_batches(records: Sequence[Read]) -> list[Sequence[Read]]:
    return [records[at : at + BATCH] for at in range(0, len(records), BATCH)]


def cpu_seconds(work: Callable[[], object]) -> float:
    gc.collect()
    began = time.process_time()
    work()
    return time.process_time() - began


def bare(batches: Sequence[Sequence[Read]]) -> None:
    """The least that a sum of JSON takes: each message read, an output of three fields written."""
    for batch in batches:
        outputs = []
        for record in batch:
            sale = json.loads(record.value)
            amount = sale["Quantity"] * sale["Price"]
            output = {
                "StockCode": sale["StockCode"],
                "Epoch": sale["InvoiceDate"],
                "10minutesSum": amount,
            }
            outputs.append(json.dumps(output).encode())


def bare_reading(batches: Sequence[Sequence[Read]]) -> None:
    for batch in batches:
        for record in batch:
            json.loads(record.value)


def take(batches: Sequence[Sequence[Read]]) -> PartitionState:
    state = PartitionState(LIMITS, check_keys=True)
    for batch in batches:
        state.take(batch)
        state.checkpoint().encode()
    return state


def absorb(batches: Sequence[Sequence[Read]]) -> PartitionState:
    state = PartitionState(LIMITS)
    for batch in batches:
        state.absorb(batch)
    return state


def show(rounds: int, quick: bool, path: Path | None) -> None:
    count = FILE_SALES // 10 if quick else FILE_SALES
    made = uneven(count, BEGIN) if path is None else islice(of_file(path, BEGIN), count)
    records = list(read(made))
    codes = len({record.key for record in records})
    source = "made like the retail file" if path is None else f"of {path.name}"
    print(
        f"\nSums of {len(records):,} messages {source}, {codes:,} StockCodes, polls of {BATCH:,},"
        f" {rounds} rounds, load {load()}",
        flush=True,
    )
    batches = in_batches(records)
    ways: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "take": (lambda: take(batches), lambda: bare(batches)),
        "absorb (replay)": (lambda: absorb(batches), lambda: bare_reading(batches)),
    }
    bases = {"take": "json.loads + json.dumps", "absorb (replay)": "json.loads"}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, (ours, base) in ways.items():
            pair = (cpu_seconds(ours), cpu_seconds(base))
            if number:  # the first is for warmth
                found[name].append(pair)
    for name, pairs in found.items():
        each = 1e6 * median(ours for ours, _ in pairs) / len(records)
        plain = 1e6 * median(base for _, base in pairs) / len(records)
        ratios = [ours / base for ours, base in pairs]
        missed = "   MISSED" if name == "take" and each > GOAL_MICROSECONDS else ""
        print(
            f"   {name:<16} {each:5.2f} µs a record, {1e6 / each:9,.0f}/s of CPU;"
            f" {bases[name]} {plain:.2f} µs: ratio {median(ratios):.2f}"
            f" ({min(ratios):.2f} to {max(ratios):.2f}){missed}",
            flush=True,
        )
        tell(
            name,
            [1e6 * ours / len(records) for ours, _ in pairs],
            "µs a record",
            baseline=bases[name],
            bare=[1e6 * base / len(records) for _, base in pairs],
            goal=GOAL_MICROSECONDS if name == "take" else None,
        )
    show_memory(200 if quick else EVEN_CODES)


def show_memory(codes: int) -> None:
    """What a state takes by tracemalloc, two windows long since lateness is one."""
    print(f"   memory of {codes:,} StockCodes, two windows kept, all included:")
    sizes = [memory(codes, per_window) for per_window in (PER_WINDOW, 4 * PER_WINDOW)]
    for per_window, (state, taken) in zip((PER_WINDOW, 4 * PER_WINDOW), sizes, strict=True):
        print(
            f"      {per_window:>3} sales in a window: {taken / state.events:.1f} bytes an event,"
            f" {taken / state.keys:,.0f} a StockCode, {state.events:,} events;"
            f" by the state's own estimate {state.size_bytes() / state.events:.1f}",
            flush=True,
        )
    (few, less), (many, more) = sizes
    each = (more - less) / (many.events - few.events)
    print(f"      so {each:.1f} bytes for each further event")
    tell("memory of each further event", each, "bytes")


def memory(codes: int, per_window: int) -> tuple[PartitionState, int]:
    """A state that has seen three windows, and its bytes."""
    rate = codes * per_window / WINDOW_SECONDS
    records = read(even(codes, codes * per_window * 3, BEGIN, rate=rate))
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    state = PartitionState(LIMITS, check_keys=True)
    while batch := list(islice(records, BATCH)):
        state.take(batch)
    del batch, records
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return state, taken

"""A full queue into the table: the consumer, a bare one and COPY. For bench.ledger."""

import time
from collections.abc import Callable
from statistics import median

from bench.ledger.stage import POLL_SECONDS, PROVIDERS, Stage, Tables, complain
from bench.report_figure import tell
from bench.sales_stage import Rate, Worker, load

BATCH = 1_000  # the consumer's default too
BARE, COPY = "bare consumer", "COPY"
STALL_SECONDS = 60.0


def values(count: int) -> list[tuple[int, int]]:
    """Provider and amount of so many transactions."""
    return [(1 + number % PROVIDERS, number * 7919 % 2001 - 1000) for number in range(count)]


def bodies(count: int) -> list[bytes]:
    """The same as messages, written as the specification does."""
    return [b'{"id": %d, "value": %d}' % each for each in values(count)]


def show(stage: Stage, rounds: int, messages: int) -> None:
    """`messages` is a multiple of BATCH."""
    print(
        f"\n{messages:,} messages of a full queue, batches of {BATCH:,}, {rounds} rounds,"
        f" load {load()}",
        flush=True,
    )
    made = bodies(messages)
    ways: dict[str, Callable[[Tables], Rate]] = {
        COPY: lambda tables: copied(stage, tables, messages),
        BARE: lambda tables: taken(
            stage, tables, made, lambda: stage.worker("bare", bare_words(), tables)
        ),
        "ledger": lambda tables: taken(stage, tables, made, lambda: stage.consumer(tables)),
        "ledger, ids": lambda tables: taken(
            stage, tables, made, lambda: stage.consumer(tables), ids=True
        ),
    }
    found: dict[str, list[Rate]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            with stage.tables(0) as tables:
                found[name].append(way(tables))
            print(f"   … {name}: {found[name][-1].a_second:,.0f}/s, load {load()}", flush=True)
    for name, rates in found.items():
        a_second = [rate.a_second for rate in rates]
        words = f"   {name:<13} {median(a_second):9,.0f}/s ({min(a_second):,.0f} to"
        words += f" {max(a_second):,.0f})"
        if name != COPY:
            cpu = median(1e6 * rate.cpu_seconds / rate.messages for rate in rates)
            words += f", {cpu:5.1f} µs of its CPU each"
        for base in (BARE, COPY):
            if base != name:
                each = [
                    rate.a_second / bare.a_second
                    for rate, bare in zip(rates, found[base], strict=True)
                ]
                words += f"; {median(each):.2f} times {base}"
                words += f" ({min(each):.2f} to {max(each):.2f})"
                if name not in (BARE, COPY):
                    plain = [bare.a_second for bare in found[base]]
                    beside = {"more": True, "baseline": base, "bare": plain}
                    tell(f"{name}, beside {base}", a_second, "messages/s", **beside)
        print(words, flush=True)
    print(f"   load {load()} at the end", flush=True)


def bare_words() -> list[str]:
    return ["-m", "bench.ledger.bare", str(BATCH)]


def copied(stage: Stage, tables: Tables, count: int) -> Rate:
    """The same rows from a file, in one transaction."""
    path = stage.folder / "rows"
    path.write_text("".join(f"{provider}\t{value}\n" for provider, value in values(count)))
    with path.open() as file:
        return tables.copied(file, count)


def taken(
    stage: Stage,
    tables: Tables,
    made: list[bytes],
    start: Callable[[], Worker],
    *,
    ids: bool = False,
) -> Rate:
    """Fill the queue, then watch a process work it off: from its first batch to its last.

    Raises SystemExit unless each message is a row and is acknowledged in the end.
    """
    stage.fill(tables.queue, made, ids=ids)
    with start() as worker:
        began = last = (time.monotonic(), worker.cpu_seconds(), 0)
        while last[2] < len(made):
            time.sleep(POLL_SECONDS)
            worker.check()
            now = (time.monotonic(), worker.cpu_seconds(), tables.highest())
            if now[2] != last[2]:
                began = now if not began[2] else began
                last = now
            elif now[0] > last[0] + STALL_SECONDS:
                raise SystemExit(f"{now[2]:,} of {len(made):,} are there:\n{worker.said()}")
        # Its last acknowledgement is on its way.
        time.sleep(10 * POLL_SECONDS)
        complain(worker)
    (rows,) = tables.sql("SELECT count(*) FROM historical_transactions")[0]
    left = stage.waiting(tables.queue)
    if rows != len(made) or left:
        raise SystemExit(f"{rows:,} rows of {len(made):,} messages, {left:,} not acknowledged")
    return Rate(last[2] - began[2], last[0] - began[0], last[1] - began[1])

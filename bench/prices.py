"""What rows of prices cost in Redis: batches of the store next to GET, append and SET per row.

`python -m bench.prices [--rounds N] [--quick] [--only rates|lengths]`
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import redis

from bench.report_figure import tell
from bench.sample_prices import Priced, even
from config.services.stack import Stack
from streaming.prices.rows import Row, from_cells
from streaming.prices.store import Batch, Store

STOCKS = 3
FILE_ROWS = 510
BATCH = 2_000
HISTORIES = (10_000, 100_000)
LONGER = (0, 10_000, 100_000, 1_000_000)
NAIVE_SECONDS = 3.0  # of one measurement; 100,000 rows a stock would take hours
GOAL = 50
PARTS = ("rates", "lengths")


def rows_of(priced: Sequence[Priced]) -> list[tuple[int, Row, bytes]]:
    made = []
    for at, each in enumerate(priced):
        row = from_cells(each.time, each.stock, each.price)
        assert isinstance(row, Row)
        made.append((at, row, b""))
    return made


def naive(client: redis.Redis, priced: Sequence[Priced], seconds: float) -> int:
    """The least that the specification's step 1 takes; how many rows it did within `seconds`."""
    end = time.perf_counter() + seconds
    for done, each in enumerate(priced, start=1):
        text = client.get(each.stock)
        found = {"time": [], "price": [], "performance": 0} if text is None else json.loads(text)
        found["time"].append(each.time)
        found["price"].append(int(each.price) if each.price else "")
        client.set(each.stock, json.dumps(found))
        if time.perf_counter() > end:
            return done
    return len(priced)


def in_batches(store: Store, place: str, priced: Sequence[Priced], size: int) -> None:
    """Cells are checked too: what load_prices does, but for reading the file."""
    before = store.position(place)
    for start in range(0, len(priced), size):
        rows = rows_of(priced[start : start + size])
        after = str(int(before or 0) + len(rows))
        store.apply(Batch(place, before, after, rows))
        before = after


def rate(work: Callable[[], int]) -> float:
    """Rows a second; `work` returns how many it did."""
    began = time.perf_counter()
    done = work()
    return done / (time.perf_counter() - began)


def filled(client: redis.Redis, history: int) -> Store:
    """A Redis with `history` rows of each stock and nothing else, and a store that knows them."""
    client.flushdb()
    store = Store(client)
    for number in range(STOCKS if history else 0):
        rows = list(even(1, history - 1, seed=number))
        value = {
            "id": number + 1,
            "time": [row.time for row in rows],
            "price": [int(row.price) if row.price else "" for row in rows],
            "performance": 0,
        }
        client.set(f"stock{number + 1}", json.dumps(value))
    if history:
        in_batches(store, "first", list(even(STOCKS, STOCKS)), STOCKS)
    return store


def show_rates(client: redis.Redis, rounds: int, history: int, count: int, seconds: float) -> None:
    """`count` rows onto histories of that length, by each way in turns."""
    print(
        f"\n{count:,} rows of {STOCKS} stocks, histories of {history:,} rows, {rounds} rounds,"
        f" load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    priced = list(even(STOCKS, count, seed=2))
    sizes = [size for size in (1, 100, BATCH) if size <= max(count, 100)]
    if count < BATCH:
        sizes.append(count)
    found: dict[str, list[float]] = {"naive": [], **{f"batches of {n:,}": [] for n in sizes}}
    for _ in range(rounds):
        filled(client, history)
        found["naive"].append(rate(lambda: naive(client, priced, seconds)))
        for size in sizes:
            store = filled(client, history)
            some = priced[: min(count, size * 500)]

            def work(store: Store = store, some: Sequence[Priced] = some, size: int = size) -> int:
                in_batches(store, "rows", some, size)
                return len(some)

            found[f"batches of {size:,}"].append(rate(work))
    for name, rates in found.items():
        times = [ours / bare for ours, bare in zip(rates, found["naive"], strict=True)]
        missed = name == f"batches of {sizes[-1]:,}" and median(times) < GOAL
        print(
            f"   {name:<18} {median(rates):10,.0f} rows/s ({min(rates):,.0f} to {max(rates):,.0f}),"
            f" {median(times):8,.1f} times naive ({min(times):,.1f} to {max(times):,.1f})"
            + (f"   MISSED, goal {GOAL}" if missed else ""),
            flush=True,
        )
        if name != "naive":
            tell(
                f"{name}, onto {history:,} rows a stock",
                rates,
                "rows/s",
                more=True,
                baseline="GET, append, SET",
                bare=found["naive"],
                goal=GOAL if name == f"batches of {sizes[-1]:,}" else None,
                goal_of="ratio",
            )


def show_lengths(client: redis.Redis, rounds: int, lengths: Sequence[int]) -> None:
    """One batch of rows of three stocks, by how long their histories are, and what they take."""
    print(
        f"\nOne batch of {BATCH:,} rows of {STOCKS} stocks, {rounds} batches each,"
        f" load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    rows = list(even(STOCKS, BATCH, seed=3))
    for length in lengths:
        client.flushdb()
        empty = memory(client)
        store = filled(client, length)
        used = memory(client) - empty
        seconds = []
        for _ in range(rounds):
            began = time.perf_counter()
            in_batches(store, "rows", rows, BATCH)
            seconds.append(time.perf_counter() - began)
        text = sum(client.strlen(f"stock{number + 1}") for number in range(STOCKS))
        print(
            f"   {length:9,} rows a stock: {1000 * median(seconds):7.1f} ms"
            f" ({1000 * min(seconds):.1f} to {1000 * max(seconds):.1f}), values of"
            f" {text / 2**20:.1f} MiB, {used / 2**20:.1f} MiB of Redis' memory before"
            + (f", {used / length / STOCKS:.1f} bytes a row" if length else ""),
            flush=True,
        )
        times = [1000 * each for each in seconds]
        tell(f"one batch of {BATCH:,} rows, onto {length:,} rows a stock", times, "ms")


def memory(client: redis.Redis) -> int:
    """Bytes in use."""
    return int(client.info("memory")["used_memory"])


@contextmanager
def own_redis() -> Iterator[redis.Redis]:
    """As `make run` starts it, with its settings: a change is on disk when it is answered."""
    with tempfile.TemporaryDirectory(prefix="stockroom-bench-") as folder:
        environment = {"LOG_LEVEL": "WARNING", **os.environ}
        with Stack(
            Path(folder) / "var", environment, roles=(), engines=("valkey",), port=0
        ) as stack:
            stack.start_engines()
            client = redis.Redis.from_url(stack.environment["PRICES_REDIS_URL"])
            try:
                yield client
            finally:
                client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round, small")
    parser.add_argument("--only", choices=PARTS, action="append")
    options = parser.parse_args()
    parts = options.only or PARTS
    rounds = 1 if options.quick else options.rounds
    seconds = 0.5 if options.quick else NAIVE_SECONDS
    with own_redis() as client:
        if "rates" in parts:
            show_rates(client, rounds, 0, FILE_ROWS * STOCKS, seconds)
            for history in HISTORIES[:1] if options.quick else HISTORIES:
                show_rates(client, rounds, history, BATCH if options.quick else 10 * BATCH, seconds)
        if "lengths" in parts:
            show_lengths(client, rounds, LONGER[:2] if options.quick else LONGER)


if __name__ == "__main__":
    main()

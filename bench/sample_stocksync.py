"""Writes files of stock events of any size, for benches and large tests.

Trees with 0 to 4 children that are created in the first half of the file, then and between them
updates, 90 % of them in order. Nearly every update brings another stock, so that all other
products of its tree get a command: the hard case, real feeds hold more echoes. The same arguments
give the same bytes. `python -m bench.sample_stocksync OUT --mb 10 --trees 5000`
"""

import argparse
import random
from array import array
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

EVENT_BYTES = 75  # about: 10 MB are 131,000 events
TREES = 5_000
MEGABYTE = 1_000_000
FIRST_ID = 10_000
FIRST_TIMESTAMP = 10_000
FLUSH_LINES = 5_000

# Shares of the events that come after the creations.
STALE = 0.03  # older than the newest one of their tree
LATE = 0.07  # older than other trees' newest
ENDED = 0.02
ZERO = 0.02
MALFORMED = 0.01
# Of the trees: children come first, their parent some events later.
PARENT_LATER = 0.05
LATER_EVENTS = 20
NEVER_CREATED = 1_000  # events in all, whatever the size: they wait in memory to the end

CREATED = '{"type": "ProductCreated", "id": %d, "stock": %d, "timestamp": %d, "parent_id": %s}\n'
UPDATE = '{"type": "ProductUpdated", "id": %d, "timestamp": %d, "stock": %d}\n'
END = '{"type": "ProductEnded", "id": %d, "timestamp": %d}\n'
BAD = (
    '{"type": "ProductUpdated", "id": %d, "timestamp": 1\n',
    '{"type": "ProductMoved", "id": %d, "timestamp": 1, "stock": 3}\n',
    '{"type": "ProductUpdated", "id": %d, "timestamp": 1}\n',
    '{"type": "ProductUpdated", "id": "%d", "timestamp": 1, "stock": 3}\n',
    '{"type": "ProductUpdated", "id": %d, "timestamp": 1, "stock": 2.5}\n',
    '{"type": "ProductEnded", "id": -%d, "timestamp": 1}\n',
)


class Trees:
    """The trees made so far, as arrays: their first ids, sizes and newest timestamps."""

    def __init__(self) -> None:
        self.first, self.size, self.newest = array("q"), array("b"), array("q")

    def add(self, first: int, size: int, newest: int) -> None:
        self.first.append(first)
        self.size.append(size)
        self.newest.append(newest)


def events(bytes_target: int, trees: int, seed: int = 1) -> Iterator[str]:
    """Yield the lines of a file of about this size; longer if the creations alone are."""
    rng = random.Random(f"{seed} stocksync")
    made = Trees()
    written = 0
    for number, line in enumerate(_endless(rng, made, trees, bytes_target // EVENT_BYTES)):
        if written >= bytes_target and len(made.first) == trees and number:
            return
        written += len(line)
        yield line


def _endless(rng: random.Random, made: Trees, trees: int, expected: int) -> Iterator[str]:
    step = 0
    next_id = FIRST_ID
    later: list[tuple[int, str]] = []
    never_share = min(0.003, NEVER_CREATED / max(1, expected))
    half = expected // 2
    chance = rng.random
    while True:
        step += 1
        timestamp = FIRST_TIMESTAMP + step * 10
        while later and later[0][0] <= step:
            yield later.pop(0)[1]
        missing = trees - len(made.first)
        if missing and (not len(made.first) or chance() * max(1, half - step) < missing * 3):
            size = rng.randrange(1, 6)
            lines = _creations(rng, next_id, size, timestamp)
            if size > 1 and chance() < PARENT_LATER:
                later.append((step + LATER_EVENTS, lines.pop(0)))
            yield from lines
            made.add(next_id, size, timestamp + size)
            next_id += size
            step += size
            continue
        tree = int(chance() * len(made.first))
        product = made.first[tree] + int(chance() * made.size[tree])
        kind = chance()
        if kind < MALFORMED:
            yield BAD[int(chance() * len(BAD))] % product
        elif kind < MALFORMED + ENDED:
            yield END % (product, timestamp)
        elif kind < MALFORMED + ENDED + STALE:
            yield UPDATE % (product, made.newest[tree] - 1, 1 + int(chance() * 99))
        elif kind < MALFORMED + ENDED + STALE + never_share:
            yield UPDATE % (product + 1_000_000_000, timestamp, 1)
        else:
            if chance() < LATE:
                timestamp -= int(chance() * 1_000)
            made.newest[tree] = max(made.newest[tree], timestamp)
            stock = 0 if chance() < ZERO else 1 + int(chance() * 99)
            yield UPDATE % (product, timestamp, stock)


def _creations(rng: random.Random, first: int, size: int, timestamp: int) -> list[str]:
    stock = rng.randrange(1, 100)
    return [
        CREATED % (first + place, stock, timestamp + place, first if place else "null")
        for place in range(size)
    ]


def as_literal(line: str) -> str:
    """The same event as the specification's sample writes it."""
    return line.replace('"', "'").replace("null", "None")


def write_sample(
    out: str | Path | BinaryIO,
    bytes_target: int = 10 * MEGABYTE,
    trees: int = TREES,
    seed: int = 1,
    *,
    literals: bool = False,
) -> int:
    """Write a file to a path or an open binary file, some memory for each tree; give its lines."""
    if not hasattr(out, "write"):
        with open(out, "wb") as file:
            return write_sample(file, bytes_target, trees, seed, literals=literals)
    lines = events(bytes_target, trees, seed)
    count = 0
    while block := list(islice(lines, FLUSH_LINES)):
        text = "".join(block)
        out.write((as_literal(text) if literals else text).encode())
        count += len(block)
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--mb", type=float, default=10.0, help="size, in 1,000,000 bytes")
    parser.add_argument("--trees", type=int, default=TREES, help="three products each on average")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--literals", action="store_true", help="Python literals, not JSON")
    options = parser.parse_args()
    lines = write_sample(
        options.out,
        round(options.mb * MEGABYTE),
        options.trees,
        options.seed,
        literals=options.literals,
    )
    print(f"{lines:,} lines, {options.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()

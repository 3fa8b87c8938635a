"""What the engine alone makes of a file of events, and whether a job has come to the same."""

import io
from dataclasses import dataclass
from functools import cache
from typing import Any

from bench.sample_stocksync import write_sample
from stocksync.engine.synchronizer import Synchronizer

DECISION_COLUMNS = (
    "line, at_line, kind, product_id, timestamp, stock, parent_id, root_id, verdict, code, reason,"
    " raw, commands, output_offset"
)


@dataclass(frozen=True)
class Expected:
    """Files byte for byte, and rows as the tables have them."""

    output: bytes
    rejects: bytes
    counts: dict[str, Any]
    decisions: list[tuple]
    trees: list[tuple]
    products: list[tuple]


@cache
def sample(size: int, trees: int, seed: int = 1) -> bytes:
    """A generated file of about this size."""
    file = io.BytesIO()
    write_sample(file, size, trees, seed)
    return file.getvalue()


@cache
def expect(data: bytes, clock: str = "tree") -> Expected:
    """By one engine that is fed the whole file at once."""
    sync = Synchronizer(clock=clock, trace=True)
    sync.feed(data)
    sync.finish()
    return Expected(
        output=sync.take_output() + b"".join(sync.summary()),
        rejects=sync.take_rejects(),
        counts=sync.counts.as_dict(),
        decisions=[tuple(decision) for decision in sync.take_decisions()],
        trees=[
            (
                place,
                tree.root,
                len(tree.products),
                sum(product.active for product in tree.products),
                tree.level,
            )
            for place, tree in enumerate(sync.trees(), 1)
        ],
        products=[
            (place, product.id, product.tree.root, product.stock, product.active)
            for place, product in enumerate(sync.products(), 1)
        ],
    )

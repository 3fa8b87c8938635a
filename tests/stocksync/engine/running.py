"""Runs the engine for the tests: whole, in pieces, and stopped and gone on with."""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from stocksync.engine.synchronizer import Synchronizer

Record = dict[str, Any]


class Result(NamedTuple):
    output: list[Record]  # with the StockSummary
    rejects: list[Record]
    counts: Record
    decisions: list[Any]
    trees: list[tuple]
    written: bytes  # the output file


def records(data: bytes) -> list[Record]:
    """The JSON values of whole lines."""
    assert data == b"" or data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines()]


def sync(
    data: bytes | Iterable[bytes], clock: str = "tree", restarts: Iterable[int] = ()
) -> Result:
    """What comes of a file or its pieces; before each piece of `restarts` the engine's state
    goes through JSON into a new engine."""
    pieces = [data] if isinstance(data, bytes) else list(data)
    restarts = set(restarts)
    engine = Synchronizer(clock=clock, trace=True)
    output, rejects, decisions = bytearray(), bytearray(), []

    def take() -> None:
        output.extend(engine.take_output())
        rejects.extend(engine.take_rejects())
        decisions.extend(engine.take_decisions())

    fed = 0
    for index, piece in enumerate(pieces):
        if index in restarts:
            take()
            engine = Synchronizer.from_state(json.loads(json.dumps(engine.state())), trace=True)
        assert engine.position == fed
        engine.feed(piece)
        fed += len(piece)
    engine.finish()
    take()
    output += b"".join(engine.summary())
    trees = [
        (tree.root, tree.level, tree.clock.time, [shape(product) for product in tree.products])
        for tree in engine.trees()
    ]
    counts = engine.counts.as_dict()
    json.dumps(counts)
    return Result(
        records(bytes(output)), records(bytes(rejects)), counts, decisions, trees, bytes(output)
    )


def shape(product: Any) -> tuple:
    return product.id, product.stock, product.created_at, product.active


def event(kind: str, **fields: Any) -> bytes:
    """A line of input in JSON."""
    return json.dumps({"type": f"Product{kind}", **fields}).encode() + b"\n"


def created(id: int, stock: int, timestamp: int, parent: int | None = None) -> bytes:
    return event("Created", id=id, stock=stock, timestamp=timestamp, parent_id=parent)


def updated(id: int, stock: int, timestamp: int) -> bytes:
    return event("Updated", id=id, timestamp=timestamp, stock=stock)


def ended(id: int, timestamp: int) -> bytes:
    return event("Ended", id=id, timestamp=timestamp)


def codes(data: bytes, clock: str = "tree") -> list[str]:
    """The codes of what was refused, in order."""
    return [reject["code"] for reject in sync(data, clock).rejects]

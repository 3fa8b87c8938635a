"""A synchronizer's state as JSON can hold it, so that another process goes on from there."""

from typing import TYPE_CHECKING, Any, Dict

from .counts import Counts
from .events import Event
from .registry import Line
from .trees import Clock, Product, Tree

if TYPE_CHECKING:
    from .synchronizer import Synchronizer


def of(sync: "Synchronizer") -> Dict[str, Any]:
    """The state between two feeds; what was said so far is not part of it."""
    one_clock = sync.one_clock
    return {
        "clock": sync.clock,
        "position": sync.position,
        "counts": sync.counts.as_dict(),
        "output_bytes": 0 if sync.trace is None else sync.trace.offset,
        "rest": sync.lines.rest.decode("latin-1"),
        "begun": sync.lines.begun,
        "one_clock": None if one_clock is None else one_clock.time,
        # Trees and products in order of creation, which is also the order in each tree.
        "trees": [[tree.root, tree.level, tree.clock.time, tree.ended_at] for tree in sync.trees()],
        "products": [
            [product.id, product.tree.root, product.stock, product.created_at, product.active]
            for product in sync.products()
        ],
        "waiting": [
            [line.number, line.raw.decode("latin-1"), *line.event]
            for lines in sync.registry.waiting.values()
            for line in lines
        ],
    }


def restore(sync: "Synchronizer", kept: Dict[str, Any]) -> "Synchronizer":
    """Put the state into a new synchronizer of the same clock."""
    sync.position = kept["position"]
    sync.counts = Counts.from_dict(kept["counts"])
    if sync.trace is not None:
        sync.trace.offset = kept["output_bytes"]
    sync.lines.rest = kept["rest"].encode("latin-1")
    sync.lines.begun = kept["begun"]
    if sync.one_clock is not None:
        sync.one_clock.time = kept["one_clock"]
    roots = {}
    for root, level, time, ended_at in kept["trees"]:
        roots[root] = tree = Tree(sync.one_clock or Clock(time))
        tree.level = level
        tree.ended_at = ended_at
    for product_id, root, stock, created_at, active in kept["products"]:
        tree = roots[root]
        product = Product(product_id, stock, created_at, tree)
        product.active = active
        tree.products.append(product)
        sync.registry.products[product_id] = product
    for number, raw, *fields in kept["waiting"]:
        sync.registry.wait(Line(Event(*fields), number, raw.encode("latin-1")))
    return sync

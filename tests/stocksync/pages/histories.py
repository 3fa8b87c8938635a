"""Files of events for the tests of pages."""

import json
import random
from collections.abc import Iterable


def created(product: int, timestamp: int, stock: int = 10, parent: int | None = None) -> dict:
    return {
        "type": "ProductCreated",
        "id": product,
        "stock": stock,
        "timestamp": timestamp,
        "parent_id": parent,
    }


def updated(product: int, timestamp: int, stock: int) -> dict:
    return {"type": "ProductUpdated", "id": product, "timestamp": timestamp, "stock": stock}


def ended(product: int, timestamp: int) -> dict:
    return {"type": "ProductEnded", "id": product, "timestamp": timestamp}


def lines(*events: dict | str) -> str:
    return "".join(
        f"{event if isinstance(event, str) else json.dumps(event)}\n" for event in events
    )


# One of each: a child before its parent, a stale update, refusals, a product never created,
# a tree that is sold out, one whose parent is ended.
MIXED = lines(
    created(2, 124, parent=1),
    created(1, 123),
    created(3, 125, parent=1),
    updated(1, 129, 20),
    updated(1, 128, 7),
    {"type": "ProductMoved", "id": 1, "timestamp": 130},
    "no event at all",
    updated(4, 131, 5),
    updated(3, 134, 19),
    created(10, 140, stock=3),
    created(11, 141, stock=3, parent=10),
    updated(11, 142, 0),
    created(20, 150, stock=6),
    created(21, 151, stock=6, parent=20),
    ended(20, 152),
    created(6, 160, parent=5),
)


def many(trees: int, children: int, updates: int, *, seed: int = 6) -> Iterable[str]:
    """Lines of a busy day: whole trees, then updates, some of them late, wrong or for nobody."""
    chance = random.Random(seed)
    time = 1_000
    ids = []
    for root in range(trees):
        parent = 100 * (root + 1)
        for product in range(parent, parent + children + 1):
            time += 1
            ids.append(product)
            yield lines(created(product, time, parent=None if product == parent else parent))
    for _ in range(updates):
        time += 1
        kind = chance.random()
        product = chance.choice(ids)
        if kind < 0.03:
            yield lines(ended(product, time))
        elif kind < 0.05:
            yield lines(updated(10**9 + product, time, 4))
        elif kind < 0.06:
            yield lines({"type": "ProductUpdated", "id": str(product), "timestamp": time})
        else:
            late = chance.randrange(3_000) if kind < 0.2 else 0
            yield lines(updated(product, time - late, chance.randrange(1, 40) * (kind > 0.21)))

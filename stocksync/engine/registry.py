"""Who exists, in which tree, and which events wait for whom.

What is decided here depends on ids alone, not on stocks or times: that is why trees can be worked
off in processes of their own afterwards (parallel.py).
"""

from typing import Dict, List, NamedTuple

from .events import CREATED, Event
from .refusals import DUPLICATE_ID, OWN_PARENT, PARENT_IS_CHILD, WAITING_FULL, Refused
from .trees import Product

WAITING_EVENTS = 100000
WAITING_BYTES = 64 * 1024 * 1024


class Line(NamedTuple):
    """An event and the line it came from; `raw` is the line without its end."""

    event: Event
    number: int
    raw: bytes


class Registry:
    """The products by id, in order of creation, and the events that wait for products."""

    def __init__(self) -> None:
        self.products: Dict[int, Product] = {}
        self.waiting: Dict[int, List[Line]] = {}
        self.waiting_events = 0
        self.waiting_bytes = 0

    def check_creation(self, event: Event) -> None:
        """Raises Refused where no such product may be created."""
        if event.product_id in self.products:
            raise Refused(DUPLICATE_ID, f"product {event.product_id} exists already")
        if event.parent_id == event.product_id:
            raise Refused(OWN_PARENT, f"product {event.product_id} would be its own parent")
        parent = None if event.parent_id is None else self.products.get(event.parent_id)
        if parent is not None and parent.is_child:
            reason = "product %d is a child of %d, so it can't be a parent"
            raise Refused(PARENT_IS_CHILD, reason % (parent.id, parent.tree.root))

    def wait(self, line: Line) -> None:
        """Keep the event until `awaited(event)` is created. Raises Refused where too many wait."""
        size = len(line.raw)
        if self.waiting_events >= WAITING_EVENTS or self.waiting_bytes + size > WAITING_BYTES:
            reason = "product {} does not exist, and {:,} events wait for others already"
            raise Refused(WAITING_FULL, reason.format(awaited(line.event), self.waiting_events))
        self.waiting_events += 1
        self.waiting_bytes += size
        self.waiting.setdefault(awaited(line.event), []).append(line)

    def no_longer_waiting(self, product_id: int) -> List[Line]:
        """The events that waited for this product, in the order of their arrival."""
        lines = self.waiting.pop(product_id, None)
        if lines is None:
            return []
        self.waiting_events -= len(lines)
        self.waiting_bytes -= sum(len(line.raw) for line in lines)
        return lines

    def never_created(self) -> List[Line]:
        """The events that still wait, by line; none waits afterwards."""
        lines = [line for lines in self.waiting.values() for line in lines]
        self.waiting.clear()
        self.waiting_events = self.waiting_bytes = 0
        return sorted(lines, key=lambda line: line.number)


def awaited(event: Event) -> int:
    """The id of the product without which the event can't be decided."""
    if event.kind == CREATED and event.parent_id is not None:
        return event.parent_id
    return event.product_id

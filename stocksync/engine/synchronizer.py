"""Events in, commands out, in one process: lines → events → who they are about → rules of stock.

Used by command_line.py and by jobs of the web application (stocksync/jobs/work.py). Needs memory
for the products and for the events that wait, not for the file.
"""

from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Union

from . import events, state, trees
from .counts import Counts
from .events import CREATED, ENDED, UPDATED, Event, Known, NotAnEvent, Skipped
from .lines import Lines
from .refusals import NEVER_CREATED, Refused
from .registry import Line, Registry, awaited
from .rejects import reject
from .summary import stock_summary
from .tracing import APPLIED, REFUSED, STALE, Decision, Trace
from .trees import Clock, Product, Tree

CLOCKS = ("tree", "global")
COMMANDS_AT_ONCE = 10000  # that are in memory; an event has one for each product of its tree
REJECTS_AT_ONCE = 1024 * 1024  # characters

Write = Callable[[bytes], Any]


class Synchronizer:
    """Feed it the bytes of a file, take what it says, finish it.

    `clock` says what makes an event stale: a newer one in its tree, or a newer one of any
    ("global"). With `trace` the Decision of each event is kept until it is taken. With `write`
    the output goes there as it comes, whole lines at a time, instead of being kept; with `refuse`
    the rejects.
    """

    def __init__(
        self,
        clock: str = "tree",
        trace: bool = False,
        write: Optional[Write] = None,
        refuse: Optional[Write] = None,
        rules: Any = trees,
    ) -> None:
        """`rules` has the functions of trees.py; parallel.py gives some that are done elsewhere."""
        if clock not in CLOCKS:
            raise ValueError("clock must be one of {}".format(", ".join(CLOCKS)))
        self.clock = clock
        self.position = 0  # bytes fed
        self.counts = Counts()
        self.registry = Registry()
        self.lines = Lines()
        self.one_clock = Clock() if clock == "global" else None
        self._rules = rules
        self._commands: List[str] = []
        self._output: List[bytes] = []
        self._write: Write = write or self._output.append
        self._rejects: List[str] = []
        self._rejects_kept: List[bytes] = []
        self._rejects_characters = 0
        self._refused: Write = refuse or self._rejects_kept.append
        self.trace = Trace(self._commands) if trace else None

    def __enter__(self) -> "Synchronizer":
        return self

    def __exit__(self, *_: Any) -> None:
        """Nothing is open; ParallelSynchronizer has processes."""

    # In

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the file, cut anywhere."""
        self.position += len(data)
        self.judge(self.lines.feed(data))
        self._collect()
        self.hand_on_rejects()

    def finish(self) -> None:
        """There is no more: the last line needs no end, and who was never created is told."""
        self.judge(self.lines.finish())
        self.give_up_waiting()
        self._collect()

    def give_up_waiting(self) -> None:
        """Nothing more is created: reject the events that wait for it."""
        for line in self.registry.never_created():
            why = Refused(NEVER_CREATED, f"product {awaited(line.event)} was never created")
            self.counts.never_created += 1
            event, number, raw = line
            self._reject(event, number, raw, number, NEVER_CREATED, why)
        self.hand_on_rejects()

    # Out

    def take_output(self) -> bytes:
        """Without `write`: the commands since the last time, as lines."""
        output = b"".join(self._output)
        self._output.clear()
        return output

    def take_rejects(self) -> bytes:
        """Without `refuse`: the lines of the rejects file since the last time."""
        lines = b"".join(self._rejects_kept)
        self._rejects_kept.clear()
        return lines

    def take_decisions(self) -> List[Decision]:
        """With `trace`: what became of the events since the last time, in order of decision."""
        if self.trace is None:
            return []
        decisions, self.trace.decisions = self.trace.decisions, []
        return decisions

    def products(self) -> Iterable[Product]:
        """All products in order of creation."""
        return self.registry.products.values()

    def trees(self) -> Iterator[Tree]:
        """All trees in order of creation."""
        return (product.tree for product in self.products() if not product.is_child)

    def summary(self) -> Iterator[bytes]:
        """The StockSummary line in pieces."""
        return stock_summary((product.id, product.stock) for product in self.products())

    # To go on elsewhere

    def state(self) -> Dict[str, Any]:
        """What it takes to go on from here, as JSON can hold it. First take what it says."""
        return state.of(self)

    @classmethod
    def from_state(
        cls,
        kept: Dict[str, Any],
        trace: bool = False,
        write: Optional[Write] = None,
        refuse: Optional[Write] = None,
    ) -> "Synchronizer":
        """One that goes on where `state()` was asked."""
        return state.restore(cls(kept["clock"], trace, write, refuse), kept)

    # One event after the other

    def judge(self, lines: List[bytes], read: Callable[[bytes], Event] = events.read) -> None:
        """Decide the events of whole lines, without their ends, or let them wait."""
        counts = self.counts
        judge = self._judge
        number = counts.lines
        for raw in lines:
            number += 1
            try:
                event = read(raw)
            except Skipped as skipped:
                if skipped.kind == "blank":
                    counts.blank += 1
                else:
                    counts.comments += 1
            except NotAnEvent as refused:
                self._refuse(refused.known, number, raw, number, refused)
            else:
                judge(event, number, raw, number)
        counts.lines = number

    def _judge(self, event: Event, number: int, raw: bytes, at_line: int) -> None:
        """Decide the event of line `number` now, at the position of `at_line`, or let it wait."""
        kind, product_id, timestamp, stock, _ = event
        counts = self.counts
        try:
            product = self.registry.products.get(product_id)
            if kind == CREATED:
                product = self._create(event)
            if product is None:
                self.registry.wait(Line(event, number, raw))
                return
            if kind == UPDATED:
                applied = self._rules.update(product, stock, timestamp, self._commands)
            else:
                applied = True
                if kind == ENDED:
                    self._rules.end(product, timestamp, self._commands)
        except Refused as refused:
            self._refuse(event, number, raw, at_line, refused)
            return
        if applied:
            counts.applied += 1
        else:
            counts.stale += 1
        if self.trace is not None:
            verdict, reason = (APPLIED, "") if applied else (STALE, _why_stale(event, product))
            self.trace.decided(number, at_line, event, product.tree.root, verdict, "", reason)
        if len(self._commands) > COMMANDS_AT_ONCE:
            self._collect()
        if kind == CREATED:
            for line in self.registry.no_longer_waiting(product_id):
                counts.waited += 1
                self._judge(line.event, line.number, line.raw, at_line)

    def _create(self, event: Event) -> Optional[Product]:
        """The new product; None where its parent does not exist yet. Raises Refused."""
        registry, clock = self.registry, self.one_clock
        registry.check_creation(event)
        product_id, stock, timestamp = event.product_id, event.stock, event.timestamp
        if event.parent_id is None:
            product: Product = self._rules.new_tree(product_id, stock, timestamp, clock or Clock())
            self.counts.trees += 1
        else:
            parent = registry.products.get(event.parent_id)
            if parent is None:
                return None
            product = self._rules.join(parent.tree, product_id, stock, timestamp, self._commands)
        registry.products[product_id] = product
        self.counts.products += 1
        return product

    def _refuse(
        self, about: Union[Event, Known], number: int, raw: bytes, at_line: int, why: Refused
    ) -> None:
        refusals = self.counts.refused
        refusals[why.code] = refusals.get(why.code, 0) + 1
        self._reject(about, number, raw, at_line, REFUSED, why)

    def _reject(
        self,
        about: Union[Event, Known],
        number: int,
        raw: bytes,
        at_line: int,
        verdict: str,
        why: Refused,
    ) -> None:
        line = reject(number, why.code, why.reason, raw)
        self._rejects.append(line)
        self._rejects_characters += len(line)
        if self._rejects_characters > REJECTS_AT_ONCE:
            self.hand_on_rejects()
        if self.trace is not None:
            products = self.registry.products
            product = None if about.product_id is None else products.get(about.product_id)
            root_id = None if product is None else product.tree.root
            self.trace.decided(number, at_line, about, root_id, verdict, why.code, why.reason, raw)

    def hand_on_rejects(self) -> None:
        """Give the rejects to whom they go."""
        if self._rejects:
            self._refused("".join(self._rejects).encode())
            self._rejects.clear()
            self._rejects_characters = 0

    def _collect(self) -> None:
        """Count the commands, make bytes of them and hand them on."""
        self.counts.waiting = self.registry.waiting_events
        if not self._commands:
            return
        output = "".join(self._commands)
        updates = output.count("UpdateProduct")
        self.counts.update_product += updates
        self.counts.end_product += len(self._commands) - updates
        self._commands.clear()
        self._write(output.encode())
        if self.trace is not None:
            self.trace.commands_taken()


def _why_stale(event: Event, product: Product) -> str:
    return f"timestamp {event.timestamp} is not newer than {product.tree.clock.time}"

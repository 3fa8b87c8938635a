"""A slow, obvious oracle of the engine: lists that are scanned, and nothing kept that can be
worked out again. The tests compare `run()` with stocksync.engine; it shares no code with it.
"""

import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.stocksync.engine.oracle_lines import Event, Refused, fill, lines_of, pairs_of, read

MOST_WAITING = 100_000
MOST_WAITING_BYTES = 64 * 1024 * 1024


@dataclass
class Product:
    id: int
    stock: int
    created_at: int
    active: bool = True


@dataclass
class Tree:
    products: list[Product]  # the parent first
    stocks: list[tuple[int, int]]  # timestamp and stock of each stock event that counted
    ends: list[int] = field(default_factory=list)  # timestamps of the parent's ProductEnded

    @property
    def root(self) -> int:
        return self.products[0].id

    @property
    def clock(self) -> int:
        return max(timestamp for timestamp, _ in self.stocks)

    @property
    def level(self) -> int:
        """The stock of the newest stock event that counted."""
        return max(self.stocks)[1]


class Decision(NamedTuple):
    line: int
    at_line: int
    event: Event
    root_id: Any
    verdict: str
    code: str
    commands: int
    output_offset: int


@dataclass
class Outcome:
    output: list[dict]
    rejects: list[dict]  # line, code, raw
    counts: dict
    decisions: list[Decision]
    trees: list[Tree]


def run(data: bytes, clock: str = "tree") -> Outcome:
    """What the engine must make of the file `data`."""
    oracle = _Oracle(clock)
    for number, line in enumerate(lines_of(data), 1):
        oracle.take(number, line)
    oracle.give_up_waiting()
    return oracle.outcome()


class _Oracle:
    def __init__(self, clock: str) -> None:
        self.clock = clock
        self.trees: list[Tree] = []
        self.created: list[Product] = []
        self.waiting: list[tuple[int, Event]] = []  # the id it waits for, and the event
        self.output: list[dict] = []
        self.rejects: list[dict] = []
        self.decisions: list[Decision] = []
        self.lines = self.blank = self.comments = self.waited = 0

    # Lines

    def take(self, number: int, line: bytes) -> None:
        self.lines += 1
        event = read(number, line)
        if event == "blank":
            self.blank += 1
        elif event == "comment":
            self.comments += 1
        else:
            try:
                fill(event, pairs_of(line))
            except Refused as refusal:
                tree = self.tree_of(event.id)
                root = tree.root if tree is not None else None
                self.decided(event, number, root, "refused", str(refusal))
            else:
                self.judge(event, number)
        self.check()

    def judge(self, event: Event, at_line: int) -> None:
        """Let it wait or decide it, as if it arrived at line `at_line`."""
        tree = self.tree_of(event.id)
        before = len(self.output)
        try:
            if event.kind == "ProductCreated":
                awaited = self.parent_awaited(event)
            else:
                awaited = event.id if tree is None else None
            if awaited is not None:
                self.wait(awaited, event)
                return
            if event.kind == "ProductCreated":
                self.create(event)
                verdict = "applied"
            elif event.kind == "ProductUpdated":
                verdict = "applied" if self.update(event, tree) else "stale"
            else:
                self.end(event, tree)
                verdict = "applied"
        except Refused as refusal:
            root = tree.root if tree is not None else None
            self.decided(event, at_line, root, "refused", str(refusal))
            return
        root = self.tree_of(event.id).root
        self.decided(event, at_line, root, verdict, "", before)
        if event.kind == "ProductCreated":
            self.replay(event.id, at_line)

    def parent_awaited(self, event: Event) -> int | None:
        """The parent that a creation must wait for; Refused where it can never be right."""
        if self.tree_of(event.id) is not None:
            raise Refused("duplicate_id")
        if event.parent_id is None:
            return None
        if event.parent_id == event.id:
            raise Refused("own_parent")
        parents = self.tree_of(event.parent_id)
        if parents is None:
            return event.parent_id
        if parents.root != event.parent_id:
            raise Refused("parent_is_child")
        return None

    def wait(self, awaited: int, event: Event) -> None:
        held = sum(waiting.size for _, waiting in self.waiting)
        if len(self.waiting) >= MOST_WAITING or held + event.size > MOST_WAITING_BYTES:
            raise Refused("waiting_full")
        self.waiting.append((awaited, event))

    def replay(self, product_id: int, at_line: int) -> None:
        due = [pair for pair in self.waiting if pair[0] == product_id]
        self.waiting = [pair for pair in self.waiting if pair[0] != product_id]
        for _, event in due:
            self.waited += 1
            self.judge(event, at_line)

    def give_up_waiting(self) -> None:
        for _, event in sorted(self.waiting, key=lambda pair: pair[1].line):
            tree = self.tree_of(event.id)
            root = tree.root if tree is not None else None
            self.decided(event, event.line, root, "never_created", "never_created")
        self.waiting = []

    # Trees

    def tree_of(self, product_id: int) -> Tree | None:
        for tree in self.trees:
            if any(product.id == product_id for product in tree.products):
                return tree
        return None

    def newer(self, event: Event, tree: Tree) -> bool:
        if self.clock == "global":
            return event.timestamp > max(each.clock for each in self.trees)
        return event.timestamp > tree.clock

    def create(self, event: Event) -> None:
        product = Product(event.id, event.stock, event.timestamp)
        self.created.append(product)
        if event.parent_id is None:
            self.trees.append(Tree([product], [(event.timestamp, event.stock)]))
            return
        tree = self.tree_of(event.parent_id)
        newer = self.newer(event, tree)
        tree.products.append(product)
        ended_now = False
        if newer:
            tree.stocks.append((event.timestamp, event.stock))
            self.spread(tree, product)
        elif tree.level > 0:
            self.give(product, tree.level)
        else:
            self.command_end(product)
            ended_now = True
        if any(end > event.timestamp for end in tree.ends) and not ended_now:
            self.command_end(product)

    def update(self, event: Event, tree: Tree) -> bool:
        """Whether it was newer than what the tree knows."""
        if not self.newer(event, tree):
            return False
        source = next(product for product in tree.products if product.id == event.id)
        source.stock = event.stock
        tree.stocks.append((event.timestamp, event.stock))
        self.spread(tree, source)
        return True

    def end(self, event: Event, tree: Tree) -> None:
        root, *children = tree.products
        if event.id != root.id:
            next(child for child in children if child.id == event.id).active = False
            return
        root.active = False
        tree.ends.append(event.timestamp)
        for child in children:
            if child.created_at < event.timestamp:
                self.command_end(child)

    def spread(self, tree: Tree, source: Product) -> None:
        """Tell the others of the tree the stock that it has from `source` now."""
        for product in tree.products:
            if product is source:
                continue
            if tree.level > 0:
                self.give(product, tree.level)
            else:
                self.command_end(product)

    def give(self, product: Product, stock: int) -> None:
        if product.stock != stock:
            product.stock = stock
            self.output.append({"type": "UpdateProduct", "id": product.id, "stock": stock})

    def command_end(self, product: Product) -> None:
        product.active = False
        self.output.append({"type": "EndProduct", "id": product.id})

    def check(self) -> None:
        """The invariant: while a tree's stock is above 0, each of its products has it."""
        for tree in self.trees:
            if tree.level > 0:
                assert {product.stock for product in tree.products} == {tree.level}

    # What comes of it

    def decided(
        self, event: Event, at_line: int, root: Any, verdict: str, code: str, before: int = -1
    ) -> None:
        first = before if before >= 0 else len(self.output)
        offset = len(written(self.output[:first]))
        commands = len(self.output) - first
        self.decisions.append(
            Decision(event.line, at_line, event, root, verdict, code, commands, offset)
        )
        if code:
            self.rejects.append({"line": event.line, "code": code, "raw": event.raw})

    def outcome(self) -> Outcome:
        stocks = {str(product.id): product.stock for product in self.created}
        verdicts = [decision.verdict for decision in self.decisions]
        refused = [each.code for each in self.decisions if each.verdict == "refused"]
        commands = [command["type"] for command in self.output]
        counts = {
            "lines": self.lines,
            "blank": self.blank,
            "comments": self.comments,
            "events": self.lines - self.blank - self.comments,
            "applied": verdicts.count("applied"),
            "stale": verdicts.count("stale"),
            "refused": {code: refused.count(code) for code in refused},
            "never_created": verdicts.count("never_created"),
            "waited": self.waited,
            "commands": {kind: commands.count(kind) for kind in ("UpdateProduct", "EndProduct")},
            "products": len(self.created),
            "trees": len(self.trees),
        }
        output = [*self.output, {"type": "StockSummary", "stocks": stocks}]
        return Outcome(output, self.rejects, counts, self.decisions, self.trees)


def written(records: list[dict]) -> bytes:
    """The records as the engine writes them, one a line."""
    return b"".join(json.dumps(record).encode("ascii") + b"\n" for record in records)

"""Events, commands and states in words, for the pages. Pure but for the rows that it is given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from stocksync.engine import events
from stocksync.models import Clock, SyncDecision, SyncProduct, SyncTree, Verdict

if TYPE_CHECKING:
    from .commands import Command

CLOCKS = {Clock.TREE: "each tree has its own clock", Clock.GLOBAL: "one clock for all trees"}
SHORT_CLOCKS = {Clock.TREE: "clock per tree", Clock.GLOBAL: "one clock for all"}
VERDICTS = {
    Verdict.APPLIED: ("took effect", ""),
    Verdict.STALE: ("stale", "warn"),
    Verdict.REFUSED: ("refused", "bad"),
    Verdict.NEVER_CREATED: ("never created", "warn"),
}
KINDS = {events.CREATED: "creation", events.UPDATED: "update", events.ENDED: "end"}
# Why a line is refused, by the engine's code, in the order in which it looks.
REASONS = {
    "too_long": "line too long",
    "not_utf8": "not UTF-8",
    "malformed": "not one whole event",
    "duplicate_key": "a key twice",
    "missing_field": "something missing",
    "wrong_type": "wrong kind of value",
    "unknown_type": "unknown type",
    "negative": "number below 0",
    "too_large": "number too large",
    "duplicate_id": "id in use",
    "own_parent": "its own parent",
    "parent_is_child": "parent is a child",
    "waiting_full": "too many waiting",
}


@dataclass(frozen=True)
class State:
    """A state in words with its tag's CSS class; `more` goes beside the tag."""

    text: str
    kind: str = ""
    more: str = ""


class Refusal(Protocol):
    """A refused line: a SyncDecision, or a Reject of rejects.py."""

    code: str
    reason: str
    raw: str


def reason(code: str) -> str:
    """Why lines with this code are refused, in a few words."""
    return REASONS.get(code, code.replace("_", " "))


def of_event(decision: SyncDecision) -> str:
    """What an event said, as far as it could be read: "product 3: stock 19". Empty: nothing."""
    product = "" if decision.product_id is None else f"product {decision.product_id}"
    match decision.kind:
        case events.CREATED if product:
            stock = "" if decision.stock is None else f", stock {decision.stock:,}"
            below = "" if decision.parent_id is None else f" below product {decision.parent_id}"
            return f"{product} created{below}{stock}"
        case events.UPDATED if product and decision.stock is not None:
            return f"{product}: stock {decision.stock:,}"
        case events.ENDED if product:
            return f"{product} ended"
    if decision.kind:
        return f"{KINDS.get(decision.kind, decision.kind)} of {product or 'a product'}"
    return f"event of unknown type about {product}" if product else ""


def why(decision: SyncDecision, clock: str) -> str:
    """Why an event did not take effect. For a stale one also which clock it was behind."""
    if decision.verdict != Verdict.STALE:
        return why_refused(decision)
    whose = "this tree" if clock == Clock.TREE else "any tree"
    return f"{decision.reason}, the last stock of {whose}"


def why_refused(line: Refusal) -> str:
    """The engine's reason; where a line is no event at all, also what is usually wrong with it."""
    if line.code != "malformed":
        return line.reason
    text = line.raw.strip()
    if not text.startswith("{"):
        return f"an event begins with {{ ({line.reason})"
    if "}" not in text:
        return f"cut off: an event must be on one line ({line.reason})"
    return line.reason


def of_command(command: Mapping[str, Any]) -> str:
    """What a line of the output asks for: "product 2 gets stock 9", "product 1 is ended"."""
    product = f"product {command['id']}"
    if command["type"] == "EndProduct":
        return f"{product} is ended"
    return f"{product} gets stock {command['stock']:,}"


def because(
    event: SyncDecision,
    commands: Sequence["Command"],
    parent_end: SyncDecision | None,
    clock: str,
) -> str:
    """By which rule an event that took effect has its commands, or has none.

    `commands` are its first ones, the very first at least. `parent_end` is the newest end of its
    parent that was decided before it. Empty where that says nothing new, or is not certain.
    """
    child = event.product_id != event.root_id
    if event.kind == events.ENDED:
        if child:
            return "" if event.commands else "the end of a child concerns no other product"
        which = "were created before it, by their timestamps"
        return f"its children that {which}" if event.commands else f"no children {which}"
    if event.kind == events.CREATED:
        return _because_created(event, commands, parent_end, clock) if child else "a new tree"
    if not event.commands:
        return "in step already" if event.stock else "the tree has no other product"
    return "the newest stock of its tree" if event.stock else "sold out: all others are ended"


def _because_created(
    event: SyncDecision,
    commands: Sequence["Command"],
    parent_end: SyncDecision | None,
    clock: str,
) -> str:
    if not event.commands:
        return "in step already"
    if not commands:
        return ""
    first = commands[0]
    ended = ""
    if parent_end is not None and parent_end.timestamp > event.timestamp:
        ended = f"created before its parent's end (line {parent_end.line:,}), by its timestamp"
    if first.product_id != event.product_id:  # only what is newer changes others
        others = "newer than its tree's stock" + ("" if event.stock else ": all others are ended")
        return f"{others}; {ended}" if ended else others
    if first.stock is None:
        return ended or "its tree was sold out"
    older = f"not newer than its tree's stock {first.stock:,}"
    if clock == Clock.GLOBAL:
        older = f"not newer than the last stock of any tree; its own has {first.stock:,}"
    return f"{older}; {ended}" if ended else older


def waited(decision: SyncDecision) -> str:
    """For which product an event waited, and until when; empty where it did not."""
    if decision.at_line == decision.line:
        return ""
    missing = decision.parent_id if decision.kind == events.CREATED else decision.product_id
    return f"waited for product {missing} until line {decision.at_line:,}"


def of_tree(tree: SyncTree, root_active: bool) -> State:
    """How a tree ended up: in step, sold out, parent ended, or some of it ended."""
    some = f"{tree.active:,} of {tree.products:,} active"
    if tree.stock == 0:
        return State("sold out", "warn", some)
    if tree.active == tree.products:
        return State("in step")
    if tree.active == 0:
        return State("all ended", "off")
    return State("parent ended" if not root_active else "some ended", "off", some)


def of_product(product: SyncProduct, tree: SyncTree | None) -> State:
    """Whether buyers could have it: active, ended, or sold out."""
    if not product.active:
        return State("ended", "off")
    if tree is not None and tree.stock == 0:
        return State("sold out", "warn")
    return State("active")

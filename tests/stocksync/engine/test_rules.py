"""What updates do: a table for every rule, with the commands written out by hand."""

from tests.stocksync.engine.rule_cases import (
    C1,
    C2,
    EMPTIED,
    EMPTY,
    TREE,
    Case,
    P,
    assert_holds,
    cases,
)
from tests.stocksync.engine.running import codes, created, ended, event, sync, updated

UPDATES = [
    Case(
        "when stock is updated in the parent, the children get it in order of creation",
        [*TREE, updated(P, 9, 4)],
        [("update", C1, 9), ("update", C2, 9)],
        {"1": 9, "2": 9, "3": 9},
    ),
    Case(
        "when stock is updated in a child, the parent gets it first, then its siblings",
        [*TREE, updated(C2, 9, 4)],
        [("update", P, 9), ("update", C1, 9)],
        {"1": 9, "2": 9, "3": 9},
    ),
    Case(
        "order is that of creation, not that of ids",
        [
            created(9, 1, 1),
            created(7, 1, 2, 9),
            created(8, 1, 3, 9),
            created(2, 1, 4, 9),
            updated(8, 5, 5),
        ],
        [("update", 9, 5), ("update", 7, 5), ("update", 2, 5)],
        {"9": 5, "7": 5, "8": 5, "2": 5},
    ),
    Case(
        "other trees are left alone",
        [*TREE, created(4, 10, 1), created(5, 10, 2, 4), updated(5, 3, 4)],
        [("update", 4, 3)],
        {"1": 10, "2": 10, "3": 10, "4": 3, "5": 3},
    ),
    Case(
        "a parent without children answers nothing",
        [created(P, 10, 1), updated(P, 9, 2), updated(P, 0, 3), ended(P, 4)],
        [],
        {"1": 0},
    ),
    Case(
        "an update that changes nothing answers nothing",
        [*TREE, updated(P, 10, 4)],
        [],
        {"1": 10, "2": 10, "3": 10},
    ),
    Case(
        "an echo of a command answers nothing",
        [*TREE, updated(P, 9, 4), updated(C1, 9, 5), updated(C2, 9, 6)],
        [("update", C1, 9), ("update", C2, 9)],
        {"1": 9, "2": 9, "3": 9},
    ),
    Case(
        "an update that changes nothing still moves the clock",
        [*TREE, updated(P, 10, 6), updated(C1, 4, 5)],
        [],
        {"1": 10, "2": 10, "3": 10},
    ),
    Case(
        "the largest numbers are numbers",
        [created(0, 0, 0), created(2**63 - 1, 2**63 - 1, 2**63 - 1, 0)],
        [("update", 0, 2**63 - 1)],
        {"0": 2**63 - 1, str(2**63 - 1): 2**63 - 1},
    ),
]

ZERO = [
    Case(
        "when stock goes to 0, all others are ended, not the product with 0, and keep their stock",
        [*TREE, updated(C1, 0, 4)],
        [("end", P), ("end", C2)],
        {"1": 10, "2": 0, "3": 10},
    ),
    Case(
        "when stock goes to 0 in the parent, all children are ended",
        [*TREE, updated(P, 0, 4)],
        [("end", C1), ("end", C2)],
        {"1": 0, "2": 10, "3": 10},
    ),
    Case(
        "stock 0 ends those too that were ended before",
        [*TREE, ended(P, 4), updated(C1, 0, 5)],
        [("end", C1), ("end", C2), ("end", P), ("end", C2)],
        {"1": 10, "2": 0, "3": 10},
    ),
    Case(
        "0 after 0 ends the others again",
        [*EMPTY, updated(C1, 0, 5)],
        [*EMPTIED, ("end", P), ("end", C2)],
        {"1": 10, "2": 0, "3": 10},
    ),
    Case(
        "0 in another product ends the one with 0 too",
        [*EMPTY, updated(P, 0, 5)],
        [*EMPTIED, ("end", C1), ("end", C2)],
        {"1": 0, "2": 0, "3": 10},
    ),
    Case(
        "stock after 0 goes to those whose stock differs, ended or not",
        [*EMPTY, updated(C2, 10, 5)],
        [*EMPTIED, ("update", C1, 10)],
        {"1": 10, "2": 10, "3": 10},
    ),
    Case(
        "a new stock after 0 goes to all others",
        [*EMPTY, updated(P, 7, 5)],
        [*EMPTIED, ("update", C1, 7), ("update", C2, 7)],
        {"1": 7, "2": 7, "3": 7},
    ),
    Case(
        "a tree created with 0 ends nobody",
        [created(P, 0, 1)],
        [],
        {"1": 0},
    ),
]

STALE = [
    Case(
        "an update older than the newest of its own product is stale",
        [*TREE, updated(P, 8, 6), updated(P, 9, 5)],
        [("update", C1, 8), ("update", C2, 8)],
        {"1": 8, "2": 8, "3": 8},
    ),
    Case(
        "an update older than the newest of another product of the tree is stale",
        [*TREE, updated(C1, 8, 6), updated(P, 9, 5)],
        [("update", P, 8), ("update", C2, 8)],
        {"1": 8, "2": 8, "3": 8},
    ),
    Case(
        "an update at the same timestamp is stale",
        [*TREE, updated(C1, 8, 6), updated(C2, 9, 6)],
        [("update", P, 8), ("update", C2, 8)],
        {"1": 8, "2": 8, "3": 8},
    ),
    Case(
        "an update older than the creation of a sibling is stale",
        [created(P, 10, 1), created(C1, 9, 5, P), updated(P, 3, 4)],
        [("update", P, 9)],
        {"1": 9, "2": 9},
    ),
    Case(
        "a stale update moves no clock",
        [*TREE, updated(P, 8, 10), updated(P, 9, 5), updated(P, 7, 11)],
        [("update", C1, 8), ("update", C2, 8), ("update", C1, 7), ("update", C2, 7)],
        {"1": 7, "2": 7, "3": 7},
    ),
    Case(
        "a stale 0 ends nobody",
        [*TREE, updated(P, 8, 6), updated(C1, 0, 5)],
        [("update", C1, 8), ("update", C2, 8)],
        {"1": 8, "2": 8, "3": 8},
    ),
    Case(
        "an older event of another tree is not stale",
        [
            created(P, 10, 100),
            created(C1, 10, 101, P),
            created(4, 5, 1),
            created(5, 5, 2, 4),
            updated(5, 6, 3),
        ],
        [("update", 4, 6)],
        {"1": 10, "2": 10, "4": 6, "5": 6},
    ),
    Case(
        "ProductEnded moves no clock",
        [*TREE, ended(C1, 100), updated(P, 9, 5)],
        [("update", C1, 9), ("update", C2, 9)],
        {"1": 9, "2": 9, "3": 9},
    ),
    Case(
        "a refused event moves no clock",
        [*TREE, created(C1, 5, 100, P), event("Updated", id=1, timestamp=100), updated(P, 9, 5)],
        [("update", C1, 9), ("update", C2, 9)],
        {"1": 9, "2": 9, "3": 9},
    ),
    Case(
        "a waiting event moves no clock",
        [*TREE, updated(77, 5, 100), updated(P, 9, 5)],
        [("update", C1, 9), ("update", C2, 9)],
        {"1": 9, "2": 9, "3": 9},
    ),
]

GLOBAL = [
    Case(
        "an update older than another tree's newest is stale",
        [created(1, 5, 100), created(2, 5, 10), created(3, 5, 11, 2), updated(2, 4, 20)],
        [],
        {"1": 5, "2": 5, "3": 5},
    ),
    Case(
        "an update newer than everything counts",
        [created(1, 5, 100), created(2, 5, 10), created(3, 5, 11, 2), updated(2, 4, 101)],
        [("update", 3, 4)],
        {"1": 5, "2": 4, "3": 4},
    ),
    Case(
        "a child older than another tree's newest takes its own tree's stock",
        [created(1, 5, 100), created(2, 5, 10), created(3, 6, 11, 2)],
        [("update", 3, 5)],
        {"1": 5, "2": 5, "3": 5},
    ),
    Case(
        "a parent created late has its stock and does not turn the clock back",
        [created(1, 5, 100), created(2, 5, 10), updated(1, 4, 50), updated(2, 3, 60)],
        [],
        {"1": 5, "2": 5},
    ),
    Case(
        "an old child moves no clock",
        [created(1, 5, 100), created(2, 5, 50, 1), updated(2, 4, 101)],
        [("update", 1, 4)],
        {"1": 4, "2": 4},
    ),
    Case(
        "ends are never stale",
        [created(1, 5, 1), created(2, 5, 2, 1), created(3, 5, 100), ended(1, 50)],
        [("end", 2)],
        {"1": 5, "2": 5, "3": 5},
    ),
]


@cases(UPDATES)
def test_stock_updates(case):
    assert_holds(case)


@cases(ZERO)
def test_stock_zero(case):
    assert_holds(case)


@cases(STALE)
def test_stale_updates(case):
    assert_holds(case)


@cases(GLOBAL)
def test_the_global_clock(case):
    assert_holds(case, "global")


def test_stale_is_counted_and_is_no_reject():
    result = sync(b"".join([*TREE, updated(P, 8, 6), updated(P, 9, 5), updated(P, 9, 6)]))
    assert result.rejects == []
    assert result.counts["stale"] == 2
    assert result.counts["applied"] == 4


def test_nothing_is_refused_in_the_tables():
    """But for the rule about refused events and that about waiting ones."""
    tables = [*UPDATES, *ZERO, *STALE, *GLOBAL]
    refused = {case.rule: codes(b"".join(case.given)) for case in tables}
    assert {rule: found for rule, found in refused.items() if found} == {
        "a refused event moves no clock": ["duplicate_id", "missing_field"],
        "a waiting event moves no clock": ["never_created"],
    }

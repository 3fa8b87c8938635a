"""What creations and ends do in a tree: a table for every rule, written out by hand."""

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
from tests.stocksync.engine.running import created, ended, sync, updated

CHILDREN = [
    Case(
        "a child created with the tree's stock changes nothing",
        [*TREE, created(4, 10, 5, P)],
        [],
        {"1": 10, "2": 10, "3": 10, "4": 10},
    ),
    Case(
        "a child created newer sets its stock for all others",
        [*TREE, created(4, 7, 5, P)],
        [("update", P, 7), ("update", C1, 7), ("update", C2, 7)],
        {"1": 7, "2": 7, "3": 7, "4": 7},
    ),
    Case(
        "a child created newer moves the clock",
        [*TREE, created(4, 10, 9, P), updated(P, 3, 8)],
        [],
        {"1": 10, "2": 10, "3": 10, "4": 10},
    ),
    Case(
        "a child created older takes the tree's stock",
        [*TREE, updated(P, 9, 9), created(4, 7, 5, P)],
        [("update", C1, 9), ("update", C2, 9), ("update", 4, 9)],
        {"1": 9, "2": 9, "3": 9, "4": 9},
    ),
    Case(
        "a child created older with the tree's stock gets nothing",
        [*TREE, updated(P, 9, 9), created(4, 9, 5, P)],
        [("update", C1, 9), ("update", C2, 9)],
        {"1": 9, "2": 9, "3": 9, "4": 9},
    ),
    Case(
        "a child created at the tree's very timestamp counts as older",
        [*TREE, created(4, 7, 3, P)],
        [("update", 4, 10)],
        {"1": 10, "2": 10, "3": 10, "4": 10},
    ),
    Case(
        "a child created older leaves the clock where it was",
        [created(P, 10, 6), created(C1, 10, 5, P), updated(C1, 9, 7)],
        [("update", P, 9)],
        {"1": 9, "2": 9},
    ),
    Case(
        "a child created older with 0 takes the tree's stock",
        [*TREE, updated(P, 9, 9), created(4, 0, 5, P)],
        [("update", C1, 9), ("update", C2, 9), ("update", 4, 9)],
        {"1": 9, "2": 9, "3": 9, "4": 9},
    ),
    Case(
        "a child created newer with 0 ends all others",
        [*TREE, created(4, 0, 5, P)],
        [("end", P), ("end", C1), ("end", C2)],
        {"1": 10, "2": 10, "3": 10, "4": 0},
    ),
    Case(
        "a child created newer than a tree at 0 sets its stock for all others",
        [*EMPTY, created(4, 6, 5, P)],
        [*EMPTIED, ("update", P, 6), ("update", C1, 6), ("update", C2, 6)],
        {"1": 6, "2": 6, "3": 6, "4": 6},
    ),
    Case(
        "a child created newer than a tree at 0 updates only those whose stock differs",
        [*EMPTY, created(4, 10, 5, P)],
        [*EMPTIED, ("update", C1, 10)],
        {"1": 10, "2": 10, "3": 10, "4": 10},
    ),
    Case(
        "a child created older than a tree at 0 is ended and keeps its stock",
        [*EMPTY, created(4, 6, 3, P)],
        [*EMPTIED, ("end", 4)],
        {"1": 10, "2": 0, "3": 10, "4": 6},
    ),
    Case(
        "a child created older with 0 in a tree at 0 is ended",
        [*EMPTY, created(4, 0, 3, P)],
        [*EMPTIED, ("end", 4)],
        {"1": 10, "2": 0, "3": 10, "4": 0},
    ),
]

ENDS = [
    Case(
        "when the parent is ended, all children are ended",
        [*TREE, ended(P, 4)],
        [("end", C1), ("end", C2)],
        {"1": 10, "2": 10, "3": 10},
    ),
    Case(
        "when a child is ended, nothing happens",
        [*TREE, ended(C1, 4)],
        [],
        {"1": 10, "2": 10, "3": 10},
    ),
    Case(
        "children ended before are ended again with their parent",
        [*TREE, ended(C1, 4), ended(P, 5), ended(P, 6)],
        [("end", C1), ("end", C2), ("end", C1), ("end", C2)],
        {"1": 10, "2": 10, "3": 10},
    ),
    Case(
        "ProductEnded counts however late it comes",
        [*TREE, updated(P, 9, 100), ended(P, 4)],
        [("update", C1, 9), ("update", C2, 9), ("end", C1), ("end", C2)],
        {"1": 9, "2": 9, "3": 9},
    ),
    Case(
        "the end of a parent leaves children alone that were created after it or with it",
        [*TREE, created(4, 10, 7, P), ended(P, 3)],
        [("end", C1)],
        {"1": 10, "2": 10, "3": 10, "4": 10},
    ),
    Case(
        "a child created before its parent's end but delivered after it is ended",
        [*TREE, ended(P, 8), created(4, 10, 7, P)],
        [("end", C1), ("end", C2), ("end", 4)],
        {"1": 10, "2": 10, "3": 10, "4": 10},
    ),
    Case(
        "a child created after or with its parent's end is not ended",
        [*TREE, ended(P, 8), created(4, 10, 8, P), created(5, 10, 9, P)],
        [("end", C1), ("end", C2)],
        {"1": 10, "2": 10, "3": 10, "4": 10, "5": 10},
    ),
    Case(
        "the latest of the parent's ends counts, in whichever order they come",
        [*TREE, ended(P, 8), ended(P, 2), created(4, 10, 7, P)],
        [("end", C1), ("end", C2), ("end", 4)],
        {"1": 10, "2": 10, "3": 10, "4": 10},
    ),
    Case(
        "a late child takes the stock first and is ended then",
        [*TREE, updated(P, 9, 9), ended(P, 8), created(4, 7, 7, P)],
        [
            ("update", C1, 9),
            ("update", C2, 9),
            ("end", C1),
            ("end", C2),
            ("update", 4, 9),
            ("end", 4),
        ],
        {"1": 9, "2": 9, "3": 9, "4": 9},
    ),
    Case(
        "a late child that is newer than the stock sets it first and is ended then",
        [*TREE, ended(P, 8), created(4, 7, 6, P)],
        [
            ("end", C1),
            ("end", C2),
            ("update", P, 7),
            ("update", C1, 7),
            ("update", C2, 7),
            ("end", 4),
        ],
        {"1": 7, "2": 7, "3": 7, "4": 7},
    ),
    Case(
        "a late child with 0 that is newer ends all others first and then itself",
        [*TREE, ended(P, 8), created(4, 0, 6, P)],
        [("end", C1), ("end", C2), ("end", P), ("end", C1), ("end", C2), ("end", 4)],
        {"1": 10, "2": 10, "3": 10, "4": 0},
    ),
    Case(
        "a late child of a tree at 0 is ended once",
        [*EMPTY, ended(P, 8), created(4, 6, 3, P)],
        [*EMPTIED, ("end", C1), ("end", C2), ("end", 4)],
        {"1": 10, "2": 0, "3": 10, "4": 6},
    ),
    Case(
        "a parent ended by command ends no later child",
        [*TREE, updated(C1, 0, 8), updated(C1, 10, 9), created(4, 10, 7, P)],
        [("end", P), ("end", C2)],
        {"1": 10, "2": 10, "3": 10, "4": 10},
    ),
    Case(
        "the end of a child does not count for children that come later",
        [*TREE, ended(C1, 8), created(4, 10, 7, P)],
        [],
        {"1": 10, "2": 10, "3": 10, "4": 10},
    ),
    Case(
        "ended products get updates like all others, and start them",
        [*TREE, ended(P, 4), updated(C1, 9, 5), updated(P, 8, 6)],
        [
            ("end", C1),
            ("end", C2),
            ("update", P, 9),
            ("update", C2, 9),
            ("update", C1, 8),
            ("update", C2, 8),
        ],
        {"1": 8, "2": 8, "3": 8},
    ),
]


@cases(CHILDREN)
def test_created_children(case):
    assert_holds(case)


@cases(ENDS)
def test_ended_products(case):
    assert_holds(case)


def test_nothing_makes_a_product_active_again():
    given = b"".join([*TREE, ended(C1, 4), updated(C2, 0, 5), updated(C2, 7, 6), ended(P, 1)])
    [(root, level, clock, products)] = sync(given).trees
    assert (root, level, clock) == (P, 7, 6)
    assert [(id, stock, active) for id, stock, _, active in products] == [
        (P, 7, False),
        (C1, 7, False),
        (C2, 7, True),
    ]


def test_the_specifications_example_scenario():
    given = b"".join([*TREE, updated(P, 9, 4), updated(C1, 0, 5), ended(C2, 6), ended(P, 7)])
    *commands, _ = sync(given).output
    assert [(command["type"], command["id"]) for command in commands] == [
        ("UpdateProduct", C1),
        ("UpdateProduct", C2),
        ("EndProduct", P),
        ("EndProduct", C2),
        ("EndProduct", C1),
        ("EndProduct", C2),
    ]

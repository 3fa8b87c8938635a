"""Who may be created, and what waits for whom: events before the products that they are about."""

import pytest

from stocksync.engine.synchronizer import Synchronizer
from tests.stocksync.engine.rule_cases import Case, assert_holds, cases
from tests.stocksync.engine.running import codes, created, ended, records, sync, updated

P, C, D = 1, 2, 3

CASES = [
    Case(
        "a child before its parent waits and joins where the parent is created",
        [created(C, 5, 1, P), created(D, 5, 2, P), created(P, 10, 3)],
        [("update", C, 10), ("update", D, 10)],
        {"1": 10, "2": 10, "3": 10},
    ),
    Case(
        "a child that waited and is newer sets the stock",
        [created(C, 5, 9, P), created(P, 10, 3)],
        [("update", P, 5)],
        {"1": 5, "2": 5},
    ),
    Case(
        "an update before its product waits and counts if it is newer than the creation",
        [updated(P, 7, 5), created(P, 10, 3), created(C, 7, 4, P)],
        [],
        {"1": 7, "2": 7},
    ),
    Case(
        "an update that waited is stale if it is older than the creation",
        [updated(P, 7, 2), created(P, 10, 3), created(C, 10, 4, P)],
        [],
        {"1": 10, "2": 10},
    ),
    Case(
        "an end that waited is judged at the creation",
        [created(P, 10, 1), ended(C, 3), created(C, 10, 2, P), ended(P, 4)],
        [("end", C)],
        {"1": 10, "2": 10},
    ),
    Case(
        "an end of the parent that waited comes before children that waited after it",
        [ended(P, 9), created(C, 10, 2, P), created(P, 10, 1)],
        [("end", C)],
        {"1": 10, "2": 10},
    ),
    Case(
        "an end of the parent that waited comes after children that waited before it",
        [created(C, 10, 2, P), ended(P, 9), created(P, 10, 1)],
        [("end", C)],
        {"1": 10, "2": 10},
    ),
    Case(
        "those that wait for the same product are replayed in order of arrival",
        [created(D, 4, 2, P), created(C, 4, 3, P), updated(P, 6, 5), created(P, 4, 1)],
        [("update", D, 6), ("update", C, 6)],
        {"1": 6, "3": 6, "2": 6},
    ),
    Case(
        "a creation that waited replays its own waiting events before the others",
        [updated(C, 8, 9), created(C, 5, 2, P), updated(P, 7, 8), created(P, 10, 1)],
        [("update", P, 5), ("update", P, 8)],  # the parent's 7 is older than the child's 8
        {"1": 8, "2": 8},
    ),
    Case(
        "what waits has no effect before its turn",
        [created(P, 10, 1), updated(C, 0, 9), updated(P, 8, 5), created(C, 8, 6, P)],
        [("end", P)],
        {"1": 8, "2": 0},
    ),
    Case(
        "replayed events come before the events that arrive after the creation",
        [updated(C, 6, 5), created(P, 10, 1), created(C, 10, 2, P), updated(P, 7, 6)],
        [("update", P, 6), ("update", C, 7)],
        {"1": 7, "2": 7},
    ),
    Case(
        "an id that waits as a child may be created as a parent meanwhile",
        [created(C, 5, 1, P), created(C, 6, 2), created(P, 7, 3)],
        [],
        {"2": 6, "1": 7},
    ),
    Case(
        "two that wait for each other are never created",
        [created(P, 5, 1, C), created(C, 5, 2, P)],
        [],
        {},
    ),
]


@cases(CASES)
def test_waiting(case):
    assert_holds(case)


IDENTITIES = {
    "a parent whose id exists": ([created(P, 1, 1), created(P, 1, 2)], ["duplicate_id"]),
    "a child whose id exists": (
        [created(P, 1, 1), created(C, 1, 2, P), created(C, 1, 3, P)],
        ["duplicate_id"],
    ),
    "its own parent": ([created(P, 1, 1, P)], ["own_parent"]),
    "its own parent, but the id exists": (
        [created(P, 1, 1), created(P, 1, 2, P)],
        ["duplicate_id"],
    ),
    "a child as parent": (
        [created(P, 1, 1), created(C, 1, 2, P), created(D, 1, 3, C)],
        ["parent_is_child"],
    ),
    "a child as parent, but the id exists": (
        [created(P, 1, 1), created(C, 1, 2, P), created(P, 1, 3, C)],
        ["duplicate_id"],
    ),
    "waiting as a child, its id taken meanwhile": (
        [created(C, 1, 2, P), created(C, 1, 3), created(P, 1, 1)],
        ["duplicate_id"],
    ),
    "waiting twice with the same id": (
        [created(C, 1, 2, P), created(C, 1, 3, P), created(P, 1, 1)],
        ["duplicate_id"],
    ),
    "waiting for a parent that becomes a child": (
        [created(D, 1, 3, C), created(P, 1, 1), created(C, 1, 2, P)],
        ["parent_is_child"],
    ),
    "waiting in a chain": (
        [created(D, 1, 3, C), created(C, 1, 2, P), created(P, 1, 1)],
        ["parent_is_child"],
    ),
    "an update of a product that is never created": ([updated(P, 1, 1)], ["never_created"]),
    "a creation that is refused creates nobody": (
        [created(P, 1, 1, P), updated(P, 1, 2), ended(P, 3)],
        ["own_parent", "never_created", "never_created"],
    ),
}


@pytest.mark.parametrize(("given", "expected"), IDENTITIES.values(), ids=IDENTITIES.keys())
def test_refused_identities(given, expected):
    assert codes(b"".join(given)) == expected


def test_never_created_are_told_last_and_by_line():
    given = updated(9, 1, 1) + updated(8, 1, 1) + updated(9, 1, 2) + b"nonsense\n"
    result = sync(given)
    found = [(reject["line"], reject["code"]) for reject in result.rejects]
    assert found == [
        (4, "malformed"),
        (1, "never_created"),
        (2, "never_created"),
        (3, "never_created"),
    ]
    assert result.rejects[2]["raw"].encode() + b"\n" == updated(8, 1, 1)
    assert (result.counts["never_created"], result.counts["waiting"]) == (3, 0)


def test_what_waited_is_counted_and_decided_at_the_line_of_the_creation():
    given = updated(C, 6, 5) + created(C, 9, 2, P) + b"// \n" + created(P, 9, 1)
    result = sync(given)
    assert (result.counts["waited"], result.counts["applied"]) == (2, 3)
    found = [(each.line, each.at_line, each.kind, each.commands) for each in result.decisions]
    assert found == [
        (4, 4, "ProductCreated", 0),
        (2, 4, "ProductCreated", 0),
        (1, 4, "ProductUpdated", 1),
    ]


def test_a_hundred_thousand_events_wait_and_no_more():
    line = updated(7, 1, 1)
    given = line * 100_002 + created(7, 1, 5) + updated(8, 1, 1)
    result = sync([line * 100_002, created(7, 1, 5) + updated(8, 1, 1)])
    found = [(reject["line"], reject["code"]) for reject in result.rejects]
    assert found == [
        (100_001, "waiting_full"),
        (100_002, "waiting_full"),
        (100_004, "never_created"),  # there was room again
    ]
    assert (result.counts["waited"], result.counts["stale"]) == (100_000, 100_000)
    assert result.counts["lines"] == given.count(b"\n")


def test_sixty_four_mebibytes_wait_and_no_more():
    line = updated(7, 1, 1).rstrip()
    long = line + b" " * (65_536 - len(line)) + b"\n"
    pieces = [long] * 1024 + [updated(7, 1, 2), created(7, 1, 1), updated(8, 1, 1)]
    result = sync(pieces)
    found = [(reject["line"], reject["code"]) for reject in result.rejects]
    assert found == [(1025, "waiting_full"), (1027, "never_created")]
    assert result.counts["waited"] == 1024


def test_waiting_events_are_told_while_they_wait():

    engine = Synchronizer()
    engine.feed(updated(7, 1, 1) + updated(7, 2, 2))
    assert engine.counts.as_dict()["waiting"] == 2
    assert records(engine.take_output()) == []

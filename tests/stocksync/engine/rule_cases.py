"""Tables of rules: a history, and the commands and stocks that must come of it, by hand."""

from typing import NamedTuple

import pytest

from tests.stocksync.engine.running import created, sync, updated


class Case(NamedTuple):
    rule: str
    given: list[bytes]
    commands: list[tuple]  # of the whole history; ("update", id, stock) or ("end", id)
    stocks: dict[str, int]  # in order of creation


# Given trees: a parent with two children, all at 10, its clock at 3; and the same at stock 0.
P, C1, C2 = 1, 2, 3
TREE = [created(P, 10, 1), created(C1, 10, 2, P), created(C2, 10, 3, P)]
EMPTY = [*TREE, updated(C1, 0, 4)]
EMPTIED = [("end", P), ("end", C2)]


def cases(table):
    return pytest.mark.parametrize("case", table, ids=[case.rule for case in table])


def assert_holds(case, clock="tree"):
    result = sync(b"".join(case.given), clock)
    *commands, summary = result.output
    expected = [
        {"type": "UpdateProduct", "id": command[1], "stock": command[2]}
        if command[0] == "update"
        else {"type": "EndProduct", "id": command[1]}
        for command in case.commands
    ]
    assert commands == expected
    assert summary == {"type": "StockSummary", "stocks": case.stocks}
    assert list(summary["stocks"]) == list(case.stocks)  # in order of creation

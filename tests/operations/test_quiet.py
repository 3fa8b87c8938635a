"""The rule of when a problem and its end are told, along time lines."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.operations.problem import Problem
from config.operations.quiet import begun, changes

START = datetime(2026, 3, 2, 10, tzinfo=UTC)
EVERY = 10
AFTER = timedelta(seconds=30)
LAG = "consumer:sales:lag"


@dataclass(frozen=True)
class Row:
    key: str
    severity: str
    first_seen_at: datetime
    raised_at: datetime | None = None
    missing_since: datetime | None = None


def problem(key: str, severity: str = "warning") -> Problem:
    return Problem(key, severity, f"{key} is wrong", "Look at it.")


def play(samples: list[list[Problem]], after: timedelta = AFTER) -> list[tuple[int, str, str]]:
    """What is told, (second, "raised" or "resolved", key), with a sample every 10 seconds."""
    rows: dict[str, Row] = {}
    told = []
    for number, found in enumerate(samples):
        second, at = number * EVERY, START + timedelta(seconds=number * EVERY)
        for one in begun(rows.values(), found):
            rows[one.key] = Row(one.key, one.severity, at)
        now = changes(rows.values(), found, at, after)
        told += [(second, "raised", row.key) for row in now.told]
        told += [(second, "resolved", row.key) for row in now.resolved]
        for row, one in now.seen:
            raised_at = at if row in now.told else row.raised_at
            worst = "critical" if "critical" in (row.severity, one.severity) else "warning"
            rows[row.key] = replace(row, raised_at=raised_at, severity=worst, missing_since=None)
        for row in now.missing:
            rows[row.key] = replace(row, missing_since=at)
        for row in (*now.resolved, *now.forgotten):
            del rows[row.key]
    return told


def line(picture: str, key: str = LAG, **others: str) -> list[list[Problem]]:
    """Samples from a picture: `w` warning, `C` critical, `.` nothing."""
    pictures = {key: picture} | others
    severities = {"w": "warning", "C": "critical"}
    return [
        [problem(key, severities[row[at]]) for key, row in pictures.items() if row[at] != "."]
        for at in range(len(picture))
    ]


@pytest.mark.parametrize(
    ("picture", "says"),
    [
        # 0 10 20 30 … s
        ("wwwwwwww", [(30, "raised")]),
        ("www.....", []),
        ("w.......wwwwww", [(110, "raised")]),
        # it flickers: told once, and over only when all is quiet
        ("w.w.w.w.w.w.....", [(40, "raised"), (140, "resolved")]),
        ("wwww.w..w...w....w....", [(30, "raised"), (160, "resolved")]),
        ("wwww.......", [(30, "raised"), (70, "resolved")]),
        # a new one after the first was over
        ("wwww....wwwwwww", [(30, "raised"), (70, "resolved"), (110, "raised")]),
        # worse: told again, once
        ("wwwwwCwCwww", [(30, "raised"), (50, "raised")]),
        ("CCCCCwwwC", [(30, "raised")]),
    ],
)
def test_a_problem_is_told_once_it_stays_and_its_end_once_it_is_quiet(picture, says):
    assert play(line(picture)) == [(second, what, LAG) for second, what in says]


def test_a_disabled_endpoint_is_told_at_once_and_so_is_that_it_is_enabled():
    key = "endpoint:12:disabled"
    assert play(line("..CCC..", key)) == [(20, "raised", key), (50, "resolved", key)]


def test_without_patience_all_is_told_at_once():
    assert play(line(".w.w"), timedelta(0)) == [
        (10, "raised", LAG),
        (20, "resolved", LAG),
        (30, "raised", LAG),
    ]


@pytest.mark.parametrize("unsure", ["engine:kafka", "unknown"])
def test_what_could_not_be_looked_at_is_not_over(unsure):
    told = play(line("wwww............", LAG, **{unsure: "....wwwwwwww...."}))
    assert told == [
        (30, "raised", LAG),
        (70, "raised", unsure),
        (150, "resolved", LAG),
        (150, "resolved", unsure),
    ]


def test_a_disabled_endpoint_is_known_while_kafka_is_away_but_not_while_nothing_is():
    key = "endpoint:12:disabled"
    assert (20, "resolved", key) in play(line("CC......", key, **{"engine:kafka": "CCCCCCCC"}))
    assert (20, "resolved", key) not in play(line("CC......", key, unknown="CCCCCCCC"))


def test_of_two_with_one_key_the_worst_counts():
    both = [problem(LAG, "critical"), problem(LAG, "warning")]
    assert begun([], both) == both[:1]


@given(st.lists(st.booleans(), max_size=60))
def test_raised_and_resolved_alternate_and_no_end_is_told_too_soon(there):
    told = play([[problem(LAG)] if one else [] for one in there])
    assert [what for _, what, _ in told] == (["raised", "resolved"] * len(told))[: len(told)]
    for second, what, _ in told:
        at = second // EVERY
        assert there[at] is (what == "raised")
        if what == "resolved":
            assert not any(there[at - 3 : at + 1])

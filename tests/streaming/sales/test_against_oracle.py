"""Generated histories of one partition: the rolling sums are what the slow, obvious oracle says.

In pieces of any size, and with restarts from the checkpoint at any place.
"""

import math
import random

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from streaming.sales.limits import Limits
from streaming.sales.messages import Refusal
from streaming.sales.partition import Output, PartitionState
from tests.streaming.sales.against_oracle import EXAMPLES, LIMITS, SPEC, expected, taken
from tests.streaming.sales.histories import (
    GARBAGE,
    ODD_CODES,
    ODD_NUMBERS,
    STOCK_CODES,
    T0,
    histories,
    junk,
    long_history,
    message,
    wrapped,
)
from tests.streaming.sales.oracle import DeadLetter, Record


@EXAMPLES
@given(st.sampled_from(LIMITS), st.data())
def test_a_history_gives_what_the_oracle_says(
    limits_and_unit: tuple[Limits, float], data: st.DataObject
) -> None:
    limits, unit = limits_and_unit
    records = data.draw(histories(unit))
    outcome = expected(records, limits)
    assert taken(records, limits, [len(records)], [False]) == outcome
    for each in outcome:
        event(each.reason if isinstance(each, DeadLetter) else "output")


@EXAMPLES
@given(st.sampled_from(LIMITS), st.data())
def test_pieces_and_restarts_at_any_place_change_nothing(
    limits_and_unit: tuple[Limits, float], data: st.DataObject
) -> None:
    limits, unit = limits_and_unit
    records = data.draw(histories(unit))
    sizes = [*data.draw(st.lists(st.integers(1, 7), max_size=40)), len(records)]
    restarts = data.draw(st.lists(st.booleans(), min_size=len(sizes), max_size=len(sizes)))
    segment_records = data.draw(st.sampled_from([1, 2, 5, 1000]))
    found = taken(records, limits, sizes, restarts, segment_records)
    assert found == expected(records, limits)


@EXAMPLES
@given(junk())
@example(message("21491", "1e22", "0.1", "12"))
def test_any_message_is_refused_or_counts_as_the_oracle_says(value: bytes | None) -> None:
    records = [
        Record(3, -1, None, message(time="0")),
        Record(4, -1, None, value),
        Record(5, -1, None, message(time="1e-3")),
    ]
    assert taken(records, SPEC, [3], [False]) == expected(records, SPEC)


@pytest.mark.parametrize("limits", [limits for limits, _ in LIMITS])
def test_all_oddities_there_are(limits: Limits) -> None:
    values: list[bytes | None] = [
        *GARBAGE,
        *wrapped(message(time=repr(T0))),
        *(message(code, time=repr(T0)) for code in STOCK_CODES + ODD_CODES),
        *(message(quantity=number, time=repr(T0)) for number in ODD_NUMBERS),
        *(message(price=number, time=repr(T0)) for number in ODD_NUMBERS),
        *(message(quantity=a, price=b, time=repr(T0)) for a in ODD_NUMBERS for b in ODD_NUMBERS),
    ]
    records = [
        Record(offset, int(T0 * 1000) + offset, None, value) for offset, value in enumerate(values)
    ]
    assert taken(records, limits, [len(records)], [False]) == expected(records, limits)


@pytest.mark.parametrize("stamp", [-1, 0, 1, 10**15, 2**63 - 1])
@pytest.mark.parametrize("time", ODD_NUMBERS)
def test_odd_times(time: str, stamp: int) -> None:
    records = [
        Record(0, stamp, b"", message(time="0")),
        Record(1, stamp, b"", message(time=time)),
        Record(2, stamp, b"", message(time=time, quantity="-2")),
        Record(3, stamp, b"", message(time="0")),
    ]
    assert taken(records, SPEC, [1, 1, 1, 1], [True] * 4) == expected(records, SPEC)


def test_the_ends_of_the_window_and_of_lateness_are_those_of_double_arithmetic() -> None:
    """Neighbouring doubles about every limit, at times where 600 is no whole number of steps."""
    records = []
    for base in (T0, 0.1, 1e15 + 0.3, 4e18, -3.3, 1e22):
        newest = base + 1200.0
        for exact in (newest, newest - 600.0, newest - 600.0 - 600.0, base):
            for time in (
                math.nextafter(exact, -math.inf),
                exact,
                math.nextafter(exact, math.inf),
            ):
                records.append(message(time=repr(time), quantity=str(len(records) + 1)))
    for order in (records, records[::-1], sorted(records), records * 2):
        history = [Record(offset, -1, None, value) for offset, value in enumerate(order)]
        for limits, _ in LIMITS:
            found = taken(history, limits, [1] * 200, [True] * 200, segment_records=1)
            assert found == expected(history, limits)


@pytest.mark.parametrize(
    ("seed", "count", "codes", "seconds", "jump"),
    [
        (1, 6000, 5, 0.9, 0.0005),
        (2, 6000, 200, 0.1, 0.0),
        (3, 4000, 2, 5.0, 0.01),
        (4, 3000, 1, 0.5, 0.0),
        (5, 4000, 30, 300.0, 0.0),
    ],
)
def test_long_histories(seed: int, count: int, codes: int, seconds: float, jump: float) -> None:
    """Longer than the segments a replay begins from, with 20 restarts."""
    records = list(long_history(seed, count, codes, seconds, jump))
    outcome = expected(records, SPEC)
    rng = random.Random(seed)
    sizes = [rng.choice([1, 2, 50, 500, 2000]) for _ in range(count)]
    restarts = [rng.random() < 0.3 for _ in range(count)]
    assert taken(records, SPEC, sizes, restarts) == outcome
    assert taken(records, SPEC, sizes, restarts, segment_records=7) == outcome
    reasons = {each.reason for each in outcome if isinstance(each, DeadLetter)}
    assert {"late", "ahead", "not_json", "empty", "not_a_number"} <= reasons


def test_a_replay_begins_little_before_what_is_still_needed() -> None:
    records = list(long_history(7, 20_000, codes=50, seconds=0.5, jump=0.0, oddities=0.0))
    state = PartitionState(SPEC)
    state.take(records)
    needed = sum(
        record.timestamp / 1000 >= records[-1].timestamp / 1000 - 1200 for record in records
    )
    start = state.checkpoint().replay_from
    replayed = sum(record.offset >= start for record in records)
    assert needed <= replayed <= needed + 4000


def nested(state: PartitionState, records: list[Record], depth: int) -> list[Output | Refusal]:
    """What comes of it where the callers' stack is this deep."""
    return state.take(records)[0] if depth == 0 else nested(state, records, depth - 1)


@pytest.mark.parametrize("brackets", [10, 50, *range(90, 120, 5), *range(200, 1100, 50)])
def test_how_deep_the_callers_stack_is_decides_nothing(brackets: int) -> None:
    """A replay in another host must decide as the first one did."""
    value = message(time="1")[:-1] + b', "a": ' + b"[" * brackets + b"]" * brackets + b"}"
    records = [Record(0, -1, None, value)]
    found = [nested(PartitionState(SPEC), records, depth) for depth in (0, 50, 200, 400)]
    assert found.count(found[0]) == len(found)

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks.engine.breaker import HealthState, after, given_up, is_open

START = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
BREAK_AFTER = 5
PAUSES = [30, 60, 120, 240, 480, 900, 900, 900]


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def attempt(
    state: HealthState,
    succeeded: bool,
    started: float,
    ended: float,
    hold_seconds: float | None = None,
) -> HealthState:
    return after(
        state,
        succeeded=succeeded,
        started_at=at(started),
        at=at(ended),
        hold_seconds=hold_seconds,
        break_after=BREAK_AFTER,
        break_seconds=30.0,
    )


def failed(count: int) -> HealthState:
    """After `count` failures, one a second, the last at `count`."""
    state = HealthState()
    for second in range(1, count + 1):
        state = attempt(state, False, second - 1, second)
    return state


class TestFailures:
    def test_the_first(self):
        assert failed(1) == HealthState(None, at(1), 1, at(1), None)

    def test_the_circuit_stays_closed_below_the_limit(self):
        assert failed(4) == HealthState(None, at(4), 4, at(1), None)
        assert not is_open(failed(4), BREAK_AFTER)

    def test_it_opens_at_the_limit(self):
        assert failed(5) == HealthState(None, at(5), 5, at(1), held_until=at(35))
        assert is_open(failed(5), BREAK_AFTER)

    def test_each_pause_is_twice_the_one_before_up_to_15_minutes(self):
        state, pauses = failed(5), [30.0]
        for _ in PAUSES[1:]:
            began = state.held_until
            state = after(
                state,
                succeeded=False,
                started_at=began,
                at=began + timedelta(seconds=2),
                hold_seconds=None,
                break_after=BREAK_AFTER,
                break_seconds=30,
            )
            pauses.append((state.held_until - state.last_failure_at).total_seconds())
        assert pauses == PAUSES

    def test_thousands_of_them_are_no_trouble(self):
        state = HealthState(None, at(0), 100_000, at(0), at(10))
        assert attempt(state, False, 10, 11).held_until == at(911)

    def test_a_limit_of_one_opens_at_once(self):
        state = after(
            HealthState(),
            succeeded=False,
            started_at=at(0),
            at=at(1),
            hold_seconds=None,
            break_after=1,
            break_seconds=3_600,
        )
        assert state.held_until == at(901)


class TestWhatWasUnderWayWhenItOpened:
    def test_it_neither_counts_nor_makes_the_pause_longer(self):
        state = failed(5)
        for ended in (5.1, 12, 20):
            state = attempt(state, False, 3, ended)
        assert state == HealthState(None, at(20), 5, at(1), held_until=at(35))

    def test_nor_does_what_is_sent_by_hand_meanwhile(self):
        assert attempt(failed(5), False, 30, 40).held_until == at(35)

    def test_what_began_after_the_pause_does(self):
        state = attempt(failed(5), False, 35, 36)
        assert (state.failures_in_a_row, state.held_until) == (6, at(96))

    def test_what_it_asks_for_counts(self):
        state = attempt(failed(5), False, 3, 6, hold_seconds=100)
        assert (state.failures_in_a_row, state.held_until) == (5, at(106))


class TestSuccess:
    def test_it_closes_the_circuit(self):
        assert attempt(failed(7), True, 200, 201) == HealthState(at(201), at(7), 0, None, None)

    def test_by_hand_as_well(self):
        assert attempt(failed(5), True, 10, 11).held_until is None

    def test_the_first_of_all(self):
        assert attempt(HealthState(), True, 0, 1) == HealthState(last_success_at=at(1))

    def test_the_row_begins_anew(self):
        state = attempt(attempt(failed(4), True, 5, 6), False, 7, 8)
        assert state == HealthState(at(6), at(8), 1, at(8), None)

    def test_one_that_was_under_way_lifts_no_hold(self):
        """The endpoint said "not now" to one, and took another that it had already begun."""
        state = attempt(HealthState(), False, 1, 2, hold_seconds=60)
        state = attempt(state, True, 1, 3)
        assert state == HealthState(at(3), at(2), 0, None, held_until=at(62))

    def test_one_that_began_later_does(self):
        state = attempt(HealthState(), False, 1, 2, hold_seconds=60)
        assert attempt(state, True, 2, 3).held_until is None


class TestRetryAfter:
    def test_it_holds_from_the_first_failure(self):
        assert attempt(HealthState(), False, 0, 1, hold_seconds=90).held_until == at(91)

    @pytest.mark.parametrize(("asked", "until"), [(10, 35), (29.5, 35), (300, 305)])
    def test_the_longer_one_holds(self, asked, until):
        assert attempt(failed(4), False, 4, 5, hold_seconds=asked).held_until == at(until)

    def test_a_shorter_one_later_does_not_shorten(self):
        state = attempt(HealthState(), False, 0, 1, hold_seconds=300)
        assert attempt(state, False, 0, 2, hold_seconds=10).held_until == at(301)


def test_out_of_order_the_newest_instants_stay():
    state = attempt(attempt(HealthState(), False, 0, 9), False, 0, 5)
    assert state.last_failure_at == at(9)
    state = attempt(attempt(state, True, 10, 19), True, 10, 15)
    assert state.last_success_at == at(19)


class TestGivenUp:
    @pytest.mark.parametrize(
        ("hours", "over"), [(0, False), (119.9, False), (120, True), (500, True)]
    )
    def test_after_nothing_but_failures(self, hours, over):
        assert given_up(failed(1), at(1 + hours * 3_600), timedelta(hours=120)) is over

    @pytest.mark.parametrize("state", [HealthState(), attempt(failed(9), True, 10, 11)])
    def test_never_without_failures(self, state):
        assert not given_up(state, at(10**9), timedelta(hours=120))


@dataclass
class Attempt:
    succeeded: bool
    seconds: float
    hold_seconds: float | None
    ended: float = field(default=0.0)

    @property
    def started(self) -> float:
        return self.ended - self.seconds


@dataclass
class Log:
    """The slow and obvious way: everything is kept, and each question looks through it all."""

    row: list[Attempt] = field(default_factory=list)  # failures since the last success
    counted: list[Attempt] = field(default_factory=list)  # those that told something new
    failures: list[Attempt] = field(default_factory=list)  # all
    holds: list[float] = field(default_factory=list)  # ends of all holds that were not lifted

    def add(self, attempt: Attempt) -> None:
        if attempt.succeeded:
            self.row, self.counted = [], []
            if all(failure.ended <= attempt.started for failure in self.failures):
                self.holds = []
            return
        tells_nothing = len(self.counted) >= BREAK_AFTER and any(
            attempt.started < hold for hold in self.holds
        )
        self.failures.append(attempt)
        self.row.append(attempt)
        if attempt.hold_seconds is not None:
            self.holds.append(attempt.ended + attempt.hold_seconds)
        if not tells_nothing:
            self.counted.append(attempt)
            if len(self.counted) >= BREAK_AFTER:
                nth = min(len(self.counted) - BREAK_AFTER, len(PAUSES) - 1)
                self.holds.append(attempt.ended + PAUSES[nth])


ATTEMPTS = st.lists(
    st.tuples(
        st.integers(0, 400),  # seconds after the end of the one before
        st.builds(
            Attempt,
            st.sampled_from([False] * 9 + [True]),
            st.integers(0, 60),
            st.none() | st.integers(0, 600),
        ),
    ),
    max_size=60,
)


@given(ATTEMPTS)
def test_it_is_what_the_whole_log_says(attempts):
    state, log, now = HealthState(), Log(), 0.0
    for seconds, one in attempts:
        now += seconds
        one.ended = now
        held_before = state.held_until
        state = attempt(state, one.succeeded, one.started, one.ended, one.hold_seconds)
        log.add(one)
        assert state.failures_in_a_row == len(log.counted)
        assert state.failing_since == (at(log.row[0].ended) if log.row else None)
        assert state.held_until == (at(max(log.holds)) if log.holds else None)
        if not one.succeeded and held_before is not None:
            assert state.held_until >= held_before

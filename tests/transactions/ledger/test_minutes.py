"""transactions.ledger.engine.minutes: full minutes of a clock that is set forward and back."""

import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transactions.ledger.engine import minutes
from transactions.ledger.engine.minutes import next_minute, wait_until

NOON = 1_763_812_800  # 2025-11-22 12:00:00


class Clock:
    """Goes on by what is waited for, and by what `steps` says at each look."""

    def __init__(self, now: float, *steps: float) -> None:
        self.now, self.steps = now, list(steps)
        self.looks = 0

    def __call__(self) -> float:
        self.looks += 1
        if self.steps:
            self.now += self.steps.pop(0)
        return self.now


class Stop(threading.Event):
    """Waiting takes no time but on the clock."""

    def __init__(self, clock: Clock, at: float | None = None) -> None:
        super().__init__()
        self._clock, self._at = clock, at
        self.longest = 0.0

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.longest = max(self.longest, timeout)
        self._clock.now += timeout
        if self._at is not None and self._clock.now >= self._at:
            self.set()
        return self.is_set()


@pytest.mark.parametrize(
    ("now", "minute"),
    [
        (NOON, NOON + 60),
        (NOON - 0.001, NOON),
        (NOON + 0.001, NOON + 60),
        (NOON + 59.999999, NOON + 60),
        (NOON + 60, NOON + 120),
        (0, 60),
        (-1, 0),
    ],
)
def test_the_next_minute(now: float, minute: int) -> None:
    assert next_minute(now) == minute


@given(st.floats(0, 4e9))
def test_the_next_minute_is_the_first_after(now: float) -> None:
    minute = next_minute(now)
    assert minute % 60 == 0
    assert now < minute <= now + 60


def waited(clock: Clock, at: float = NOON, stop: Callable[[Clock], Stop] = Stop) -> bool:
    return wait_until(at, stop(clock), clock)


def test_it_waits_until_the_minute_and_no_longer() -> None:
    clock = Clock(NOON - 59)
    stop = Stop(clock)
    assert wait_until(NOON, stop, clock)
    assert clock.now == pytest.approx(NOON, abs=1e-6)
    assert clock.now >= NOON


@given(st.floats(0.001, 60))
def test_it_is_never_before_the_minute(left: float) -> None:
    clock = Clock(NOON - left)
    assert waited(clock)
    assert clock.now >= NOON


def test_a_minute_that_has_begun() -> None:
    clock = Clock(NOON + 0.5)
    assert waited(clock)
    assert clock.looks == 1


def test_a_clock_that_is_set_forward_is_noticed() -> None:
    """The caller sees how late it is."""
    clock = Clock(NOON - 50, 0, 0, 55)
    assert waited(clock)
    assert clock.looks == 3


def test_a_clock_that_is_set_back_a_little_is_waited_for() -> None:
    clock = Clock(NOON - 10, 0, 0, -30)
    assert waited(clock)
    assert clock.now == pytest.approx(NOON, abs=1e-6)


@pytest.mark.parametrize("back", [61, 90, 119, 121, 3600, 86_400])
def test_a_clock_that_is_set_back_beyond_another_minute_is_told(back: int) -> None:
    clock = Clock(NOON - 1, 0, -back)
    assert not waited(clock)
    assert clock.looks == 2


def test_it_ends_when_it_is_told_to() -> None:
    clock = Clock(NOON - 50)
    assert not wait_until(NOON, Stop(clock, NOON - 40), clock)
    assert clock.now < NOON - 30


def test_it_does_not_begin_when_it_is_told_to_end() -> None:
    clock = Clock(NOON - 50)
    stop = Stop(clock)
    stop.set()
    assert not wait_until(NOON, stop, clock)


def test_it_looks_often_enough_to_notice_a_set_clock() -> None:
    clock = Clock(NOON - 59)
    stop = Stop(clock)
    wait_until(NOON, stop, clock)
    assert stop.longest <= minutes.LOOK_SECONDS <= 0.5

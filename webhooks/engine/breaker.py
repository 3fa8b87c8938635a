"""An endpoint's circuit: after failures in a row it is left alone, for longer each time.

Pure. Used by recording.py, which keeps the state in the endpoint's Health row.

    failures   1   2   3   4   5 ── 30 s ── 6 ── 60 s ── 7 ── 120 s … 900 s ── n
                               ^ the circuit opens       ^ one attempt at a time until one succeeds
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

MAX_PAUSE_SECONDS = 900
MAX_DOUBLINGS = 32  # far above MAX_PAUSE_SECONDS; keeps the number small


@dataclass(frozen=True)
class HealthState:
    """How an endpoint's attempts went; instants are aware."""

    last_success_at: datetime | None = None
    last_failure_at: datetime | None = None
    failures_in_a_row: int = 0
    """Without those that were under way when the circuit opened."""
    failing_since: datetime | None = None
    """When the first of these failed."""
    held_until: datetime | None = None
    """Nothing is sent before, but by hand. May be past."""


def after(
    state: HealthState,
    *,
    succeeded: bool,
    started_at: datetime,
    at: datetime,
    hold_seconds: float | None,
    break_after: int,
    break_seconds: float,
) -> HealthState:
    """The state after an attempt that began at `started_at` and ended at `at`.

    `hold_seconds`: for which a failed one asked to be left alone. The circuit opens with the
    `break_after`-th failure in a row, for `break_seconds`; each failure after a pause doubles it.

    `started_at` tells news from echoes. Several attempts may be under way when the circuit
    opens, and somebody may send by hand while it is open: when these fail too, it tells nothing
    new, so neither count nor pause grow. And a success that was under way when another attempt
    failed ends the row, but does not lift the hold that the failure brought.
    """
    if succeeded:
        is_news = state.last_failure_at is None or started_at >= state.last_failure_at
        return HealthState(
            last_success_at=_later(state.last_success_at, at),
            last_failure_at=state.last_failure_at,
            held_until=None if is_news else state.held_until,
        )
    failed = replace(
        state,
        last_failure_at=_later(state.last_failure_at, at),
        failing_since=state.failing_since or at,
    )
    if hold_seconds is not None:
        asked_for = at + timedelta(seconds=hold_seconds)
        failed = replace(failed, held_until=_later(failed.held_until, asked_for))
    if is_open(state, break_after) and _began_in_pause(state, started_at):
        return failed
    failures = state.failures_in_a_row + 1
    failed = replace(failed, failures_in_a_row=failures)
    if failures < break_after:
        return failed
    pause = min(break_seconds * 2 ** min(failures - break_after, MAX_DOUBLINGS), MAX_PAUSE_SECONDS)
    return replace(failed, held_until=_later(failed.held_until, at + timedelta(seconds=pause)))


def is_open(state: HealthState, break_after: int) -> bool:
    """Whether the endpoint gets one attempt at a time, after its pause, until one succeeds."""
    return state.failures_in_a_row >= break_after


def given_up(state: HealthState, at: datetime, disable_after: timedelta) -> bool:
    """Whether nothing but failures has come for so long that the endpoint is to be disabled."""
    return state.failing_since is not None and at - state.failing_since >= disable_after


def _began_in_pause(state: HealthState, started_at: datetime) -> bool:
    return state.held_until is not None and started_at < state.held_until


def _later(one: datetime | None, other: datetime) -> datetime:
    return other if one is None else max(one, other)

"""What follows from an attempt for its delivery.

Pure. Used by recording.py; what follows for the endpoint is in breaker.py.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal

from . import schedule

if TYPE_CHECKING:  # it comes from the module that talks to the network
    from .sender import Answer


@dataclass(frozen=True)
class Verdict:
    state: Literal["succeeded", "failed", "retry"]
    delay_seconds: float | None = None
    """Until the next attempt; None unless the state is "retry"."""
    hold_seconds: float | None = None
    """For which the endpoint asked to be left alone (Retry-After)."""
    gone: bool = False
    """The endpoint wants no more events, ever (410)."""


def decide(
    answer: "Answer",
    tries: int,
    steps: Sequence[float],
    now: datetime,
    random: Callable[[], float],
) -> Verdict:
    """What `answer` (at `now`, aware) to the `tries`-th attempt, from 1, means.

    For `steps` and `random` see schedule.delay. A status decides, whatever came after it.
    Redirects are failures: they are never followed.
    """
    status = answer.status_code
    if status is not None and 200 <= status < 300:
        return Verdict("succeeded")
    if status == HTTPStatus.GONE:
        return Verdict("failed", gone=True)
    hold = schedule.retry_after(answer.headers.get("retry-after"), now)
    delay = schedule.delay(tries, steps, random)
    if delay is None:
        return Verdict("failed", hold_seconds=hold)
    return Verdict("retry", delay_seconds=max(delay, hold or 0.0), hold_seconds=hold)

"""Words for stock sync in templates."""

from collections.abc import Mapping
from typing import Any

from django import template

from stocksync.models import Clock, SyncDecision, SyncJob, SyncState
from stocksync.results import job_words, words

register = template.Library()

STATES = {
    SyncState.QUEUED: "off",
    SyncState.FAILED: "bad",
    SyncState.CANCELLED: "off",
}
register.filter("size", job_words.size)
register.filter("limit", job_words.limit)
register.filter("duration", job_words.duration)
register.filter("reason", words.reason)
register.filter("waited", words.waited)
register.filter("said", words.of_event)
register.filter("why", words.why)
register.filter("why_refused", words.why_refused)


@register.filter
def state_tag(job: SyncJob) -> str:
    """The CSS class of the state's tag."""
    return STATES.get(SyncState(job.state), "")


@register.filter
def percent(job: SyncJob) -> int | None:
    """How much of its file a running job has read."""
    if job.state != SyncState.RUNNING or not job.events.size_bytes:
        return None
    return min(100, 100 * job.read_bytes // job.events.size_bytes)


@register.filter
def took(job: SyncJob) -> str:
    """From the first step to the end: "14 s"; "–" while it runs."""
    if job.finished_at is None or job.started_at is None:
        return "–"
    return job_words.duration((job.finished_at - job.started_at).total_seconds())


@register.filter
def clock(value: str) -> str:
    """What makes an event stale, in words."""
    return words.CLOCKS[Clock(value)]


@register.filter
def short_clock(value: str) -> str:
    """The same in few words, for lists."""
    return words.SHORT_CLOCKS[Clock(value)]


@register.filter
def sum_of(counts: Mapping[str, Any], key: str) -> int:
    """The sum of a job's counts by name: all that was refused, all commands; 0 before the start."""
    return sum(counts.get(key, {}).values())


@register.filter
def verdict(decision: SyncDecision) -> words.State:
    """What became of an event, in words with its tag's CSS class."""
    text, kind = words.VERDICTS[decision.verdict]
    if decision.code and decision.code != decision.verdict:
        return words.State(text, kind, words.reason(decision.code))
    return words.State(text, kind)


@register.filter
def signed(number: int) -> str:
    """A difference: "+3", "−1,204", "=" for none."""
    if not number:
        return "="
    return f"+{number:,}" if number > 0 else f"−{-number:,}"

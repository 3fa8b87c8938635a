"""Refused lines from a job's rejects: of jobs that do not keep what became of each event."""

import json
from dataclasses import dataclass

from stocksync.jobs import files
from stocksync.models import SyncJob

from .file_lines import FileLines

ROWS = 50
REACH = 64 * 1024
# The raw text has at most 64 KiB, of which a byte may take six characters of JSON.
LONGEST_LINE = 512 * 1024


@dataclass(frozen=True)
class Reject:
    """A refused line. Named as the fields of SyncDecision are."""

    line: int
    code: str
    reason: str
    raw: str


@dataclass(frozen=True)
class Page:
    """Some rejects of a job, and the offsets at which its neighbours begin."""

    rows: list[Reject]
    before: int | None
    after: int | None


def page(job: SyncJob, at: int = 0, *, size: int = ROWS) -> Page:
    """The rejects from byte `at` on, or from the next line's begin. Raises files.FileGone."""
    lines = FileLines(job.rejects_id, files.size(job.rejects_id), REACH, LONGEST_LINE)
    start = lines.begin(at)
    if start is None:
        return Page([], None, None) if not at else page(job, size=size)
    shown = lines.following(start)[:size]
    last, text = shown[-1]
    end = last + len(text) + 1
    return Page(
        [Reject(**json.loads(line)) for _, line in shown],
        before=lines.back(start, size) if start else None,
        after=end if end < lines.size else None,
    )

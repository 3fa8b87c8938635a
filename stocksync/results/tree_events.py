"""What happened in one tree: its events in the order in which they took effect, and their commands.

The tree view's query.
"""

from dataclasses import dataclass, replace

from stocksync.engine.events import CREATED, ENDED
from stocksync.jobs import files
from stocksync.models import SyncDecision, SyncJob, Verdict

from . import commands, words
from .commands import Command
from .runs import Run, run

EVENTS = 50
MOST_ENDS = 1000  # of one parent that are looked at; there is one, as a rule


@dataclass(frozen=True)
class EventRow:
    """An event with what it caused, or why it was ignored."""

    decision: SyncDecision
    said: str  # in words
    commands: list[Command]  # the first few
    waited: str  # in words, "" where it did not wait
    because: str = ""  # the rule behind its commands in words, "" where it is not certain

    @property
    def more(self) -> int:
        """Commands beyond those shown."""
        return max(0, self.decision.commands - len(self.commands))

    @property
    def applied(self) -> bool:
        return self.decision.verdict == Verdict.APPLIED


def find(
    job: SyncJob,
    root_id: int,
    product_id: int | None = None,
    *,
    before: int | None = None,
    after: int | None = None,
    size: int = EVENTS,
) -> Run:
    """The events of a tree (or of one product in it) as EventRow; `before` and `after` are seqs."""
    rows = SyncDecision.objects.filter(job=job, root_id=root_id)
    if product_id is not None:
        rows = rows.filter(product_id=product_id)
    found = run(rows, "seq", before=before, after=after, size=size)
    shown = as_rows(job, found.rows)
    return Run(_with_reasons(job, root_id, shown), found.before, found.after)


def as_rows(job: SyncJob, decisions: list[SyncDecision]) -> list[EventRow]:
    """Decisions with their words and commands; without commands where the output is gone."""
    try:
        caused = commands.of_events(job, decisions)
    except files.FileGone:
        caused = {}
    return [
        EventRow(each, words.of_event(each), caused.get(each.seq, []), words.waited(each))
        for each in decisions
    ]


def _with_reasons(job: SyncJob, root_id: int, rows: list[EventRow]) -> list[EventRow]:
    """The rows with the rules behind their commands."""
    children = [
        row.decision for row in rows if row.decision.kind == CREATED and row.decision.commands
    ]
    ends: list[SyncDecision] = []
    if children:
        of_parent = SyncDecision.objects.filter(
            job=job,
            root_id=root_id,
            seq__lt=children[-1].seq,
            product_id=root_id,
            kind=ENDED,
            verdict=Verdict.APPLIED,
        )
        ends = list(of_parent.order_by("seq")[: MOST_ENDS + 1])
    found = []
    for row in rows:
        event = row.decision
        certain = row.applied and (len(ends) <= MOST_ENDS or event not in children)
        if certain:
            before = [end for end in ends if end.seq < event.seq]
            newest = max(before, key=lambda end: end.timestamp or 0, default=None)
            row = replace(row, because=words.because(event, row.commands, newest, job.clock))
        found.append(row)
    return found

"""A job's engine in memory, from one checkpoint on, as long as one worker has it.

What it writes in a step's transaction is what it has done in memory: of a step that is rolled
back the Run is thrown away, and another one begins at the checkpoint (see work.py).
"""

import time
from collections.abc import Iterator
from itertools import islice

from django.conf import settings

from stocksync.engine.synchronizer import Synchronizer
from stocksync.engine.tracing import Decision
from stocksync.models import SyncDecision, SyncJob

from . import checkpoint, files, progress, rows

# A step ends after this, whatever the events do: one may bring a command for each product of its
# tree. Between two pieces it is seen whether the step is over.
STEP_SECONDS = 2.0
END_STEP_SECONDS = 0.5  # so that a cancel is heard, which waits for a step to end
STEP_OUTPUT_BYTES = 8 * 1024**2
PIECE_BYTES = 1024
# After a piece that brought so much output the next is about one line, others are twice as long.
MUCH_BYTES = 64 * 1024
LINE_BYTES = 64
ROWS_AT_ONCE = 10_000
ANALYZE_ROWS = 10_000
BEGINS_AT_MOST = 20  # from one checkpoint: chance kills come in a row, but not so many


class OutputTooLarge(Exception):
    """The commands take more than STOCKSYNC_OUTPUT_MAX_BYTES; `str()` is for the user."""


class NeverGetsOn(Exception):
    """Many workers in a row were stopped before they came to a checkpoint."""


class Run:
    """The engine and where it stands. `begin` makes one, in the transaction of its first step."""

    def __init__(self, job: SyncJob) -> None:
        began = time.monotonic()
        kept = job.checkpoint
        trace = job.traced and settings.STOCKSYNC_TRACE_EVENTS > 0
        if job.checkpoint_state_id is None:
            self.sync = Synchronizer(job.clock, trace, self._say, self._refuse)
        else:
            checkpoint.allow_a_pause()
            state = checkpoint.load(job.checkpoint_state_id)
            self.sync = Synchronizer.from_state(state, trace, self._say, self._refuse)
        self.size = files.size(job.events_id)
        self.traced = trace
        self.decisions: int = kept.get("decisions", 0)
        self.finished: bool = kept.get("finished", False)
        self.output_bytes: int = kept.get("output_bytes", 0)
        # Of the commands alone, where the summary has begun.
        self.command_bytes: int = self.output_bytes
        self._said = bytearray()  # commands that are not stored yet
        self._refused = bytearray()  # rejects that are not
        self.rejects_bytes: int = kept.get("rejects_bytes", 0)
        # Rows are the same whoever writes them: those that are there stay.
        self.written = {name: kept.get(name, 0) for name in ("trees", "products")}
        self._piece_bytes = PIECE_BYTES
        self._ending = self._end(job.pk)
        self._job = job
        self._began = time.monotonic(), self.sync.position
        self.begin_seconds = self._began[0] - began

    def matches(self, job: SyncJob) -> bool:
        """Whether the row is where we left it."""
        return (
            job.read_bytes == self.sync.position
            and job.traced == self.traced
            and (not self.traced or job.decisions == self.decisions)
        )

    def step(self, job: SyncJob) -> bool:
        """Write the next piece of the job's result; False when it was the last.

        OutputTooLarge, files.FileGone: there is no going on.
        """
        self._job = job
        if self.sync.position < self.size:
            self._read()
            more = True
        else:
            deadline = time.monotonic() + END_STEP_SECONDS
            more = False
            for _ in self._ending:
                if time.monotonic() > deadline:
                    more = True
                    break
        self._note()
        return more

    def _read(self) -> None:
        """Feed the next STOCKSYNC_STEP_BYTES, or fewer where they bring much output."""
        start = self.sync.position
        data = files.read(
            self._job.events_id, start, min(self.size, start + settings.STOCKSYNC_STEP_BYTES)
        )
        deadline = time.monotonic() + STEP_SECONDS
        offset, begin = 0, self._all_output()
        while offset < len(data):
            before = self._all_output()
            self.sync.feed(data[offset : offset + self._piece_bytes])
            offset += self._piece_bytes
            now = self._all_output()
            longer = min(PIECE_BYTES, 2 * self._piece_bytes)
            self._piece_bytes = longer if now - before < MUCH_BYTES else LINE_BYTES
            if now - begin > STEP_OUTPUT_BYTES or time.monotonic() > deadline:
                break
        self._store()

    def _say(self, commands: bytes) -> None:
        """Take what the engine says: one event may bring more than there is memory for."""
        self._said += commands
        if len(self._said) >= files.BLOCK_BYTES:
            self._append_said()

    def _refuse(self, rejects: bytes) -> None:
        self._refused += rejects
        if len(self._refused) >= files.BLOCK_BYTES:
            self._append_refused()

    def _append_refused(self) -> None:
        refused = bytes(self._refused)
        self._refused.clear()
        files.append(self._job.rejects_id, refused)
        self.rejects_bytes += len(refused)

    def _append_said(self) -> None:
        said = bytes(self._said)
        self._said.clear()
        self._append_output(said)

    def _all_output(self) -> int:
        return self.output_bytes + len(self._said)

    def _store(self) -> None:
        """Keep what the engine has said since the last time."""
        self._append_said()
        self._append_refused()
        if self.traced:
            self._store_decisions(self.sync.take_decisions())

    def _append_output(self, output: bytes) -> None:
        files.append(self._job.output_id, output)
        self.output_bytes += len(output)
        if self.output_bytes > settings.STOCKSYNC_OUTPUT_MAX_BYTES:
            raise OutputTooLarge(
                f"The commands take more than {settings.STOCKSYNC_OUTPUT_MAX_BYTES:,} bytes, after"
                f" {self.sync.position:,} of {self.size:,} bytes of events. The command line has no"
                " such limit; here an administrator can raise it (STOCKSYNC_OUTPUT_MAX_BYTES)."
            )

    def _store_decisions(self, decisions: list[Decision]) -> None:
        """Those of a job with too many events are not kept; sweep.py deletes what was."""
        if self.decisions + len(decisions) > settings.STOCKSYNC_TRACE_EVENTS:
            self.sync.trace = None
            self.traced = False
            return
        rows.copy_decisions(self._job.pk, self.decisions, decisions)
        self.decisions += len(decisions)

    def _end(self, job_id: int) -> Iterator[None]:
        """What comes after the last event, in pieces."""
        if not self.finished:
            self.sync.finish()
            self._store()
            self.finished = True
            self.command_bytes = self.output_bytes
            yield
        trees = islice(self.sync.trees(), self.written["trees"], None)
        while some_trees := list(islice(trees, ROWS_AT_ONCE)):
            rows.copy_trees(job_id, self.written["trees"], some_trees)
            self.written["trees"] += len(some_trees)
            yield
        products = islice(self.sync.products(), self.written["products"], None)
        while some_products := list(islice(products, ROWS_AT_ONCE)):
            rows.copy_products(job_id, self.written["products"], some_products)
            self.written["products"] += len(some_products)
            yield
        buffer = bytearray()
        for piece in self.sync.summary():
            buffer += piece
            if len(buffer) >= files.BLOCK_BYTES:
                self._append_output(bytes(buffer))
                buffer.clear()
                yield
        self._append_output(bytes(buffer))
        if self.decisions + self.written["products"] > ANALYZE_ROWS:
            yield
            rows.analyze()

    def _note(self) -> None:
        """Write down in the job's row how far we are."""
        job = self._job
        job.read_bytes = self.sync.position
        job.counts = self.sync.counts.as_dict()
        job.traced = self.traced
        if self.traced:
            job.decisions = self.decisions
        job.checkpoint.update(self.written)
        began, began_at = self._began
        progress.note_pace(job, self.sync.position - began_at, time.monotonic() - began)
        job.save(update_fields=["read_bytes", "counts", "traced", "decisions", "checkpoint"])

    def save(self, job: SyncJob) -> None:
        """Write a checkpoint, from which another worker goes on."""
        kept = job.checkpoint
        if (kept.get("read_bytes"), kept.get("finished")) != (self.sync.position, self.finished):
            self._save_state(job)
        kept.update(begins=0, haste=max(0, kept["haste"] - 1))
        job.save(update_fields=["checkpoint", "checkpoint_state"])

    def _save_state(self, job: SyncJob) -> None:
        began = time.monotonic()
        if job.checkpoint_state_id is None:
            job.checkpoint_state = files.create("checkpoint")
        checkpoint.allow_a_pause()
        checkpoint.save(job.checkpoint_state_id, self.sync.state())
        job.checkpoint.update(
            read_bytes=self.sync.position,
            decisions=self.decisions,
            output_bytes=self.command_bytes if self.finished else self.output_bytes,
            rejects_bytes=self.rejects_bytes,
            finished=self.finished,
            seconds=round(time.monotonic() - began, 3),
        )


def begin(job: SyncJob) -> Run:
    """The job's Run from its checkpoint on; what was written after that is deleted.

    NeverGetsOn: nobody has come from there to another one. files.FileGone: the events are gone.
    """
    kept = job.checkpoint
    lost = kept.get("begins", 0)  # workers that have begun here and not come to a checkpoint
    if lost >= BEGINS_AT_MOST:
        raise NeverGetsOn(
            f"Began {lost} times at byte {kept.get('read_bytes', 0):,} in vain: the worker was"
            " stopped each time; is there enough memory?"
        )
    kept.update(begins=lost + 1, haste=kept.get("haste", 0) + (lost > 0))
    run = Run(job)
    files.truncate(job.output_id, run.output_bytes)
    files.truncate(job.rejects_id, run.rejects_bytes)
    if run.traced:
        SyncDecision.objects.filter(job_id=job.pk, seq__gt=run.decisions).delete()
    run._note()
    return run

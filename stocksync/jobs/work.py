"""The job as a sequence of short steps, each one transaction.

    queued → running → done

The engine is in memory for one `advance`, so the row says how far the results are, and the
checkpoint from where another worker goes on: it is written when an `advance` ends before the job,
which lasts so long that the checkpoint costs a tenth of it. A small job writes none. Where workers
are stopped before they come to one, each of the next has half as long.
"""

import logging
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from config.jobs import claims, runner
from stocksync.models import SyncJob, SyncState

from . import files, progress, wakeups
from .run import NeverGetsOn, OutputTooLarge, Run, begin

logger = logging.getLogger(__name__)

# Of one `advance`, however much its checkpoint costs: well below CELERY_TASK_TIME_LIMIT, since
# loading and saving come on top.
MOST_SECONDS = 60.0


def with_work() -> QuerySet[SyncJob]:
    """Jobs that a step could move on now, oldest first."""
    return SyncJob.objects.exclude(state__in=SyncJob.ENDED).order_by("pk")


class SyncWork(runner.Work[SyncJob]):
    """One `advance` of one job: its Run is kept from step to step."""

    model = SyncJob
    FATAL = (files.FileGone, OutputTooLarge, NeverGetsOn)

    def __init__(self) -> None:
        self._run: Run | None = None
        self._seconds = 0.0

    def advance_seconds(self) -> float:
        return self._seconds

    def step(self, job: SyncJob) -> bool:
        if job.state == SyncState.QUEUED:
            SyncJob.objects.filter(pk=job.pk).update(state=SyncState.RUNNING, started_at=Now())
        run = self._taken(job)
        if run is None:
            run = begin(job)
            self._seconds = _advance_seconds(run.begin_seconds, job.checkpoint)
            logger.info("%s: goes on at byte %s", job, run.sync.position)
        if not run.step(job):
            finish(job.pk, SyncState.DONE)
            return False
        self._keep(run)
        return True

    def _taken(self, job: SyncJob) -> Run | None:
        """The Run, if it stands where the row does. A step that is rolled back leaves none."""
        run, self._run = self._run, None
        return run if run is not None and run.matches(job) else None

    def _keep(self, run: Run) -> None:
        def keep() -> None:
            self._run = run

        transaction.on_commit(keep)

    def leave(self, claim: claims.Claim) -> None:
        runner.step(self, claim, self._save)

    def _save(self, job: SyncJob) -> bool:
        run = self._taken(job)
        if run is not None:
            run.save(job)
            logger.info("%s: checkpoint at byte %s", job, run.sync.position)
        return True

    def with_work(self) -> QuerySet[SyncJob]:
        return with_work()

    def finish(self, job_id: int, state: str, error: str = "") -> bool:
        return finish(job_id, SyncState(state), error)

    def cancel_note(self, job: SyncJob) -> str:
        return f"Cancelled after {job.read_bytes:,} of {job.events.size_bytes:,} bytes of events."

    def changed(self, job_id: int) -> None:
        progress.changed(job_id)

    def flush(self, job_id: int) -> None:
        progress.flush(job_id)


def _advance_seconds(begin_seconds: float, kept: dict[str, Any]) -> float:
    checkpoint_seconds = begin_seconds + kept.get("seconds", 0)
    seconds = max(settings.IMPORT_STEP_SECONDS, min(10 * checkpoint_seconds, MOST_SECONDS))
    return seconds / 2 ** kept["haste"]


def advance(job_id: int) -> bool:
    """Work on a job for some seconds; returns whether more can be done now."""
    return runner.advance(SyncWork(), job_id)


def finish(job_id: int, state: SyncState, error: str = "") -> bool:
    """End a job; False when it had ended already.

    One that is not done keeps its counts and rejects, nothing else. What nobody may read any
    more is deleted by sweep.py.
    """
    with transaction.atomic():
        if not claims.end(SyncJob, job_id, state, error):
            return False
        job = SyncJob.objects.get(pk=job_id)
        files.forget(job.checkpoint_state_id)
        if state != SyncState.DONE:
            files.forget(job.output_id)
            SyncJob.objects.filter(pk=job_id).update(traced=False)
        if state != SyncState.DONE or job.checkpoint_state_id or not job.traced:
            wakeups.purge()
        transaction.on_commit(lambda: progress.flush(job_id), robust=True)
    logger.info("%s: %s %s", job, state.value, error)
    return True

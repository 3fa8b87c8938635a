"""Begins, repeats and cancels jobs. Called by pages and API."""

import logging
from typing import Any

from django.db import transaction

from config.jobs import runner
from stocksync.models import Clock, StoredFile, SyncJob

from . import files, wakeups

logger = logging.getLogger(__name__)


class NotRepeatable(Exception):
    """The job can't be run again; `str()` says why."""


def begin(user: Any, stored_file: StoredFile, clock: str = Clock.TREE) -> SyncJob:
    """A job on the events of `stored_file`, which is whole. ValueError: there is no such clock."""
    return _begin(user, stored_file, Clock(clock), None)


def repeat(job: SyncJob, user: Any, clock: str) -> SyncJob:
    """A new job on the same events. NotRepeatable: they are gone, or the job has not ended."""
    if not job.ended:
        raise NotRepeatable("This job has not ended yet.")
    with transaction.atomic():
        # Locked: the purge asks under the same lock whether any job still needs them.
        events = StoredFile.objects.select_for_update().get(pk=job.events_id)
        if events.purged_at is not None:
            raise NotRepeatable("The events are not stored any more; please upload them again.")
        return _begin(user, events, Clock(clock), job)


def _begin(user: Any, events: StoredFile, clock: Clock, repeats: SyncJob | None) -> SyncJob:
    with transaction.atomic():
        job = SyncJob.objects.create(
            created_by=user,
            clock=clock,
            repeats=repeats,
            events=events,
            output=files.create("output"),
            rejects=files.create("rejects"),
        )
        wakeups.advance(job.pk)
    logger.info("%s: %s bytes, clock %s", job, events.size_bytes, clock.value)
    return job


def cancel(job_id: int) -> None:
    """Ask a job to stop. OperationalError: see runner.ask."""
    open_jobs = SyncJob.objects.filter(pk=job_id).exclude(state__in=SyncJob.ENDED)
    runner.ask(open_jobs, cancel_requested=True)
    wakeups.advance(job_id)

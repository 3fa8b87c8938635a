"""What time alone brings: forgotten jobs, files whose time is over, rows nobody may read."""

import logging
import time
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from config.jobs import frozen, runner
from config.purging import delete_bit_by_bit
from stocksync.models import (
    FileBlock,
    StoredFile,
    SyncDecision,
    SyncJob,
    SyncProduct,
    SyncState,
    SyncTree,
)

from . import files
from .work import SyncWork

logger = logging.getLogger(__name__)

PURGE_SECONDS = 60.0  # of one call: well below the tasks' time limit
TABLES = (SyncJob._meta.db_table, StoredFile._meta.db_table)


def forgotten_jobs() -> list[int]:
    """Ids of jobs that no live worker holds."""
    return runner.forgotten(SyncWork())


def end_frozen_holders() -> int:
    """Cut off who went silent while holding a job or a file; returns how many."""
    return frozen.end_holders(TABLES)


def purge(deadline: float | None = None) -> None:
    """Delete what nobody needs any more, until `deadline` (time.monotonic).

    May end before it is done; the next call goes on.
    """
    deadline = time.monotonic() + PURGE_SECONDS if deadline is None else deadline
    _let_go_of_old_jobs()
    _delete_lost_uploads()
    purged = FileBlock.objects.filter(file__purged_at__isnull=False)
    delete_bit_by_bit(
        purged, oldest_first="pk", rows_at_once=files.BLOCKS_AT_ONCE, deadline=deadline
    )
    _delete_decisions(deadline)
    _delete_results(deadline)


def _let_go_of_old_jobs() -> None:
    ended_before = timezone.now() - timedelta(days=settings.STOCKSYNC_KEEP_DAYS)
    old = SyncJob.objects.filter(
        state__in=SyncJob.ENDED, finished_at__lt=ended_before, purged_at=None
    )
    for job in old:
        with transaction.atomic():
            # Locked: a repeat of this job asks under the same lock whether they are there.
            StoredFile.objects.select_for_update().get(pk=job.events_id)
            SyncJob.objects.filter(pk=job.pk).update(purged_at=timezone.now(), traced=False)
            files.forget(job.output_id, job.rejects_id)
            if not SyncJob.objects.filter(events_id=job.events_id, purged_at=None).exists():
                files.forget(job.events_id)
        logger.info("%s: purged", job)


def _delete_lost_uploads() -> None:
    """Files that came and never became a job's: their request was killed with its process."""
    came_before = timezone.now() - timedelta(hours=settings.UPLOAD_KEEP_HOURS)
    lost = StoredFile.objects.filter(created_at__lt=came_before)
    for use in ("events", "output", "rejects", "checkpoint_state"):
        lost = lost.filter(~Exists(SyncJob.objects.filter(**{use: OuterRef("pk")})))
    for file_id in lost.values_list("pk", flat=True):
        files.remove(file_id)
        logger.info("file %s: of no job, deleted", file_id)


def _delete_decisions(deadline: float) -> None:
    """Those of jobs that do not keep them: too many, not done, or purged."""
    for job in SyncJob.objects.filter(traced=False, decisions__gt=0):
        decisions = SyncDecision.objects.filter(job_id=job.pk)
        delete_bit_by_bit(decisions, oldest_first="seq", deadline=deadline)
        if not decisions.exists():
            SyncJob.objects.filter(pk=job.pk, traced=False).update(decisions=0)


def _delete_results(deadline: float) -> None:
    """Trees and products of jobs that are not done, or purged. `checkpoint` says who has some."""
    gone = Q(purged_at__isnull=False) | Q(state__in=[SyncState.FAILED, SyncState.CANCELLED])
    for job in SyncJob.objects.filter(gone, checkpoint__trees__gt=0):
        trees = SyncTree.objects.filter(job_id=job.pk)
        products = SyncProduct.objects.filter(job_id=job.pk)
        delete_bit_by_bit(products, oldest_first="product_id", deadline=deadline)
        delete_bit_by_bit(trees, oldest_first="place", deadline=deadline)
        if not trees.exists() and not products.exists():
            SyncJob.objects.filter(pk=job.pk).update(checkpoint={})

"""The import as a sequence of short steps, each one transaction with its checkpoint.

    receiving → reading → [checking → ready →] queued → merging → done

`advance` is the only entry: the Celery task, the command line and the sweep call
it. It may be killed at any line and called again, by several at once.
"""

import logging
from collections.abc import Callable

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from config.jobs import claims, runner
from products.catalogue import search_rebuild
from products.models import Import, ImportState, Upload

from . import merge, progress, search_upkeep, staging, uploads, wakeups
from .blocks import BlocksGone
from .csv_rows import FileError

logger = logging.getLogger(__name__)


def with_work() -> QuerySet[Import]:
    """Imports that a step could move on now, oldest first."""
    unread = Q(
        state=ImportState.RECEIVING,
        upload__offset__gte=F("read_bytes") + settings.UPLOAD_BLOCK_BYTES,
    ) | Q(state=ImportState.RECEIVING, upload__completed_at__isnull=False)
    merging = Import.objects.filter(state=ImportState.MERGING)
    earlier = Import.objects.filter(state=ImportState.QUEUED, queued_at__lt=OuterRef("queued_at"))
    return (
        Import.objects.exclude(state__in=Import.ENDED)
        .filter(
            Q(cancel_requested=True)
            | unread
            | Q(state__in=[ImportState.READING, ImportState.CHECKING, ImportState.MERGING])
            | Q(state=ImportState.READY, approved=True)
            | (Q(state=ImportState.QUEUED) & ~Exists(merging) & ~Exists(earlier))
        )
        .order_by("pk")
    )


class ImportWork(runner.Work[Import]):
    """Imports as jobs."""

    model = Import
    FATAL = (FileError, BlocksGone)

    def step(self, job: Import) -> bool:
        return STEPS[ImportState(job.state)](job)

    def with_work(self) -> QuerySet[Import]:
        return with_work()

    def finish(self, job_id: int, state: str, error: str = "") -> bool:
        return finish(job_id, ImportState(state), error)

    def cancel_note(self, job: Import) -> str:
        if job.state == ImportState.MERGING and job.merged:
            return f"Cancelled after {job.merged:,} rows; they stay in the catalogue."
        return "Cancelled before anything changed."

    def changed(self, job_id: int) -> None:
        progress.changed(job_id)

    def flush(self, job_id: int) -> None:
        progress.flush(job_id)


WORK = ImportWork()


def advance(job_id: int) -> bool:
    """Work on an import for about IMPORT_STEP_SECONDS; returns whether more can be done now."""
    return runner.advance(WORK, job_id)


def _read(job: Import) -> bool:
    if _restage_lost(job):
        return True
    part = staging.next_part(job)
    if part is not None:
        staging.stage(job, part)
        logger.info("import %s: read part %s, %s rows", job.pk, part.number, part.rows)
        return True
    if job.upload.completed_at is None:
        return False
    if job.rejected:
        staging.analyze_rejects()
    now = timezone.now()
    if job.check_first:
        _move(job, ImportState.CHECKING, read_at=now)
    else:
        _move(job, ImportState.QUEUED, read_at=now, queued_at=now)
    return True


def _receive(job: Import) -> bool:
    if job.upload.completed_at is not None:
        _move(job, ImportState.READING, received_at=job.upload.completed_at)
        return True
    return _read(job)


def _check(job: Import) -> bool:
    if _restage_lost(job) or _find_losers(job):
        return True
    until = staging.batch_end(job.pk, job.check_line)
    if until is None:
        _move(job, ImportState.READY)
        uploads.keep_on(job.upload_id)
        return True
    counts = merge.compare_batch(job, until)
    Import.objects.filter(pk=job.pk).update(
        check_line=until,
        would_create=F("would_create") + counts.created,
        would_update=F("would_update") + counts.updated,
        would_keep=F("would_keep") + counts.unchanged,
    )
    return True


def _confirm(job: Import) -> bool:
    if job.approved:
        _move(job, ImportState.QUEUED, queued_at=timezone.now())
    return job.approved


def _start_merge(job: Import) -> bool:
    if not with_work().filter(pk=job.pk).exists():
        return False  # another import merges, or was queued before
    try:
        with transaction.atomic():
            _move(job, ImportState.MERGING, merge_started_at=timezone.now())
    except IntegrityError:  # another one was faster
        return False
    return True


def _merge(job: Import) -> bool:
    if _restage_lost(job) or _find_losers(job) or search_upkeep.prepare(job):
        return True
    until = staging.batch_end(job.pk, job.merge_line)
    if until is None:
        finish(job.pk, ImportState.DONE)
        return False
    counts = merge.merge_batch(job, until)
    Import.objects.filter(pk=job.pk).update(
        merge_line=until,
        created=F("created") + counts.created,
        updated=F("updated") + counts.updated,
        unchanged=F("unchanged") + counts.unchanged,
    )
    return True


STEPS: dict[ImportState, Callable[[Import], bool]] = {
    ImportState.RECEIVING: _receive,
    ImportState.READING: _read,
    ImportState.CHECKING: _check,
    ImportState.READY: _confirm,
    ImportState.QUEUED: _start_merge,
    ImportState.MERGING: _merge,
}


def _restage_lost(job: Import) -> bool:
    part = staging.lost_part(job)
    if part is None:
        return False
    logger.warning("import %s: part %s is read again after a database crash", job.pk, part.number)
    staging.stage(job, part)
    return True


def _find_losers(job: Import) -> bool:
    if staging.losers_found(job.pk):
        return False
    duplicates = staging.find_losers(job.pk)
    Import.objects.filter(pk=job.pk).update(duplicates=duplicates)
    return True


def _move(job: Import, state: ImportState, **values: object) -> None:
    Import.objects.filter(pk=job.pk).update(state=state, **values)
    logger.info("import %s: %s", job.pk, state.value)


def finish(job_id: int, state: ImportState, error: str = "") -> bool:
    """End an import, drop its staged rows, let the next queued one merge.

    A complete upload's bytes stay (until they expire) where they may serve another try:
    after a failure, a cancel, or lines that could not be decoded.
    """
    with transaction.atomic():
        if not claims.end(Import, job_id, state, error):
            return False
        staging.drop(job_id)
        job = Import.objects.get(pk=job_id)
        if not _may_serve_again(job):
            uploads.purge(job.upload_id)
        waiting = with_work().filter(state=ImportState.QUEUED).values_list("pk", flat=True)[:1]
        for next_id in waiting:
            wakeups.advance(next_id)
        if job.created or job.updated:
            wakeups.analyze_catalogue()
        search_rebuild.request()
        transaction.on_commit(lambda: progress.flush(job_id), robust=True)
    logger.info("import %s: %s %s", job_id, state.value, error)
    return True


def _may_serve_again(job: Import) -> bool:
    """Whether the bytes of an ended import's upload are of use to somebody."""
    upload = Upload.objects.select_for_update().get(pk=job.upload_id)
    if upload.imports.exclude(state__in=Import.ENDED).exists():
        return True
    if upload.completed_at is None:  # its sender is told with the next block
        return False
    return job.state != ImportState.DONE or job.undecodable > 0


def cancel(job_id: int) -> None:
    """Ask an import to stop; what was merged so far stays. OperationalError: see runner.ask."""
    runner.ask(
        Import.objects.filter(pk=job_id).exclude(state__in=Import.ENDED), cancel_requested=True
    )
    wakeups.advance(job_id)


def approve(job_id: int) -> bool:
    """Say yes to a checked import; False when it does not wait for one."""
    said = runner.ask(Import.objects.filter(pk=job_id, state=ImportState.READY), approved=True)
    wakeups.advance(job_id)
    return said


class NotRepeatable(Exception):
    """The import can't be run again; `str()` says why."""


def repeat(
    job: Import, user: object, *, encoding: str | None = None, check_first: bool | None = None
) -> Import:
    """A new import of the same upload, e.g. after a failure or in another encoding."""
    if not job.ended:
        raise NotRepeatable("This import has not ended yet.")
    with transaction.atomic():
        upload = Upload.objects.select_for_update().get(pk=job.upload_id)
        if upload.purged_at is not None or upload.completed_at is None:
            raise NotRepeatable("The file is not stored any more; please upload it again.")
        running = upload.imports.exclude(state__in=Import.ENDED).first()
        if running is not None:
            raise NotRepeatable(
                f"The file is being imported again already, by import {running.pk}."
            )
        uploads.keep_on(upload.pk)
        again = Import.objects.create(
            upload=upload,
            created_by=user,
            encoding=encoding or job.encoding,
            new_products_active=job.new_products_active,
            check_first=job.check_first if check_first is None else check_first,
            received_at=timezone.now(),
        )
        wakeups.advance(again.pk)
    return again

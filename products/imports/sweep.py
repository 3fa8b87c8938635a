"""What time alone brings: forgotten imports, abandoned uploads, old rejects."""

import logging
from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from config.jobs import runner
from products.models import Import, ImportReject, ImportState, Upload

from . import pipeline, uploads

logger = logging.getLogger(__name__)

SILENT_TIMES = 4  # of IMPORT_STALE_SECONDS: as long as nobody parses one part


def forgotten_imports() -> list[int]:
    """Ids of imports with work to do that no live worker holds."""
    return runner.forgotten(pipeline.WORK)


def end_frozen_holders() -> int:
    """Cut off workers and web processes that went silent inside a transaction; returns how many.

    Stopped, or lost with their machine, they keep the row of their import or upload locked.
    In the middle of a COPY neither idle_in_transaction_session_timeout nor statement_timeout
    ends them. A COPY may also wait for one who parses a nasty part: hence SILENT_TIMES.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a"
            " WHERE a.datname = current_database() AND a.usename = current_user"
            " AND a.state IN ('active', 'idle in transaction') AND a.wait_event_type = 'Client'"
            " AND a.state_change < clock_timestamp() - make_interval(secs => %s)"
            " AND EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.granted"
            "   AND l.relation IN ('products_import'::regclass, 'products_upload'::regclass)"
            "   AND l.mode = 'RowExclusiveLock')",
            [settings.IMPORT_STALE_SECONDS * SILENT_TIMES],
        )
        if cursor.rowcount:
            logger.warning("ended %s frozen inside a transaction", cursor.rowcount)
        return cursor.rowcount


def purge() -> None:
    """End what was abandoned and delete the bytes of uploads whose time is over."""
    now = timezone.now()
    expired = Upload.objects.filter(expires_at__lt=now, purged_at=None)
    for upload_id in expired.values_list("pk", flat=True):
        with transaction.atomic():
            # Asked again under the lock: its client may have come back at this moment.
            upload = expired.select_for_update().filter(pk=upload_id).first()
            if upload is None:
                continue
            for job in upload.imports.exclude(state__in=Import.ENDED):
                _abandon(job, upload)
            if not upload.imports.exclude(state__in=Import.ENDED).exists():
                uploads.purge(upload.pk)
                logger.info("upload %s: purged", upload.pk)
    ended_before = now - timedelta(days=settings.REJECT_KEEP_DAYS)
    ImportReject.objects.filter(job__finished_at__lt=ended_before).delete()


def _abandon(job: Import, upload: Upload) -> None:
    hours = f"{settings.UPLOAD_KEEP_HOURS:g} hours"
    if job.state == ImportState.RECEIVING and upload.completed_at is None:
        percent = 100 * upload.offset // max(1, upload.size_bytes)
        message = f"The upload stopped at {percent} % and was not resumed within {hours}."
        pipeline.finish(job.pk, ImportState.FAILED, message)
    elif job.state == ImportState.READY:
        message = f"Not confirmed within {hours}; nothing was changed."
        pipeline.finish(job.pk, ImportState.CANCELLED, message)

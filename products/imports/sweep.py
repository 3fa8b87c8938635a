"""What time alone brings: forgotten imports, abandoned uploads, old rejects."""

import logging
import math
import time
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from config.jobs import frozen, runner
from config.purging import delete_bit_by_bit
from products.models import Import, ImportReject, ImportState, Upload

from . import pipeline, uploads

logger = logging.getLogger(__name__)


def forgotten_imports() -> list[int]:
    """Ids of imports with work to do that no live worker holds."""
    return runner.forgotten(pipeline.WORK)


def end_frozen_holders() -> int:
    """Cut off who went silent while holding an import or an upload; returns how many."""
    return frozen.end_holders(("products_import", "products_upload"))


def purge_uploads(deadline: float = math.inf) -> int:
    """End what was abandoned, delete the bytes of uploads whose time is over; returns how many.

    None begins after `deadline` (time.monotonic).
    """
    purged = 0
    now = timezone.now()
    expired = Upload.objects.filter(expires_at__lt=now, purged_at=None)
    for upload_id in expired.order_by("expires_at").values_list("pk", flat=True):
        if time.monotonic() > deadline:
            break
        with transaction.atomic():
            # Asked again under the lock: its client may have come back at this moment.
            upload = expired.select_for_update().filter(pk=upload_id).first()
            if upload is None:
                continue
            # One that a worker moves on, or its user says yes to, at this moment is not abandoned.
            unheld = upload.imports.select_for_update(skip_locked=True)
            for job in unheld.exclude(state__in=Import.ENDED):
                _abandon(job, upload)
            if not upload.imports.exclude(state__in=Import.ENDED).exists():
                uploads.purge(upload.pk)
                purged += 1
                logger.info("upload %s: purged", upload.pk)
    return purged


def purge_rejects(deadline: float = math.inf) -> int:
    """Delete those of imports that ended more than REJECT_KEEP_DAYS ago; returns how many."""
    ended_before = timezone.now() - timedelta(days=settings.REJECT_KEEP_DAYS)
    old = ImportReject.objects.filter(job__finished_at__lt=ended_before)
    return delete_bit_by_bit(old, oldest_first="pk", deadline=deadline)


def _abandon(job: Import, upload: Upload) -> None:
    hours = f"{settings.UPLOAD_KEEP_HOURS:g} hours"
    if job.state == ImportState.RECEIVING and upload.completed_at is None:
        percent = 100 * upload.offset // max(1, upload.size_bytes)
        message = f"The upload stopped at {percent} % and was not resumed within {hours}."
        pipeline.finish(job.pk, ImportState.FAILED, message)
    elif job.state == ImportState.READY and not job.approved:
        message = f"Not confirmed within {hours}; nothing was changed."
        pipeline.finish(job.pk, ImportState.CANCELLED, message)

"""What operations shows of the catalogue: jobs under way, and lines that imports refused.

Called for each sample (config/operations/facts): few queries, each by an index.
"""

from datetime import timedelta
from typing import Any

from django.db import connection
from django.urls import reverse

from config.jobs.shown import shown
from products.imports import pipeline
from products.models import BulkChange, Import, ImportState

JOBS_MOST = 100  # of each kind
LOOKED_AT = 500  # imports, the newest
HOUR = timedelta(hours=1)

# An import's rejects have no time of their own. Those of the hour are of one that was made or ended
# in it.
REJECTED = """
SELECT coalesce(sum(rejected), 0)::bigint FROM (
    SELECT rejected, created_at, finished_at FROM products_import ORDER BY id DESC LIMIT %s
) newest
WHERE created_at > statement_timestamp() - %s OR finished_at > statement_timestamp() - %s
"""


def jobs() -> list[dict[str, Any]]:
    """Imports and bulk changes that have not ended, as `shown` has them.

    Those that a worker has something to do for come first, the oldest before the others: of these
    one can stand still.
    """
    return [*_imports(), *_bulk_changes()]


def rejects() -> dict[str, Any]:
    """How many lines the imports of the last hour refused."""
    with connection.cursor() as cursor:
        cursor.execute(REJECTED, [LOOKED_AT, HOUR, HOUR])
        (count,) = cursor.fetchone()
    return {
        "kind": "imports",
        "last_hour": count,
        "total": None,
        "url": reverse("products:imports"),
    }


def _imports() -> list[dict[str, Any]]:
    jobs = Import.objects.exclude(state__in=Import.ENDED).select_related("upload")
    moving = list(pipeline.with_work().order_by("pk").values_list("pk", flat=True)[:JOBS_MOST])
    found = [
        *jobs.filter(pk__in=moving).order_by("pk"),
        *jobs.exclude(pk__in=moving).order_by("-pk")[: JOBS_MOST - len(moving)],
    ]
    return [_import(each, each.pk in moving) for each in found]


def _import(job: Import, has_work: bool) -> dict[str, Any]:
    upload = job.upload
    done = {
        ImportState.RECEIVING: (upload.offset, upload.size_bytes),
        ImportState.READING: (job.read_bytes, upload.size_bytes),
        ImportState.CHECKING: (job.check_line, job.last_line),
        ImportState.MERGING: (job.merge_line, job.last_line),
    }
    return shown(
        job,
        "import",
        upload.file_name,
        reverse("products:import", args=[job.pk]),
        of=done.get(ImportState(job.state), (None, None)),
        steps=(job.read_bytes, job.check_line, job.merge_line, job.merged),
        has_work=has_work,
    )


def _bulk_changes() -> list[dict[str, Any]]:
    found = BulkChange.objects.exclude(state__in=BulkChange.ENDED).defer("ids").order_by("pk")
    return [
        shown(
            job,
            "bulk change",
            job.get_action_display(),
            reverse("products:bulk-change", args=[job.pk]),
            of=(job.matched, job.expected),
            steps=(job.position, job.matched),
        )
        for job in found[:JOBS_MOST]
    ]

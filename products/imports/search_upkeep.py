"""Whether a merge goes on with the search index or without it. Called by pipeline.py."""

from django.db import connection

from config.listing import total
from products.catalogue import search_rebuild
from products.models import Import, Product

from . import merge

SAMPLES = 5
SAMPLE_LINES = 400
DECIDED = -2  # marker beside those of the staged parts


def prepare(job: Import) -> bool:
    """Drop the index if that is worth it; decided once a merge. Whether this was the time."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO products_stagedpart VALUES (%s, %s) ON CONFLICT DO NOTHING",
            [job.pk, DECIDED],
        )
        if cursor.rowcount == 0:
            return False
    created, updated = _expected(job)
    search_rebuild.drop_before(created + updated, total(Product).rows + created)
    return True


def _expected(job: Import) -> tuple[float, float]:
    """How many products the merge will create and update, by a sample of its lines."""
    if job.check_first:
        return job.would_create, job.would_update
    created = updated = seen = 0
    for number in range(SAMPLES):
        begin = job.last_line * number // SAMPLES
        counts = merge.compare_lines(job, begin, begin + SAMPLE_LINES)
        created += counts.created
        updated += counts.updated
        seen += counts.created + counts.updated + counts.unchanged
    rows = job.rows - (job.duplicates or 0)
    share = rows / seen if seen else 0
    return created * share, updated * share

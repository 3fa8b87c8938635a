"""Whether a merge goes on with the search index or without it. Called by pipeline.py.

500,000 products (2 cores): kept, the index costs 38 s of a first import, 15 s where a third of the
rows changes, 2 s where 5 % do; built afterwards, about 12 s whatever changed. So it is dropped
where much of the catalogue will change, and searches find beginnings only until it is built again.
"""

from django.db import connection

from config.jobs.wakeups import wake
from config.listing import total
from products.catalogue import search_index
from products.models import Import, ImportState, Product

from . import merge

DROP_FROM_SHARE = 0.25  # of the catalogue as it will be
DROP_FROM_ROWS = 20_000  # fewer are merged in a second or two with the index
SAMPLES = 5
SAMPLE_LINES = 400
DECIDED = -2  # marker beside those of the staged parts


def prepare(job: Import) -> bool:
    """Drop the index if that is worth it; decided once a merge. Whether this was the time.

    Raises OperationalError (lock timeout) while a search uses the index: the step is repeated.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO products_stagedpart VALUES (%s, %s) ON CONFLICT DO NOTHING",
            [job.pk, DECIDED],
        )
        if cursor.rowcount == 0:
            return False
    created, updated = _expected(job)
    after = total(Product).rows + created
    if created + updated >= max(DROP_FROM_ROWS, DROP_FROM_SHARE * after):
        search_index.drop()
    return True


def rebuild() -> None:
    """Have a worker build the index where it is missing, once the current transaction commits."""
    wake("products.tasks.build_search_index")


def is_due() -> bool:
    """Whether the index is missing, and neither built nor left out by a merge right now."""
    if search_index.state() != "missing":
        return False
    return not Import.objects.filter(state=ImportState.MERGING).exists()


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

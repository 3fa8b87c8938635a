"""When to do without the search index, and when to build it again.

Called by imports and bulk changes.

500,000 products (2 cores): kept, the index costs 38 s of a first import, 15 s where a third of the
rows changes, 2 s where 5 % do; built afterwards, about 12 s whatever changed (its trigrams alone).
So it is dropped where much of the catalogue will change, and searches find beginnings only until
it is built again.
"""

from config.jobs.wakeups import wake
from products.models import BulkChange, BulkState, Import, ImportState

from . import search_index

DROP_FROM_SHARE = 0.25  # of the catalogue as it will be
DROP_FROM_ROWS = 20_000  # fewer are written in a few seconds with the index


def drop_before(changed: float, after: float) -> None:
    """Drop the index if about `changed` of then `after` products will be written.

    It stays while somebody reads products for long; then writing them takes longer.
    """
    if changed >= max(DROP_FROM_ROWS, DROP_FROM_SHARE * after):
        search_index.drop()


def request() -> None:
    """Have a worker build the index where it is missing, once the current transaction commits."""
    wake("products.tasks.build_search_index")


def is_due() -> bool:
    """Whether the index is missing, and neither built nor left out by somebody right now."""
    if search_index.state() != "missing":
        return False
    merges = Import.objects.filter(state=ImportState.MERGING)
    large = BulkChange.objects.filter(state=BulkState.RUNNING, expected__gte=DROP_FROM_ROWS)
    return not merges.exists() and not large.exists()

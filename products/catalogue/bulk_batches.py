"""One batch of a bulk change: the products, their history and their copies. Called by bulk.py.

Batches go up the ids. Each runs in its caller's transaction, which also keeps the new
position and counts, so that a kill at any point loses and doubles nothing.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import connection
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from products.models import BulkAction, BulkChange, ChangeAction, Deletion, DeletionKind, Product

from . import history, kept_tables, search
from .filters import Filter

WINDOW_IDS = 10_000  # read at once to find matching ones: some ten milliseconds

# The columns of a copy, named as in both tables.
COLUMNS = "sku, name, description, active, created_at, updated_at, last_import_id"

DELETE = f"""
WITH gone AS (DELETE FROM products_product WHERE id = ANY (%s) RETURNING *)
INSERT INTO products_deletedproduct (deletion_id, product_id, {COLUMNS})
SELECT %s, id, {COLUMNS} FROM gone
"""

# A product whose SKU is in use again is left out; its copy stays. In the order of the
# unique index, as the merge of imports: writers that go the same way don't deadlock.
RESTORE = """
WITH part AS MATERIALIZED (
    SELECT {key} AS id, {columns} FROM {source}
    WHERE {condition} AND {key} > %(position)s ORDER BY {key} LIMIT %(limit)s
),
added AS (
    INSERT INTO products_product (id, {columns})
    SELECT id, {columns} FROM part ORDER BY lower(sku)
    ON CONFLICT DO NOTHING RETURNING id
)
SELECT (SELECT max(id) FROM part), (SELECT count(*) FROM part), ARRAY(SELECT id FROM added)
"""
RESTORED = "DELETE FROM {source} WHERE {condition} AND {key} = ANY (%(restored)s)"


@dataclass(frozen=True)
class Batch:
    """What a batch did."""

    position: int  # the id up to which the change is done
    matched: int
    changed: int  # the others were so already, or could not be
    last: bool


def run(change: BulkChange, ids: Sequence[int] | None = None) -> Batch:
    """Do the next batch after `change.position`.

    `ids`, ascending, are the products that were found to match, where they are known.
    Raises OperationalError on a deadlock with others who write; the caller repeats it.
    """
    if change.action == BulkAction.RESTORE:
        return _restore(change)
    rows = search.matching(Filter(change.search, change.active))
    known = change.ids if ids is None else ids
    if known is not None:
        found, position = _chosen(rows, change, known)
    else:
        found, position = _window(rows, change)
    # Locked in the order of ids, and asked again under the lock: an edit may have changed them.
    locked = rows.filter(pk__in=found).order_by("pk").select_for_update().values_list("pk")
    if change.action == BulkAction.DELETE:
        changed = _delete(change, [pk for (pk,) in locked])
    else:
        active = change.action == BulkAction.ACTIVATE
        changed = _set_active(change, [pk for (pk,) in locked.exclude(active=active)], active)
    return Batch(position, len(found), changed, last=position >= change.last_id)


def _most(change: BulkChange) -> int:
    """Rows of a batch: a quarter for each worker that died over it, so that one gets through."""
    return max(1, settings.BULK_BATCH_ROWS >> 2 * change.in_vain)


def _chosen(
    rows: QuerySet[Product], change: BulkChange, ids: Sequence[int]
) -> tuple[list[int], int]:
    begin = bisect_right(ids, change.position)
    some = ids[begin : begin + _most(change)]
    found = list(rows.filter(pk__in=some).order_by("pk").values_list("pk", flat=True))
    at_end = begin + len(some) >= len(ids)
    return found, change.last_id if at_end else some[-1]


def _window(rows: QuerySet[Product], change: BulkChange) -> tuple[list[int], int]:
    # Ids that are gone, e.g. by a delete all, are skipped in one look.
    beyond = Product.objects.filter(pk__gt=change.position, pk__lte=change.last_id)
    first = beyond.order_by("pk").values_list("pk", flat=True).first()
    if first is None:
        return [], change.last_id
    end = min(first + WINDOW_IDS - 1, change.last_id)
    limit = _most(change)
    within = rows.filter(pk__gte=first, pk__lte=end).order_by("pk")
    found = list(within.values_list("pk", flat=True)[:limit])
    return found, found[-1] if len(found) == limit else end


def _set_active(change: BulkChange, ids: list[int], active: bool) -> int:
    Product.objects.filter(pk__in=ids).update(active=active, updated_at=Now())
    changes = {"active": [not active, active]}
    history.record_many(change, ids, ChangeAction.UPDATED, changes, bulk_id=change.pk)
    return len(ids)


def _delete(change: BulkChange, ids: list[int]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(DELETE, [ids, change.deletion_id])
    Deletion.objects.filter(pk=change.deletion_id).update(rows=F("rows") + len(ids))
    history.record_many(change, ids, ChangeAction.DELETED, bulk_id=change.pk)
    return len(ids)


def _restore(change: BulkChange) -> Batch:
    deletion = Deletion.objects.get(pk=change.deletion_id)
    if deletion.kind == DeletionKind.ALL:
        shared = kept_tables.shared_columns(deletion.kept_schema)
        names = {
            "source": f"{deletion.kept_schema}.{kept_tables.TABLE}",
            "columns": ", ".join(f'"{column}"' for column in shared if column != "id"),
            "key": "id",
            "condition": "true",
        }
    else:
        names = {
            "source": "products_deletedproduct",
            "columns": COLUMNS,
            "key": "product_id",
            "condition": "deletion_id = %(deletion)s",
        }
    values = {
        "position": change.position,
        "limit": _most(change),
        "deletion": deletion.pk,
    }
    with connection.cursor() as cursor:
        # By the index of ids: a copy that nobody has analyzed yet is read whole for each batch.
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        cursor.execute(RESTORE.format(**names), values)
        position, matched, restored = cursor.fetchone()
        cursor.execute(RESTORED.format(**names), values | {"restored": restored})
    Deletion.objects.filter(pk=deletion.pk).update(restored=F("restored") + len(restored))
    history.record_many(change, restored, ChangeAction.RESTORED, bulk_id=change.pk)
    at_end = position is None or position >= change.last_id
    return Batch(change.last_id if at_end else position, matched, len(restored), last=at_end)

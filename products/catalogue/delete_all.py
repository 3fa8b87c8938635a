"""Deletes all products at once, and keeps them: the whole table is moved aside.

Called by the page and the API; undone by deletions.undo.
"""

import logging
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import OperationalError, ProgrammingError, connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from config.accounts.actors import Actor
from config.listing import Total, total
from products.models import (
    BulkAction,
    BulkChange,
    BulkState,
    Deletion,
    DeletionKind,
    Import,
    ImportState,
    Product,
)

from . import bulk, events, kept_tables, search_index

logger = logging.getLogger(__name__)

LOCK_SECONDS = 3
WHAT = "All products"
ENDED_BY_IT = "Ended early: all products were deleted meanwhile."


class ImportMerging(Exception):
    """An import is putting its products in; `import_id` says which."""

    def __init__(self, import_id: int) -> None:
        super().__init__(
            f"Import {import_id} is being merged into the catalogue. Wait for its end or cancel it."
        )
        self.import_id = import_id


class CatalogueBusy(OperationalError):
    """Somebody used the catalogue for longer than LOCK_SECONDS; nothing was changed.

    An OperationalError, since the API answers those with 503 and Retry-After.
    """

    def __init__(self) -> None:
        super().__init__(
            "Something else is using the whole catalogue, e.g. a rebuild of the search."
            " Nothing was deleted. Try again in a minute."
        )


class NoRightToKeep(Exception):
    """The database's user may not create the schema that the products are kept in."""

    def __init__(self) -> None:
        super().__init__(
            "Nothing was deleted, since the products could not be kept for an undo: the database"
            " user lacks a right. GRANT CREATE ON DATABASE … TO … gives it."
        )


@dataclass(frozen=True)
class Preview:
    """What would go, and what stands in the way."""

    products: Total
    merging: int | None  # the import that has to end before
    running: list[int]  # bulk changes that would end early


def preview() -> Preview:
    """For the page that asks whether all is to go."""
    open_changes = BulkChange.objects.exclude(state__in=BulkChange.ENDED).order_by("pk")
    return Preview(
        products=total(Product),
        merging=_merging(),
        running=list(open_changes.values_list("pk", flat=True)),
    )


def delete_all(actor: Actor) -> Deletion:
    """Delete all products, restorable for UNDO_HOURS; instant however many there are.

    Raises ImportMerging, CatalogueBusy, NoRightToKeep; nothing has changed then.
    """
    _refuse_beside_a_merge()
    try:
        with transaction.atomic():
            deletion = _move_aside(actor)
    except OperationalError as error:
        if _code(error) in {"55P03", "40P01"}:  # lock timeout, deadlock
            raise CatalogueBusy from error
        raise
    except ProgrammingError as error:
        if _code(error) == "42501":
            raise NoRightToKeep from error
        raise
    count_kept(deletion.pk)
    deletion.refresh_from_db()
    return deletion


def _move_aside(actor: Actor) -> Deletion:
    _limit_locks()
    # Before the table: a worker in a batch has its job locked and then writes to the table.
    running = BulkChange.objects.exclude(state__in=BulkChange.ENDED).order_by("pk")
    locked = list(running.select_for_update(of=("self",)).values_list("pk", flat=True))
    _lock_products()
    _refuse_beside_a_merge()
    for bulk_id in locked:
        bulk.finish(bulk_id, BulkState.CANCELLED, ENDED_BY_IT)
    deletion = Deletion.objects.create(
        kind=DeletionKind.ALL,
        created_by=actor.user,
        by_name=actor.name,
        token_name=actor.token_name,
        what=WHAT,
        kept_until=timezone.now() + timedelta(hours=settings.UNDO_HOURS),
    )
    if not kept_tables.is_empty():
        deletion.kept_schema = f"kept_{deletion.pk}"
        kept_tables.move_aside(deletion.kept_schema)
        deletion.save(update_fields=["kept_schema"])
    logger.info("%s deleted all products (deletion %s)", actor.name, deletion.pk)
    return deletion


def count_kept(deletion_id: int) -> None:
    """Record how many products went, and tell webhooks; once, and exactly.

    Counting takes seconds with millions of products, so it is done when nobody waits any more:
    in the kept table, which nobody changes. The sweep does it where we are killed before.
    """
    with transaction.atomic():
        deletion = uncounted().select_for_update().filter(pk=deletion_id).first()
        if deletion is None:
            return
        deletion.rows = kept_tables.count(deletion.kept_schema)
        deletion.save(update_fields=["rows"])
        events.deleted_all(deletion)


def uncounted() -> QuerySet[Deletion]:
    """Deletions whose number of products is not known yet."""
    return Deletion.objects.filter(kind=DeletionKind.ALL, rows=0).exclude(kept_schema="")


def put_back(actor: Actor, deletion: Deletion) -> BulkChange | None:
    """Undo at once by moving the kept table back, where nothing was put into the new one.

    None where that can't be: there are new products, or a later version of Stockroom has changed
    the table. Called with the deletion locked.
    """
    if not kept_tables.is_empty():
        return None
    try:
        with transaction.atomic():
            _limit_locks()
            _lock_products()
    except OperationalError:
        return None
    schema = deletion.kept_schema
    if not kept_tables.is_empty():
        return None
    # The index of the search comes and goes; its upkeep builds it where it is missing.
    both = kept_tables.oid_of(), kept_tables.oid_of(schema)
    if kept_tables.differences(*both, apart_from=search_index.NAME):
        return None
    last_id = kept_tables.greatest_id(schema)
    restored = kept_tables.count(schema) if deletion.restored else deletion.rows
    kept_tables.move_back(schema)
    deletion.restored += restored
    deletion.restored_at = deletion.swept_at = timezone.now()
    deletion.kept_schema = ""
    deletion.save()
    change = BulkChange.objects.create(
        created_by=actor.user,
        by_name=actor.name,
        token_name=actor.token_name,
        action=BulkAction.RESTORE,
        state=BulkState.DONE,
        deletion=deletion,
        expected=restored,
        matched=restored,
        changed=restored,
        last_id=last_id,
        position=last_id,
        started_at=Now(),
        finished_at=Now(),
    )
    change.refresh_from_db()
    events.bulk_changed(change)
    return change


def _refuse_beside_a_merge() -> None:
    import_id = _merging()
    if import_id is not None:
        raise ImportMerging(import_id)


def _merging() -> int | None:
    return Import.objects.filter(state=ImportState.MERGING).values_list("pk", flat=True).first()


def _limit_locks() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{LOCK_SECONDS}s"])


def _lock_products() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {kept_tables.TABLE} IN ACCESS EXCLUSIVE MODE")


def _code(error: DatabaseError) -> str:
    return getattr(error.__cause__, "pgcode", None) or ""

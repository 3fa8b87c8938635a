"""Deleted products: what can be undone, the undo, and the end of their copies.

Called by the page "recently deleted", the API and the sweep.
"""

import logging
import math
import time
from dataclasses import dataclass

from django.db import OperationalError, connection, transaction
from django.db.models import Max, Q, QuerySet
from django.utils import timezone

from config.accounts.actors import Actor
from config.jobs import runner
from products.models import BulkAction, BulkChange, DeletedProduct, Deletion, DeletionKind

from . import bulk, delete_all, kept_tables

logger = logging.getLogger(__name__)

LOCK_SECONDS = 3
SWEPT_AT_ONCE = 5_000  # rows of one DELETE: a fraction of a second
SWEPT_AT_MOST = 500_000  # rows of one call; the next goes on


class NotRestorable(Exception):
    """Undo is not possible (now); `str()` says why."""


@dataclass(frozen=True)
class Recent:
    """A deletion as it is listed."""

    deletion: Deletion
    why_not: str  # it can't be undone, in words; "" where it can
    change: BulkChange | None  # that deletes or restores it at this moment
    restore: BulkChange | None = None  # the newest, also one that has ended

    @property
    def skipped(self) -> int:
        """Products that the newest undo left out, since their SKU was in use again."""
        if self.restore is None:
            return 0
        return min(self.restore.matched - self.restore.changed, self._left)

    @property
    def not_yet(self) -> int:
        """Products that an undo did not come to before it was stopped; 0 when they are gone."""
        return self._left - self.skipped if self.restore is not None and not self.why_not else 0

    @property
    def _left(self) -> int:
        return max(0, self.deletion.rows - self.deletion.restored)


def listed() -> QuerySet[Deletion]:
    """The deletions of anything: a bulk delete that has found nothing yet is none."""
    return Deletion.objects.filter(Q(rows__gt=0) | ~Q(kept_schema="") | Q(kind=DeletionKind.ALL))


def recent(deletion: Deletion) -> Recent:
    """One of them."""
    return recents([deletion])[0]


def recents(deletions: list[Deletion]) -> list[Recent]:
    """Some of them, in the same order."""
    running: dict[int | None, BulkChange] = {}
    restores: dict[int | None, BulkChange] = {}
    changes = BulkChange.objects.filter(deletion__in=[each.pk for each in deletions])
    for change in changes.order_by("pk").defer("ids"):
        if not change.ended:
            running[change.deletion_id] = change
        if change.action == BulkAction.RESTORE:
            restores[change.deletion_id] = change
    return [
        Recent(
            each,
            _why_not(each, running.get(each.pk)),
            running.get(each.pk),
            restores.get(each.pk),
        )
        for each in deletions
    ]


def _why_not(deletion: Deletion, change: BulkChange | None) -> str:
    if change is not None:
        if change.action == BulkAction.RESTORE:
            return "These products are being restored already."
        return "These products are still being deleted. Cancel that first, or wait for its end."
    if deletion.restored and deletion.restored >= deletion.rows:
        return "These products were restored already."
    if deletion.swept_at is not None or deletion.kept_until < timezone.now():
        return "The time to undo this is over; the products are gone."
    if not deletion.rows and not deletion.kept_schema:
        return "There was nothing to delete, so nothing to restore."
    return ""


def undo(actor: Actor, deletion_id: int) -> BulkChange:
    """Bring back what was deleted, with the old ids and times.

    Done when it returns (state done) where that is quick, else queued for a worker. A product whose
    SKU is in use again is left out and counted; a later undo tries it again. Raises
    Deletion.DoesNotExist, NotRestorable.
    """
    for attempt in range(runner.REPEATS):
        try:
            with transaction.atomic():
                return _undo(actor, deletion_id)
        except OperationalError as error:
            if not runner.passes_by_itself(error) or attempt + 1 == runner.REPEATS:
                raise
    raise AssertionError("unreachable")


def _undo(actor: Actor, deletion_id: int) -> BulkChange:
    if delete_all.uncounted().filter(pk=deletion_id).exists():
        delete_all.count_kept(deletion_id)
    deletion = _locked(deletion_id)
    why_not = recent(deletion).why_not
    if why_not:
        raise NotRestorable(why_not)
    if deletion.kind != DeletionKind.ALL:
        copies = DeletedProduct.objects.filter(deletion=deletion)
        last_id = copies.aggregate(last=Max("product_id"))["last"] or 0
        return bulk.restore(actor, deletion, last_id)
    change = delete_all.put_back(actor, deletion)
    if change is not None:
        return change
    return bulk.restore(actor, deletion, kept_tables.greatest_id(deletion.kept_schema))


def _locked(deletion_id: int) -> Deletion:
    """The deletion, which nobody else restores or sweeps until the transaction ends."""
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{LOCK_SECONDS}s"])
            return Deletion.objects.select_for_update().get(pk=deletion_id)
    except OperationalError as error:
        if getattr(error.__cause__, "pgcode", "") == "55P03":
            raise NotRestorable("These products are being restored at this moment.") from error
        raise


def purge(deadline: float = math.inf) -> int:
    """Let go of copies whose time is over, in short transactions; returns how many rows went.

    None begins after `deadline` (time.monotonic). A restore that is under way keeps its copy until
    it has ended.
    """
    over = Deletion.objects.filter(kept_until__lt=timezone.now(), swept_at=None)
    swept = 0
    for deletion_id in over.order_by("kept_until").values_list("pk", flat=True):
        while swept < SWEPT_AT_MOST and time.monotonic() < deadline:
            with transaction.atomic():
                deletion = over.select_for_update(skip_locked=True).filter(pk=deletion_id).first()
                if deletion is None or recent(deletion).change is not None:
                    break
                gone = _sweep(deletion)
                swept += gone
                if gone:
                    continue
                deletion.swept_at = timezone.now()
                deletion.save(update_fields=["swept_at"])
                logger.info("%s: its copy is gone", deletion)
                break
    return swept


def _sweep(deletion: Deletion) -> int:
    if deletion.kept_schema:
        kept_tables.drop(deletion.kept_schema)
        return 0
    copies = DeletedProduct.objects.filter(deletion=deletion)
    some = copies.order_by("product_id").values("pk")[:SWEPT_AT_ONCE]
    return DeletedProduct.objects.filter(pk__in=some).delete()[0]

"""Changes of many products: at once when few, else a job that a worker does in batches.

    queued → running → done

Started by the list page, the API and deletions.py; moved on by the Celery task and the sweep.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import Max, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from config import live
from config.accounts.actors import Actor
from config.jobs import claims, runner, wakeups
from config.listing import total
from products.models import (
    BulkAction,
    BulkChange,
    BulkState,
    Deletion,
    DeletionKind,
    Product,
)

from . import bulk_batches, bulk_events, search, search_rebuild
from .bulk_progress import channel, in_words, snapshot
from .filters import Filter

__all__ = [
    "MAX_IDS",
    "DeletesAll",
    "advance",
    "cancel",
    "channel",
    "finish",
    "forgotten",
    "in_words",
    "restore",
    "snapshot",
    "start",
    "wake",
]

logger = logging.getLogger(__name__)

MAX_IDS = 10_000  # products that can be named one by one
LOCK_SECONDS = 3  # how long a batch waits for others who write the same products


class DeletesAll(Exception):
    """Deleting all products is a right of admins, and quicker: see delete_all.py."""

    def __init__(self) -> None:
        super().__init__("To delete all products use Delete all; it needs the role Admin.")


def start(
    actor: Actor,
    action: BulkAction,
    *,
    ids: Sequence[int] | None = None,
    filter: Filter | None = None,
) -> BulkChange:
    """Activate, deactivate or delete the products of these `ids`, else those of `filter`.

    Done when it returns (state done) where at most BULK_AT_ONCE match, else queued for a
    worker. Products that were made later than this call stay as they are.
    ValueError: neither or both given, more than MAX_IDS ids, or a restore (deletions.undo).
    DeletesAll: the filter leaves nothing out. search.SearchIncomplete: its index is away, and
    whoever asks has seen a part of what would be changed.
    """
    if (ids is None) == (filter is None):
        raise ValueError("either ids or a filter")
    if action == BulkAction.RESTORE:
        raise ValueError("a restore is deletions.undo")
    chosen = None if ids is None else sorted(set(ids))
    if chosen is not None and len(chosen) > MAX_IDS:
        raise ValueError(f"at most {MAX_IDS} ids")
    which = filter or Filter()
    if action == BulkAction.DELETE and chosen is None and which.everything:
        raise DeletesAll
    if chosen is None:
        search.require_complete(which)
    newest = Product.objects.aggregate(newest=Max("pk"))["newest"] or 0
    expected, exact, known = _expected(chosen, which, newest)
    return _begin(
        BulkChange(
            created_by=actor.user,
            by_name=actor.name,
            token_name=actor.token_name,
            action=BulkAction(action),
            ids=chosen,
            search=which.search,
            active=which.active,
            expected=expected,
            expected_exact=exact,
            last_id=newest,
        ),
        known,
    )


def restore(actor: Actor, deletion: Deletion, last_id: int) -> BulkChange:
    """Bring back what is left of the copy, whose greatest id is `last_id`; see deletions.undo."""
    left = deletion.rows - deletion.restored
    change = BulkChange(
        created_by=actor.user,
        by_name=actor.name,
        token_name=actor.token_name,
        action=BulkAction.RESTORE,
        deletion=deletion,
        expected=left,
        last_id=last_id,
    )
    return _begin(change, [] if left <= settings.BULK_AT_ONCE else None)


def _expected(
    chosen: list[int] | None, which: Filter, newest: int
) -> tuple[int, bool, list[int] | None]:
    """How many products match, whether exactly so, and which, if they are few."""
    few = settings.BULK_AT_ONCE
    if chosen is not None:
        found = list(_ids(Product.objects.filter(pk__in=chosen)))
        return len(found), True, found if len(found) <= few else None
    count = search.count(which)
    if not count.exact or count.rows > few:
        return count.rows, count.exact, None
    found = list(_ids(search.matching(which, indexed=True).filter(pk__lte=newest))[: few + 1])
    return len(found), True, found if len(found) <= few else None


def _ids(rows: QuerySet[Product]) -> QuerySet[Product, int]:
    return rows.order_by("pk").values_list("pk", flat=True)


def _begin(change: BulkChange, known: list[int] | None) -> BulkChange:
    """Do it at once where the products are known (in the order of ids), else queue it."""
    if known is not None:
        for _ in range(runner.REPEATS):
            try:
                with transaction.atomic():
                    return _do_at_once(change, known)
            except OperationalError as error:
                if not runner.passes_by_itself(error):
                    raise
                logger.info("bulk change: repeated after: %s", runner.first_line(error))
                change.pk = None
                change._state.adding = True
                if getattr(error.__cause__, "pgcode", "") == "55P03":
                    break  # somebody keeps some of the products locked: a worker can wait
    with transaction.atomic():
        _save(change, BulkState.QUEUED)
        wake(change.pk)
    logger.info("%s: %s %s, queued", change, change.action, in_words(change))
    return change


def _save(change: BulkChange, state: BulkState) -> None:
    change.state = state
    if change.action == BulkAction.DELETE:
        change.deletion = Deletion.objects.create(
            kind=DeletionKind.BULK,
            created_by=change.created_by,
            by_name=change.by_name,
            token_name=change.token_name,
            what=in_words(change)[:300],
            kept_until=_kept_until(),
        )
    change.save(force_insert=True)


def _kept_until() -> datetime:
    return timezone.now() + timedelta(hours=settings.UNDO_HOURS)


def _do_at_once(change: BulkChange, known: list[int]) -> BulkChange:
    _limit_locks()
    change.started_at = Now()
    _save(change, BulkState.RUNNING)
    change.refresh_from_db()
    while not _batch(change, known):
        pass
    finish(change.pk, BulkState.DONE)
    change.refresh_from_db()
    return change


def _limit_locks() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{LOCK_SECONDS}s"])


def _batch(change: BulkChange, known: Sequence[int] | None = None) -> bool:
    """Do the next batch and keep where it ended; whether it was the last."""
    batch = bulk_batches.run(change, known)
    change.position = batch.position
    change.matched += batch.matched
    change.changed += batch.changed
    change.save(update_fields=["position", "matched", "changed"])
    return batch.last


class BulkWork(runner.Work[BulkChange]):
    """Bulk changes as jobs."""

    model = BulkChange

    def step(self, job: BulkChange) -> bool:
        _limit_locks()
        if job.state == BulkState.QUEUED:
            _make_way(job)
            BulkChange.objects.filter(pk=job.pk).update(state=BulkState.RUNNING, started_at=Now())
            return True
        if _batch(job):
            finish(job.pk, BulkState.DONE)
            return False
        return True

    def with_work(self) -> QuerySet[BulkChange]:
        return BulkChange.objects.exclude(state__in=BulkChange.ENDED).order_by("pk")

    def finish(self, job_id: int, state: str, error: str = "") -> bool:
        return finish(job_id, BulkState(state), error)

    def cancel_note(self, job: BulkChange) -> str:
        if not job.changed:
            return "Cancelled before anything changed."
        done = f"{job.changed:,} {'product' if job.changed == 1 else 'products'}"
        if job.action == BulkAction.DELETE:
            return f"Cancelled after {done} had been deleted; you can undo that."
        if job.action == BulkAction.RESTORE:
            return f"Cancelled after {done} had been restored; the others can be restored later."
        return f"Cancelled after {done} had been changed; they stay so."

    def changed(self, job_id: int) -> None:
        live.throttle(channel(job_id)).publish(lambda: _load(job_id))

    def flush(self, job_id: int) -> None:
        live.throttle(channel(job_id)).flush(lambda: _load(job_id))


WORK = BulkWork()


def _make_way(change: BulkChange) -> None:
    """Drop the search index before many rows are written; deleting does not write to it."""
    products = total(Product).rows
    if change.action == BulkAction.RESTORE:
        search_rebuild.drop_before(change.expected, products + change.expected)
    elif change.action != BulkAction.DELETE:
        search_rebuild.drop_before(change.expected, products)


def wake(bulk_id: int) -> None:
    """Have a worker move the bulk change on, once the current transaction commits."""
    wakeups.wake("products.tasks.advance_bulk_change", bulk_id)


def advance(bulk_id: int) -> bool:
    """Work on a bulk change for some seconds; returns whether more can be done now."""
    return runner.advance(WORK, bulk_id)


def forgotten() -> list[int]:
    """Ids of bulk changes that no live worker holds."""
    return runner.forgotten(WORK)


def cancel(bulk_id: int) -> None:
    """Ask a bulk change to stop; what was done so far stays. OperationalError: see runner.ask."""
    runner.ask(WORK.with_work().filter(pk=bulk_id), cancel_requested=True)
    wake(bulk_id)


def finish(bulk_id: int, state: BulkState, error: str = "") -> bool:
    """End a bulk change and tell webhooks what it did; False when it had ended already."""
    with transaction.atomic():
        if not claims.end(BulkChange, bulk_id, state, error):
            return False
        change = BulkChange.objects.select_related("deletion").get(pk=bulk_id)
        if change.deletion is not None:
            _close(change, change.deletion)
        bulk_events.tell(change)
        if change.changed > settings.BULK_AT_ONCE:
            search_rebuild.request()
            wakeups.wake("products.tasks.analyze_catalogue")
        transaction.on_commit(lambda: WORK.flush(bulk_id), robust=True)
    logger.info("bulk change %s: %s %s", bulk_id, state.value, error)
    return True


def _close(change: BulkChange, deletion: Deletion) -> None:
    if change.action == BulkAction.RESTORE:
        deletion.restored_at = timezone.now()
        deletion.save(update_fields=["restored_at"])
    elif deletion.rows:
        deletion.kept_until = _kept_until()
        deletion.save(update_fields=["kept_until"])
    else:  # nothing to undo, nothing to show
        BulkChange.objects.filter(pk=change.pk).update(deletion=None)
        deletion.delete()


def _load(bulk_id: int) -> dict[str, Any]:
    return snapshot(BulkChange.objects.select_related("deletion").get(pk=bulk_id))

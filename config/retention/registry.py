"""The one table of what is let go of in time: name, setting, function. Read by sweep.py."""

from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

import psycopg2
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db.models import Max
from django.utils import timezone

from config.checks.models import CheckRun
from config.idempotency import sweep as answers
from config.operations import alerts
from config.purging import delete_bit_by_bit
from products.catalogue import deletions, history
from products.imports import sweep as imports
from stocksync.jobs import sweep as syncs
from transactions.ledger import pruning
from transactions.orders import retention as orders
from webhooks import sweep as webhooks


class Purge(NamedTuple):
    """`run(deadline)` deletes what is over and returns how many rows, as far as it knows.

    It begins nothing new after `deadline` (time.monotonic), is safe beside itself, and goes on at
    the next call. What it raises is told with `name` and keeps no other from running.
    """

    name: str
    setting: str  # which says for how long
    run: Callable[[float], int | None]


def _old_checks(deadline: float) -> int:
    """The newest of each check stays, however old."""
    newest = CheckRun.objects.values("name").annotate(newest=Max("pk")).values("newest")
    before = timezone.now() - timedelta(days=settings.CHECK_KEEP_DAYS)
    old = CheckRun.objects.filter(created_at__lt=before, state__in=CheckRun.ENDED)
    return delete_bit_by_bit(old.exclude(pk__in=newest), oldest_first="pk", deadline=deadline)


def _sessions(deadline: float) -> int:
    over = Session.objects.filter(expire_date__lt=timezone.now())
    return delete_bit_by_bit(over, oldest_first="expire_date", deadline=deadline)


def _ledger(deadline: float) -> int:
    try:
        return pruning.purge(deadline)
    except psycopg2.errors.UndefinedTable:
        return 0  # no consumer has run here yet


PURGES = (
    Purge("uploads", "UPLOAD_KEEP_HOURS", imports.purge_uploads),
    Purge("import rejects", "REJECT_KEEP_DAYS", imports.purge_rejects),
    Purge("idempotency answers", "IDEMPOTENCY_KEEP_HOURS", answers.purge),
    Purge("history", "HISTORY_KEEP_DAYS", lambda until: history.purge(timezone.now(), until)),
    Purge(
        "bulk changes",
        "HISTORY_KEEP_DAYS",
        lambda until: history.purge_bulk_changes(timezone.now(), until),
    ),
    Purge("copies of deleted products", "UNDO_HOURS", deletions.purge),
    Purge("stock sync", "STOCKSYNC_KEEP_DAYS", syncs.purge),
    Purge(
        "events and deliveries",
        "EVENT_KEEP_DAYS",
        lambda until: webhooks.purge(timezone.now(), until),
    ),
    Purge("ledger", "LEDGER_KEEP_DAYS", _ledger),
    Purge("orders", "ORDER_KEEP_DAYS", orders.purge),
    Purge("alerts", "ALERT_KEEP_DAYS", lambda _: alerts.purge()),
    Purge("checks", "CHECK_KEEP_DAYS", _old_checks),
    Purge("sessions", "SESSION_COOKIE_AGE", _sessions),
)

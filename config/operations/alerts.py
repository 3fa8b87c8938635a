"""Tells of problems as webhooks: `alert.raised` once, `alert.resolved` when it is over.

The leader of the samples calls `tell` after each one. What is told, and when, is decided by
quiet.py; here it is written down, in one transaction with the events.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from config.purging import delete_bit_by_bit
from webhooks.dispatch import emit
from webhooks.event_types import ALERT_RAISED, ALERT_RESOLVED

from . import quiet
from .models import Alert
from .problem import Problem

logger = logging.getLogger(__name__)

# A leader that freezes in the middle must not keep the next one waiting: PostgreSQL ends its
# transaction. The next sample comes in seconds and tells what this one could not.
PATIENCE = "SET LOCAL lock_timeout = '5s'; SET LOCAL idle_in_transaction_session_timeout = '10s'"
TEXTS = ("severity", "title", "advice", "url")


def tell(found: Sequence[Problem], at: datetime) -> None:
    """Have endpoints told of what began and ended; `found` is all that is wrong `at`, worst first.

    Called after each sample, by one process. A second one that believes it leads tells nothing
    twice, and a sample older than what is written is passed over. Raises django.db.Error, then
    nothing is written and the next call tells.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(PATIENCE)
        standing = _standing(at)
        if standing is not None and (new := quiet.begun(standing, found)):
            _begin(new, at)
            standing = _standing(at)
        if standing is None:
            logger.warning("alerts: the sample of %s is older than what is known", at)
            transaction.set_rollback(True)
            return
        after = timedelta(seconds=settings.OPERATIONS_ALERT_AFTER_SECONDS)
        _write(quiet.changes(standing, found, at, after), at)


def purge() -> int:
    """Delete alerts that were over ALERT_KEEP_DAYS ago; returns how many. For a sweep."""
    before = timezone.now() - timedelta(days=settings.ALERT_KEEP_DAYS)
    old = Alert.objects.filter(resolved_at__lt=before)
    return delete_bit_by_bit(old, oldest_first="resolved_at")


def _standing(at: datetime) -> list[Alert] | None:
    """The rows that are not over, locked; None where a sample after `at` was here before.

    What claims to be of the future is no such sample: a clock was wrong.
    """
    rows = Alert.objects.select_for_update().filter(Q(resolved_at=None) | Q(resolved_at__gt=at))
    found = list(rows.order_by("pk"))
    if any(at < _newest(row) <= timezone.now() for row in found):
        return None
    return [row for row in found if row.resolved_at is None]


def _newest(row: Alert) -> datetime:
    """The last sample that left its trace on the row."""
    instants = (row.last_seen_at, row.missing_since, row.resolved_at)
    return max(instant for instant in instants if instant is not None)


def _begin(new: Sequence[Problem], at: datetime) -> None:
    """Make their rows; another leader may be as quick, then it is its row."""
    rows = [
        Alert(key=_kept(one.key), first_seen_at=at, last_seen_at=at, **_texts(one)) for one in new
    ]
    Alert.objects.bulk_create(rows, ignore_conflicts=True)


def _write(changes: quiet.Changes[Alert], at: datetime) -> None:
    """Write down what became of the rows, and emit what is news."""
    for row, problem in changes.seen:
        texts = _texts(problem)
        if not quiet.worse(problem.severity, than=row.severity):
            texts["severity"] = row.severity
        # Most often nothing but the time is new: that is written for all at once, below.
        if any(getattr(row, name) != text for name, text in texts.items()):
            Alert.objects.filter(pk=row.pk).update(**texts)
            for name, text in texts.items():
                setattr(row, name, text)
    there = [row.pk for row, _ in changes.seen]
    if there:
        Alert.objects.filter(pk__in=there).update(last_seen_at=at, missing_since=None)
    if changes.missing:
        Alert.objects.filter(pk__in=[row.pk for row in changes.missing]).update(missing_since=at)
    if changes.forgotten:
        Alert.objects.filter(pk__in=[row.pk for row in changes.forgotten]).delete()
    for row in changes.told:
        Alert.objects.filter(pk=row.pk, raised_at=None).update(raised_at=at)
        emit(ALERT_RAISED, {"alert": _shown(row, None)})
        logger.warning("alert %s raised: %s: %s", row.pk, row.key, row.title)
    for row in changes.resolved:
        Alert.objects.filter(pk=row.pk).update(
            resolved_at=at, missing_since=row.missing_since or at
        )
        emit(ALERT_RESOLVED, {"alert": _shown(row, row.missing_since or at)})
        logger.info("alert %s resolved: %s", row.pk, row.key)


def _shown(row: Alert, ended_at: datetime | None) -> dict[str, Any]:
    """The alert as an event has it: `seconds` is how long the problem was there."""
    seconds = None if ended_at is None else round((ended_at - row.first_seen_at).total_seconds())
    return {
        "id": row.pk,
        "key": row.key,
        "severity": row.severity,
        "title": row.title,
        "advice": row.advice,
        "url": row.url,
        "began_at": _instant(row.first_seen_at),
        "ended_at": None if ended_at is None else _instant(ended_at),
        "seconds": seconds,
    }


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _texts(problem: Problem) -> dict[str, str]:
    return {name: _kept(getattr(problem, name)) for name in TEXTS}


def _kept(text: str) -> str:
    """As PostgreSQL can keep it: one odd byte in an error must not silence all alerts."""
    return text.replace("\0", "�")

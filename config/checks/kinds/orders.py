"""Credit in Redis against accepted orders, as `manage.py reconcile_orders` does it. Looks only."""

from datetime import timedelta
from typing import Any

import django.db
import redis
from django.urls import reverse
from django.utils import timezone

from config.checks.findings import NotChecked, Outcome, counted
from config.checks.watch import Watch
from transactions.models import OrderReconciliation
from transactions.orders import reconciliation

MEND = (
    "`manage.py reconcile_orders --deduct` takes lost deductions from the credit, `--adopt` takes"
    " the credit as right."
)
UNREADABLE = "Set the value as docs/buystock.md tells, or remove it."
UNKNOWN = "Was PostgreSQL restored from a backup? `manage.py reconcile_orders --adopt` forgets it."


def run(watch: Watch) -> Outcome:
    """Raises NotChecked."""
    last = _last(watch.reuse_seconds) if watch.reuse_seconds else None
    if last is not None:
        outcome = judge(last.drift)
        outcome.summary += f" Compared at {last.at:%H:%M} UTC, by the nightly reconciliation."
        return outcome
    watch.say("Comparing credit and orders")
    try:
        found = reconciliation.run(until=watch.deadline()).found
    except redis.RedisError as error:
        raise NotChecked(f"Redis: {error or type(error).__name__}") from error
    except django.db.Error as error:
        raise NotChecked(f"PostgreSQL: {str(error).strip()}") from error
    return judge(found.json())


def judge(found: dict[str, Any]) -> Outcome:
    """What drift.Findings.json() says. Raises NotChecked where nobody could be compared."""
    users, orders = found.get("users", 0), found.get("orders", 0)
    outcome = Outcome(looked_at=users)
    url = reverse("transactions:orders")
    for each in found.get("drift", ()):
        if each["trouble"]:
            outcome.add(f"user {each['user']}", f"credit: {each['trouble']}", UNREADABLE, url)
        if each["kind"]:
            outcome.add(
                f"user {each['user']}",
                f"{each['taken']} taken from the credit for {counted(each['orders'], 'order')},"
                f" {each['right_taken']} accepted in {each['right_orders']:,}",
                MEND,
                url,
            )
    for each in found.get("unknown", ()):
        outcome.add(f"order {each['order_id']}", "decided in Redis, unknown here", UNKNOWN, url)
    moving = found.get("in_motion", ())
    rest = f" Always in motion, so not compared: {counted(len(moving), 'user')}." if moving else ""
    outcome.summary = (
        f"{counted(orders, 'accepted order')} of {counted(users, 'user')} compared.{rest}"
        if users
        else f"There are no users with accepted orders yet.{rest}"
    )
    if moving and not users and not outcome.found:
        raise NotChecked(f"{rest.strip()} Try again when there are fewer orders.")
    return outcome


def _last(seconds: float) -> OrderReconciliation | None:
    newer = timezone.now() - timedelta(seconds=seconds)
    last = OrderReconciliation.objects.order_by("-id").first()
    usable = last is not None and last.at > newer and not last.failure and not last.repaired
    return last if usable else None

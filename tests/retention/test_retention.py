"""One sweep lets go of all that is kept for a time: each has its turn."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import redis
from celery.exceptions import SoftTimeLimitExceeded
from django.apps import apps
from django.conf import settings as all_settings
from django.contrib.sessions.models import Session
from django.db import connection
from django.utils import timezone

from config.celery import app
from config.checks.models import CheckRun
from config.idempotency.models import GivenAnswer
from config.live import board
from config.retention import outcome, tasks
from config.retention.registry import PURGES, Purge
from config.retention.sweep import run
from products.models import BulkChange, ProductChange

pytestmark = pytest.mark.django_db

# Each table with rows that come again and again, by what lets go of them, or why they stay.
LET_GO_OF = {
    "alerts": ["operations.Alert"],
    "bulk changes": ["products.BulkChange"],
    "checks": ["checks.CheckRun"],
    "copies of deleted products": ["products.DeletedProduct"],
    "events and deliveries": [
        "webhooks.Attempt",
        "webhooks.Delivery",
        "webhooks.Event",
        "webhooks.Secret",
    ],
    "history": ["products.ProductChange"],
    "idempotency answers": ["idempotency.GivenAnswer"],
    "import rejects": ["products.ImportReject"],
    "orders": ["transactions.Order"],
    "sessions": ["sessions.Session"],
    "stock sync": [
        "stocksync.FileBlock",
        "stocksync.StoredFile",
        "stocksync.SyncDecision",
        "stocksync.SyncProduct",
        "stocksync.SyncTree",
    ],
    "uploads": ["products.UploadBlock"],
}
STAYS = {
    "what people made": [
        "accounts.ApiToken",
        "accounts.User",
        "auth.Group",
        "products.Product",
        "transactions.CallbackUrl",
        "webhooks.Endpoint",
    ],
    "one line of each, shown for ever": [
        "products.Deletion",
        "products.Import",
        "products.Upload",
        "stocksync.SyncJob",
    ],
    "as many as others have": ["transactions.OrderTotal", "webhooks.Health"],
    "ends with the work itself": [
        "products.ImportPart",
        "transactions.OrderReconciliation",
        "transactions.OrderWorker",
    ],
    "never written": ["django_eventstream.Event", "django_eventstream.EventCounter"],
    "Django's own": ["auth.Permission", "contenttypes.ContentType"],
}


def purge(name: str, does: Callable[[float], int | None]) -> Purge:
    return Purge(name, "HISTORY_KEEP_DAYS", does)


def fail(deadline: float) -> int:
    raise ValueError("a reason")


def test_one_that_fails_is_named_and_keeps_no_other_from_running(
    caplog: pytest.LogCaptureFixture,
) -> None:
    found = run([purge("one", lambda _: 3), purge("two", fail), purge("three", lambda _: None)])
    assert [(each.name, each.deleted, each.error) for each in found] == [
        ("one", 3, ""),
        ("two", 0, "ValueError: a reason"),
        ("three", 0, ""),
    ]
    assert "retention: two: not all was let go of" in caplog.text


def test_each_has_its_share_and_what_one_leaves_is_the_others() -> None:
    shares: list[float] = []
    begun = time.monotonic()

    def note(deadline: float) -> int:
        shares.append(round(deadline - begun, -2))
        return 0

    run([purge(str(n), note) for n in range(4)], seconds=4_000.0)
    assert shares == [1_000, 1_300, 2_000, 4_000]


def test_one_that_had_no_time_says_that_there_is_more() -> None:
    ends: list[float] = []
    slow = purge("slow", lambda deadline: ends.append(deadline))
    (found,) = run([slow], seconds=0.0)
    assert found.more and ends[0] <= time.monotonic()


def test_the_time_limit_of_the_task_ends_the_turn() -> None:
    def stopped(deadline: float) -> int:
        raise SoftTimeLimitExceeded

    with pytest.raises(SoftTimeLimitExceeded):
        run([purge("one", stopped), purge("two", fail)])


def test_a_statement_that_waits_for_a_lock_gives_up_and_later_ones_are_free() -> None:
    seen: list[str] = []

    def look(deadline: float) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SHOW lock_timeout")
            seen.append(cursor.fetchone()[0])

    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        before = cursor.fetchone()[0]
    run([purge("one", look)])
    look(0.0)
    assert seen == ["3s", before]


def test_each_setting_is_there_and_every_name_once() -> None:
    names = [each.name for each in PURGES]
    assert len(names) == len(set(names))
    for each in PURGES:
        assert float(getattr(all_settings, each.setting)) > 0


def test_nothing_grows_for_ever_unnoticed() -> None:
    tables = sorted(
        table for those in (LET_GO_OF, STAYS) for each in those.values() for table in each
    )
    assert tables == sorted(model._meta.label for model in apps.get_models())
    assert set(LET_GO_OF) == {each.name for each in PURGES} - {"ledger"}  # no tables of Django's


def test_all_work_and_the_last_outcome_is_kept(market: redis.Redis) -> None:
    """None fails on empty tables, and Operations can say what came of it."""
    board.publishing().delete(outcome.KEY)
    assert outcome.read() is None
    tasks.sweep()
    found: Any = outcome.read()
    assert [each["name"] for each in found["purges"]] == [each.name for each in PURGES]
    assert [each["error"] for each in found["purges"]] == [""] * len(PURGES)
    assert abs(time.time() - found["at"]) < 3600


def test_what_is_over_goes_and_what_is_not_stays(
    market: redis.Redis, django_user_model: Any
) -> None:
    user = django_user_model.objects.create_user("ana")
    for days in (400, 1):
        at = timezone.now() - timedelta(days=days)
        change = ProductChange.objects.create(product_id=days, action="created", by_name="ana")
        ProductChange.objects.filter(pk=change.pk).update(at=at)
        answer = GivenAnswer.objects.create(owner=user, operation="x", key=str(days))
        GivenAnswer.objects.filter(pk=answer.pk).update(created_at=at)
        for state in ("done", "running"):
            BulkChange.objects.create(
                action="delete", state=state, expected=1, last_id=days, finished_at=at
            )
        for name in ("ledger", "orders"):
            one = CheckRun.objects.create(name=name, state="passed")
            CheckRun.objects.filter(pk=one.pk).update(created_at=at)
    alone = CheckRun.objects.create(name="alone", state="passed")
    CheckRun.objects.filter(pk=alone.pk).update(created_at=timezone.now() - timedelta(days=400))
    for key, days in (("over", -1), ("stays", 1)):
        Session.objects.create(
            session_key=key, session_data="", expire_date=timezone.now() + timedelta(days=days)
        )
    tasks.sweep()
    assert [each.session_key for each in Session.objects.all()] == ["stays"]
    assert list(ProductChange.objects.values_list("product_id", flat=True)) == [1]
    bulk = BulkChange.objects.order_by("last_id", "state").values_list("last_id", "state")
    assert list(bulk) == [(1, "done"), (1, "running"), (400, "running")]
    assert not GivenAnswer.objects.exists()  # kept for 24 hours
    assert sorted(CheckRun.objects.values_list("name", flat=True)) == ["alone", "ledger", "orders"]


def test_beat_sends_it_to_workers_and_nothing_beside_it() -> None:
    schedule = all_settings.CELERY_BEAT_SCHEDULE
    entry = schedule["sweep-retention"]
    app.loader.import_default_modules()
    assert entry["task"] == tasks.sweep.name
    assert entry["schedule"] == timedelta(minutes=10)
    assert not [name for name in schedule if name.startswith(("purge", "prune"))]
    assert {each["task"] for each in schedule.values()} <= set(app.tasks)

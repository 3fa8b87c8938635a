from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from config import purging
from config.celery import app
from webhooks import sweep, tasks
from webhooks.models import Event

pytestmark = pytest.mark.django_db


def days_old(*days: float) -> None:
    now = timezone.now()
    Event.objects.bulk_create(
        Event(type=f"{age:g}", data={}, occurred_at=now - timedelta(days=age)) for age in days
    )


def kept() -> set[str]:
    return set(Event.objects.values_list("type", flat=True))


def test_old_events_are_purged(settings):
    settings.EVENT_KEEP_DAYS = 3.0
    days_old(0, 2.9, 3.1, 40)
    assert sweep.purge(timezone.now()) == 2
    assert kept() == {"0", "2.9"}
    assert sweep.purge(timezone.now()) == 0


def test_it_goes_on_in_short_statements_until_all_are_gone(
    settings, monkeypatch, django_assert_num_queries
):
    settings.EVENT_KEEP_DAYS = 3.0
    monkeypatch.setattr(purging, "ROWS_AT_ONCE", 2)
    days_old(1, 4, 5, 6, 7, 8)
    with django_assert_num_queries(3):
        assert sweep.purge(timezone.now()) == 5
    assert kept() == {"1"}


def test_one_call_is_bounded_and_takes_the_oldest_first(settings, monkeypatch):
    settings.EVENT_KEEP_DAYS = 3.0
    monkeypatch.setattr(purging, "ROWS_AT_ONCE", 2)
    monkeypatch.setattr(purging, "ROWS_AT_MOST", 3)
    days_old(1, 8, 4, 6, 5, 7)
    assert sweep.purge(timezone.now()) == 4
    assert kept() == {"1", "4"}


def test_the_task_purges(settings):
    settings.EVENT_KEEP_DAYS = 3.0
    days_old(1, 4)
    tasks.purge_events()
    assert kept() == {"1"}


def test_beat_sends_a_task_that_workers_know():
    entry = settings.CELERY_BEAT_SCHEDULE["purge-events"]
    app.loader.import_default_modules()
    assert entry["task"] == tasks.purge_events.name
    assert entry["task"] in app.tasks

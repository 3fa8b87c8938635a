"""The time that is left: from the time that a worker worked, not from when nobody did."""

from datetime import timedelta

import pytest
from django.utils import timezone

from stocksync.jobs import progress, work
from stocksync.models import SyncJob

from .histories import MIXED

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def half_read(queued, settings, monkeypatch) -> SyncJob:
    """A job of which a worker has read a part, in one short go, and let it go."""
    settings.STOCKSYNC_STEP_BYTES = len(MIXED) // 2
    settings.IMPORT_STEP_SECONDS = 0
    monkeypatch.setattr(work, "MOST_SECONDS", 0.0)  # else a slow beginning makes the go longer
    monkeypatch.setattr(progress, "PACE_SECONDS", 0.0)
    job = queued(MIXED)
    assert work.advance(job.pk)
    job.refresh_from_db()
    assert 0 < job.read_bytes < len(MIXED)
    return job


def test_it_is_the_rest_at_the_pace_of_the_worker(half_read):
    speed = half_read.checkpoint["bytes_per_second"]
    assert speed > 0
    rest = len(MIXED) - half_read.read_bytes
    assert progress.snapshot(half_read)["seconds_left"] == round(rest / speed, 1)


def test_a_killed_worker_leaves_none_until_another_works_and_then_the_pace_before(half_read):
    half_read.checkpoint["bytes_per_second"] = 100
    half_read.started_at = timezone.now() - timedelta(hours=1)
    rest = len(MIXED) - half_read.read_bytes
    for silent, left in ((30, None), (1, rest / 100)):
        half_read.heartbeat_at = timezone.now() - timedelta(seconds=silent)
        assert progress.snapshot(half_read)["seconds_left"] == pytest.approx(left, abs=0.1)


def test_a_worker_that_has_just_begun_does_not_change_it():
    job = SyncJob()
    progress.note_pace(job, 10, 0.1)
    assert job.checkpoint == {}
    progress.note_pace(job, 100, 0.5)
    assert job.checkpoint == {"bytes_per_second": 200}
    progress.note_pace(job, 100, 0.9)  # another worker
    assert job.checkpoint == {"bytes_per_second": 200}
    progress.note_pace(job, 100, 2)
    assert job.checkpoint == {"bytes_per_second": 50}


def test_before_the_first_step_and_after_the_end_there_is_none(queued):
    job = queued(MIXED)
    assert progress.snapshot(job)["seconds_left"] is None
    job.state = "cancelled"
    job.checkpoint["bytes_per_second"] = 100
    assert progress.snapshot(job)["seconds_left"] is None

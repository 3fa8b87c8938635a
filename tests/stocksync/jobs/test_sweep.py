"""What time brings: jobs and files whose time is over, and what nobody may read any more."""

from datetime import timedelta

import pytest
from django.utils import timezone

from stocksync.jobs import downloads, files, progress, service, sweep
from stocksync.models import FileBlock, StoredFile, SyncDecision, SyncJob, SyncProduct, SyncTree

from .expected import expect, sample
from .syncing import begin, check, fresh, run, stored

pytestmark = pytest.mark.django_db(transaction=True)

FILE = sample(60_000, 60)


def grow_old(*jobs: SyncJob, days: float = 31) -> None:
    SyncJob.objects.filter(pk__in=[job.pk for job in jobs]).update(
        finished_at=timezone.now() - timedelta(days=days)
    )


def test_jobs_are_kept_for_their_days(user):
    job = run(begin(user, FILE))
    grow_old(job, days=29)
    sweep.purge()
    check(job, expect(FILE))


def test_of_old_jobs_counts_stay(user):
    old, new = run(begin(user, FILE)), run(begin(user, FILE))
    grow_old(old)

    sweep.purge()

    told = progress.snapshot(fresh(old))
    assert (told["counts"], told["files_kept"]) == (expect(FILE).counts, False)
    assert (told["traced"], told["state"]) == (False, "done")
    for read in (downloads.output_lines, downloads.rejects_lines):
        with pytest.raises(files.FileGone):
            read(fresh(old))
    assert b'"applied": ' in downloads.summary_json(fresh(old))
    with pytest.raises(service.NotRepeatable):
        service.repeat(fresh(old), user, "tree")
    for model in (SyncDecision, SyncTree, SyncProduct):
        assert set(model.objects.values_list("job_id", flat=True)) == {new.pk}
    assert set(FileBlock.objects.values_list("file_id", flat=True)) == {
        new.events_id,
        new.output_id,
        new.rejects_id,
    }
    check(new, expect(FILE))
    before = fresh(old)
    sweep.purge()
    assert fresh(old).purged_at == before.purged_at


def test_events_stay_as_long_as_a_job_needs_them(user):
    first = run(begin(user, FILE))
    again = service.repeat(first, user, "global")
    grow_old(first)

    sweep.purge()

    check(run(again), expect(FILE, "global"))
    assert fresh(first).events.purged_at is None
    grow_old(again)
    sweep.purge()
    assert not FileBlock.objects.exists()


def test_uploads_that_became_no_job_are_deleted_after_a_while(user, settings):
    job = run(begin(user, FILE))
    lost, coming = stored(FILE), stored(FILE)
    hours = timedelta(hours=settings.UPLOAD_KEEP_HOURS + 1)
    StoredFile.objects.exclude(pk=coming.pk).update(created_at=timezone.now() - hours)

    sweep.purge()

    assert not StoredFile.objects.filter(pk=lost.pk).exists()
    assert b"".join(files.pieces(coming.pk)) == FILE
    check(job, expect(FILE))


def test_a_purge_that_has_no_time_goes_on_the_next_time(user, monkeypatch):
    job = run(begin(user, FILE))
    grow_old(job)
    with monkeypatch.context() as patch:
        patch.setattr(sweep, "PURGE_SECONDS", -1.0)
        sweep.purge()
    assert SyncDecision.objects.exists()
    assert SyncProduct.objects.exists()
    assert FileBlock.objects.exists()

    sweep.purge()

    assert not SyncDecision.objects.exists()
    assert not SyncProduct.objects.exists()
    assert not SyncTree.objects.exists()
    assert not FileBlock.objects.exists()

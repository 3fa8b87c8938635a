"""Jobs worked off in this process: what comes of them, and of what may disturb them."""

import pytest
from django.db import DatabaseError, connection

from config.jobs import claims
from stocksync.jobs import downloads, files, progress, rows, service, sweep, work
from stocksync.jobs import run as runs
from stocksync.models import Clock, FileBlock, StoredFile, SyncDecision, SyncJob, SyncState
from tests.stocksync.engine.running import created

from .expected import expect, sample
from .syncing import begin, check, fresh, run, step_by_step, stored

pytestmark = pytest.mark.django_db(transaction=True)

FILE = sample(300_000, 300)
SPECIAL = (
    (
        '{"type": "ProductCreated", "id": 1, "timestamp": 1, "stock": 2, "parent_id": null}\r\n'
        "\n// a comment\n"
        "{'type': 'ProductUpdated', 'id': 1, 'timestamp': 2, 'stock': 3}  // literal\n"
        '{"type": "ProductUpdated", "id": 9, "timestamp": 1, "stock": 1, "more": "tab\\tand\\\\"}\n'
        "not\tan \\event \0 ☃\n"
    ).encode()
    + b"\xff\xfe broken\n"
    + b'{"type": "\\ud800", "id": 1}\nno end'
)


@pytest.mark.parametrize("clock", ["tree", "global"])
@pytest.mark.parametrize("data", [FILE, SPECIAL, b"", b"\n"], ids=["sample", "special", "", "nl"])
def test_a_job_finds_what_the_engine_finds(user, data, clock):
    job = run(begin(user, data, clock))

    expected = expect(data, clock)
    if data == SPECIAL:  # PostgreSQL's text has no NUL
        expected.decisions[:] = [
            tuple(field.replace("\0", "\\x00") if type(field) is str else field for field in row)
            for row in expected.decisions
        ]
    check(job, expected)
    assert job.started_at is not None
    assert job.checkpoint_state_id is None  # it was done within one advance


@pytest.mark.parametrize("step_bytes", [1_000, 70_000])
@pytest.mark.parametrize("clock", ["tree", "global"])
def test_each_step_by_another_worker(user, settings, monkeypatch, step_bytes, clock):
    step_by_step(settings, monkeypatch, step_bytes)
    monkeypatch.setattr(runs, "ROWS_AT_ONCE", 50)
    data = FILE
    if step_bytes == 1_000:
        monkeypatch.setattr(runs, "STEP_SECONDS", 0.0)  # each piece of the end is a step too
        data = sample(40_000, 60)

    job = run(begin(user, data, clock))

    check(job, expect(data, clock))
    assert job.claim > len(data) // step_bytes
    assert fresh(job).checkpoint_state.purged_at is not None


def test_a_step_of_much_output_is_cut_short(user, monkeypatch):
    monkeypatch.setattr(runs, "STEP_OUTPUT_BYTES", 1000)
    steps = 0
    step = runs.Run.step

    def counted(self, job):
        nonlocal steps
        steps += 1
        return step(self, job)

    monkeypatch.setattr(runs.Run, "step", counted)

    job = run(begin(user, FILE))

    check(job, expect(FILE))
    assert steps > 100


def test_workers_that_take_turns_do_the_work_once(user, workers, settings, monkeypatch):
    step_by_step(settings, monkeypatch, 10_000)
    job = begin(user, FILE)

    def take_turns() -> None:
        while not fresh(job).ended:
            work.advance(job.pk)

    for future in [workers(take_turns) for _ in range(3)]:
        future.result()

    check(job, expect(FILE))


def test_a_worker_that_lost_its_claim_writes_nothing_more(user, settings, monkeypatch):
    settings.STOCKSYNC_STEP_BYTES = 20_000
    job = begin(user, FILE)
    step = runs.Run.step
    overtaken = False

    def overtake(self, job):
        nonlocal overtaken
        more = step(self, job)
        if not overtaken and job.read_bytes > 100_000:
            overtaken = True
        return more

    def changed(job_id: int) -> None:
        if overtaken and not fresh(job).ended and fresh(job).claim == 1:
            SyncJob.objects.filter(pk=job.pk).update(heartbeat_at=None)
            run(job)

    monkeypatch.setattr(runs.Run, "step", overtake)
    monkeypatch.setattr(progress, "changed", changed)

    assert work.advance(job.pk) is False

    assert fresh(job).claim > 2
    check(job, expect(FILE))


@pytest.mark.parametrize(
    ("code", "said", "ends"),
    [("40P01", "deadlock detected", 0), ("53100", "No space left on device", 2)],
)
def test_a_step_that_is_rolled_back_is_done_again(user, settings, monkeypatch, code, said, ends):
    """A deadlock within the advance; a full disk ends it, and a later one goes on."""
    settings.STOCKSYNC_STEP_BYTES = 20_000
    copy = rows.copy_decisions
    calls = []

    def fails_at_times(*arguments):
        copy(*arguments)
        calls.append(arguments)
        if len(calls) in (3, 9):
            with connection.cursor() as cursor:
                cursor.execute(
                    f"DO $$ BEGIN RAISE EXCEPTION '{said}' USING ERRCODE = '{code}'; END $$"
                )

    monkeypatch.setattr(rows, "copy_decisions", fails_at_times)
    job = begin(user, FILE)
    errors = 0
    while not fresh(job).ended:
        try:
            work.advance(job.pk)
        except DatabaseError:
            errors += 1
            assert said in fresh(job).error
            assert sweep.forgotten_jobs() == [job.pk]

    assert errors == ends
    check(job, expect(FILE))


def test_what_a_worker_wrote_after_its_checkpoint_is_written_again(user, settings, monkeypatch):
    """Killed between two checkpoints, e.g. by the kernel: nothing is said, memory is lost."""
    step_by_step(settings, monkeypatch, 30_000)
    job = begin(user, FILE)
    for _ in range(3):
        assert work.advance(job.pk)
    kept = fresh(job).checkpoint["read_bytes"]
    with monkeypatch.context() as patch:
        patch.setattr(work.SyncWork, "leave", lambda self, claim: None)
        patch.setattr(work, "MOST_SECONDS", 3600.0)
        patch.setattr(work.SyncWork, "advance_seconds", lambda self: 3600.0)
        patch.setattr(progress, "changed", _killed_after(4))
        with pytest.raises(SystemExit):
            work.advance(job.pk)
    left = fresh(job)
    assert (left.read_bytes, left.checkpoint["read_bytes"]) == (kept + 4 * 30_000, kept)
    assert left.heartbeat_at is not None
    SyncJob.objects.filter(pk=job.pk).update(heartbeat_at=None)

    run(job)

    check(job, expect(FILE))


def _killed_after(steps: int):
    left = [steps]

    def changed(job_id: int) -> None:
        left[0] -= 1
        if not left[0]:
            raise SystemExit

    return changed


def test_a_job_whose_worker_dies_again_and_again_before_its_checkpoint_fails(
    user, settings, monkeypatch
):
    settings.STOCKSYNC_STEP_BYTES = 20_000
    job = begin(user, FILE)
    monkeypatch.setattr(progress, "changed", _killed_after(1))
    for _ in range(runs.BEGINS_AT_MOST):
        monkeypatch.setattr(progress, "changed", _killed_after(1))
        with pytest.raises(SystemExit):
            work.advance(job.pk)
        SyncJob.objects.filter(pk=job.pk).update(heartbeat_at=None)

    job = run(job)

    assert job.state == SyncState.FAILED
    assert "is there enough memory?" in job.error


def test_cancel_keeps_counts_and_rejects_alone(user, settings, monkeypatch):
    step_by_step(settings, monkeypatch, 100_000)
    job = begin(user, FILE)
    for _ in range(2):
        assert work.advance(job.pk)
    service.cancel(job.pk)

    assert run(job).state == SyncState.CANCELLED

    job = fresh(job)
    assert job.error == f"Cancelled after 200,000 of {len(FILE):,} bytes of events."
    assert job.counts["applied"] > 1000
    rejects = b"".join(downloads.rejects_lines(job))
    assert rejects
    assert expect(FILE).rejects.startswith(rejects)
    with pytest.raises(files.FileGone):
        downloads.output_lines(job)
    assert not job.traced
    sweep.purge()
    assert not SyncDecision.objects.exists()
    assert not FileBlock.objects.filter(file__in=[job.output_id, job.checkpoint_state_id]).exists()
    assert b"".join(downloads.rejects_lines(job)) == rejects
    check(run(service.repeat(job, user, "tree")), expect(FILE))


def test_a_job_that_waits_is_cancelled_too_and_one_that_has_ended_is_not(user):
    job = begin(user, FILE)
    service.cancel(job.pk)
    assert run(job).state == SyncState.CANCELLED
    other = run(begin(user, SPECIAL))
    service.cancel(other.pk)
    assert run(other).state == SyncState.DONE


def test_a_repeat_with_another_clock_leaves_the_first_one_as_it_is(user, django_user_model):
    bob = django_user_model.objects.create_user("bob")
    first = run(begin(user, FILE))

    again = service.repeat(first, bob, Clock.GLOBAL)

    assert (again.repeats, again.created_by, again.events_id) == (first, bob, first.events_id)
    with pytest.raises(service.NotRepeatable, match="not ended"):
        service.repeat(again, bob, Clock.TREE)
    check(run(again), expect(FILE, "global"))
    check(first, expect(FILE))
    assert expect(FILE).output != expect(FILE, "global").output


@pytest.mark.parametrize("one_advance", [True, False])
def test_decisions_are_kept_up_to_a_limit(user, settings, monkeypatch, one_advance):
    if one_advance:
        settings.STOCKSYNC_STEP_BYTES = 50_000
    else:
        step_by_step(settings, monkeypatch, 50_000)
    limit = settings.STOCKSYNC_TRACE_EVENTS = 2_000
    job = run(begin(user, FILE))

    check(job, expect(FILE), traced=False)
    assert 0 < SyncDecision.objects.count() <= limit
    sweep.purge()
    assert not SyncDecision.objects.exists()
    assert fresh(job).decisions == 0

    settings.STOCKSYNC_TRACE_EVENTS = len(expect(FILE).decisions)
    check(run(begin(user, FILE)), expect(FILE))


def test_more_output_than_allowed_fails_in_clear_words(user, settings):
    settings.STOCKSYNC_STEP_BYTES = 50_000
    settings.STOCKSYNC_OUTPUT_MAX_BYTES = len(expect(FILE).output) - 1

    job = run(begin(user, FILE))

    assert job.state == SyncState.FAILED
    assert job.error.startswith(f"The commands take more than {len(expect(FILE).output) - 1:,}")
    with pytest.raises(files.FileGone):
        downloads.output_lines(job)
    sweep.purge()
    assert not SyncDecision.objects.exists()
    assert not FileBlock.objects.filter(file=job.output_id).exists()


def test_one_line_that_brings_too_much_ends_the_job_in_the_middle(user, settings):
    """2,000 children wait, each newer than the one before: 2,000,000 commands by the last line."""
    settings.STOCKSYNC_OUTPUT_MAX_BYTES = 3 * 1024**2
    children = range(2, 2_002)
    lines = [created(child, child, child, 1) for child in children]
    job = run(begin(user, b"".join([*lines, created(1, 1, 1)])))

    assert job.state == SyncState.FAILED
    assert job.error.startswith("The commands take more than 3,145,728 bytes")


def test_output_of_just_the_allowed_size_is_done(user, settings):
    settings.STOCKSYNC_OUTPUT_MAX_BYTES = len(expect(FILE).output)
    check(run(begin(user, FILE)), expect(FILE))


def test_events_that_are_gone_fail_the_job(user, settings, monkeypatch):
    step_by_step(settings, monkeypatch, 50_000)
    before, within = begin(user, FILE), begin(user, FILE)
    assert work.advance(within.pk)
    for job in (before, within):
        files.purge(job.events_id)
        job = run(job)
        assert (job.state, job.error) == (SyncState.FAILED, "This file is not stored any more.")
        with pytest.raises(service.NotRepeatable, match="not stored"):
            service.repeat(job, user, "tree")


def test_a_snapshot_has_all_keys_from_the_start(user):
    job = begin(user, FILE)
    before = progress.snapshot(fresh(job))
    after = progress.snapshot(run(job))

    assert before.keys() == after.keys()
    assert before["counts"].keys() == after["counts"].keys()
    assert (before["percent"], before["seconds_left"], before["counts"]["events"]) == (0, None, 0)
    assert (after["percent"], after["seconds_left"], after["files_kept"]) == (100, 0, True)
    assert after["output_bytes"] == len(expect(FILE).output)


def test_a_job_says_when_it_stands_still(user):
    job = begin(user, FILE)
    claims.take(SyncJob, job.pk)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE stocksync_syncjob SET heartbeat_at = now() - interval '1 minute'")
    assert progress.snapshot(fresh(job))["silent_seconds"] > 50
    assert sweep.forgotten_jobs() == [job.pk]


def test_there_is_no_other_clock(user):
    with pytest.raises(ValueError):
        service.begin(user, stored(FILE), "sundial")
    assert StoredFile.objects.count() == 1
    assert not SyncJob.objects.exists()

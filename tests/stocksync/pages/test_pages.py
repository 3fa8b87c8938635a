"""History, one job, and who may do what."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from stocksync.jobs import sweep
from stocksync.models import SyncJob

from .conftest import advanced
from .histories import MIXED, created, lines
from .reading import text

pytestmark = pytest.mark.django_db(transaction=True)


class TestHistory:
    def test_without_jobs_it_explains_what_a_file_of_events_is(self, read):
        said = read("/stocksync/")
        assert "No jobs yet" in said
        assert said.count('{"type": "Product') == 3
        assert "product 2 gets stock 9" in said

    def test_jobs_are_listed_newest_first_with_their_figures(self, read, done, queued):
        first = done(MIXED, name="first.jsonl")
        queued(MIXED, name="second.jsonl", clock="global")
        said = read("/stocksync/")
        assert said.index("second.jsonl") < said.index("first.jsonl")
        assert f"job {first.pk} · clock per tree · ana" in said
        assert "one clock for all" in said
        assert re.search(r"done 16 6 2 ", said)

    def test_only_rows_are_sent_to_htmx_and_they_refresh_while_something_runs(
        self, client, user, queued
    ):
        client.force_login(user)
        job = queued(MIXED)
        for running in (True, False):
            body = client.get("/stocksync/", headers={"HX-Request": "true"}).content.decode()
            assert body.startswith("<tbody")
            assert ("every 2s" in body) == running
            advanced(job)

    def test_pages_lead_on(self, read, queued):
        for _ in range(26):
            queued(MIXED)
        newest = SyncJob.objects.latest("pk").pk
        assert f"job {newest} ·" in read("/stocksync/")
        oldest = read(f"/stocksync/?before={newest - 24}")
        assert f"job {newest - 25} ·" in oldest and f"job {newest} ·" not in oldest


class TestJob:
    def test_a_queued_one_says_so_and_can_be_cancelled(self, client, user, queued):
        client.force_login(user)
        job = queued(MIXED)
        response = client.get(f"/stocksync/{job.pk}/")
        assert "Waiting for a worker" in text(response)
        assert "Cancel job" in text(response)
        assert b'http-equiv="refresh"' in response.content
        client.post(f"/stocksync/{job.pk}/cancel/")
        assert "Cancelling…" in text(client.get(f"/stocksync/{job.pk}/"))
        advanced(job)
        said = text(client.get(f"/stocksync/{job.pk}/"))
        assert said.count("Cancelled after 0 bytes of") == 1
        assert "0 were waiting" in said
        assert "What was refused until then" not in said
        assert "there are no commands and no trees" in said
        assert "Run again" in said

    def test_a_killed_worker_is_said(self, read, queued):
        job = queued(MIXED)
        ago = timezone.now() - timedelta(seconds=30)
        SyncJob.objects.filter(pk=job.pk).update(
            state="running", started_at=ago, heartbeat_at=ago, read_bytes=10
        )
        assert "No sign of the worker for 30 s; another one takes over" in read(
            f"/stocksync/{job.pk}/"
        )

    def test_an_error_is_said_before_and_after_the_end(self, read, queued):
        job = queued(MIXED)
        SyncJob.objects.filter(pk=job.pk).update(state="running", error="OSError: disk full")
        assert "A step failed and is tried again: OSError: disk full" in read(
            f"/stocksync/{job.pk}/"
        )
        SyncJob.objects.filter(pk=job.pk).update(state="failed", finished_at=timezone.now())
        said = read(f"/stocksync/{job.pk}/")
        assert "OSError: disk full" in said and "tried again" not in said

    def test_of_one_that_failed_the_refused_lines_are_shown(self, read, done, settings):
        settings.STOCKSYNC_OUTPUT_MAX_BYTES = 150
        settings.STOCKSYNC_STEP_BYTES = 520
        said = read(f"/stocksync/{done(MIXED).pk}/")
        assert "The commands take more than 150 bytes" in said
        assert "there are no commands and no trees" in said
        assert "What was refused until then" in said and "no event at all" in said
        assert "Failed after" in said and "once what made it fail is mended" in said

    def test_one_that_is_done_has_its_figures_and_reasons(self, read, done):
        said = read(f"/stocksync/{done(MIXED).pk}/")
        assert "Done: 16 events gave 6 commands; 5 events did not take effect" in said
        for tile in ("16 events", "11 took effect", "1 stale", "2 refused", "2 never created"):
            assert tile in said
        assert "not one whole event 1" in said and "unknown type 1" in said
        assert "7 products · 3 trees" in said

    def test_of_a_file_of_something_else_every_line_is_refused_with_a_hint(self, read, done):
        hint = "Every line was refused. Is this a file of events, one in each line?"
        said = read(f"/stocksync/{done(lines('{', 'type: x', '}')).pk}/")
        assert hint in said and "Done: 3 events gave 0 commands" in said
        assert "cut off: an event must be on one line" in read(
            f"/stocksync/{SyncJob.objects.latest('pk').pk}/not-applied/"
        )
        assert hint not in read(f"/stocksync/{done(MIXED).pk}/")
        empty = read(f"/stocksync/{done(lines('// nothing')).pk}/")
        assert hint not in empty and "The file has no events, only blank lines or comments" in empty

    def test_a_refused_line_is_there_whole_however_long(self, read, done, settings):
        long = f"{{'type': 'ProductMoved', 'note': '{'x' * 5000} end'}}"
        for kept in (1000, 0):
            settings.STOCKSYNC_TRACE_EVENTS = kept
            job = done(lines(created(1, 1), created(2, 2), long))
            assert long in read(f"/stocksync/{job.pk}/not-applied/")

    def test_trees_are_filtered(self, read, done):
        job = done(MIXED)
        assert "sold out 1 of 2 active" in read(f"/stocksync/{job.pk}/trees/?show=sold-out")
        said = read(f"/stocksync/{done(lines(created(1, 1))).pk}/trees/?show=sold-out")
        assert "No tree is sold out" in said

    def test_commands_are_listed_with_their_cause(self, read, done):
        said = read(f"/stocksync/{done(MIXED).pk}/commands/")
        assert "6 commands" in said
        assert "product 2 gets stock 20 4 product 1: stock 20" in said
        assert "product 10 is ended 12 product 11: stock 0" in said

    def test_what_did_not_take_effect_is_listed_by_kind_and_reason(self, read, done):
        address = f"/stocksync/{done(MIXED).pk}/not-applied/"
        said = read(address)
        assert "Refused 2 Never created 2 Stale 1" in said
        assert "no event at all" in said and '"ProductMoved"' in said
        only = read(f"{address}?show=refused&code=malformed")
        assert "no event at all" in only and '"ProductMoved"' not in only
        assert "128 is not newer than 129, the last stock of this tree" in read(
            f"{address}?show=stale"
        )
        assert "product 4 was never created" in read(f"{address}?show=never_created")

    def test_a_part_alone_is_sent_to_htmx(self, client, user, done):
        client.force_login(user)
        address = f"/stocksync/{done(MIXED).pk}/"
        body = client.get(address, headers={"HX-Request": "true"}).content.decode()
        assert body.strip().startswith('<div id="job"') and "data-ended" in body

    def test_it_is_run_again_with_either_clock(self, client, user, done):
        client.force_login(user)
        job = done(MIXED)
        for clock in ("tree", "global"):
            response = client.post(f"/stocksync/{job.pk}/repeat/", {"clock": clock})
            again = SyncJob.objects.latest("pk")
            assert response["Location"] == f"/stocksync/{again.pk}/"
            assert (again.repeats_id, again.clock, again.events_id) == (
                job.pk,
                clock,
                job.events_id,
            )
        advanced(again)
        said = text(client.get(response["Location"]))
        assert f"Compare with job {job.pk}" in said and f"again of job {job.pk}" in said

    def test_one_that_can_not_be_repeated_says_why(self, client, user, queued):
        client.force_login(user)
        job = queued(MIXED)
        response = client.post(f"/stocksync/{job.pk}/repeat/", {"clock": "tree"}, follow=True)
        assert "This job has not ended yet" in text(response)
        assert SyncJob.objects.count() == 1

    def test_of_a_purged_one_the_figures_stay(self, read, done, settings):
        job = done(MIXED)
        settings.STOCKSYNC_KEEP_DAYS = 1
        SyncJob.objects.update(finished_at=timezone.now() - timedelta(days=2))
        sweep.purge()
        job.refresh_from_db()
        assert job.purged_at is not None
        for tab in ("", "trees/", "commands/", "not-applied/"):
            said = read(f"/stocksync/{job.pk}/{tab}")
            assert "What this job found was deleted" in said
            assert "16 events" in said and "Run again" not in said
        assert "What this job found was deleted" in read(f"/stocksync/{job.pk}/products/1/", 404)
        read(f"/stocksync/{job.pk}/trees/1/", 404)

    def test_of_too_many_events_only_the_products_are_kept(self, read, done, settings):
        settings.STOCKSYNC_TRACE_EVENTS = 5
        job = done(MIXED)
        said = read(f"/stocksync/{job.pk}/not-applied/")
        assert "too many events" in said and "7 an event begins with { (not JSON" in said
        assert "16 product 5 was never created" in said
        assert "product 2 gets stock 20" in read(f"/stocksync/{job.pk}/commands/")
        said = read(f"/stocksync/{job.pk}/trees/1/")
        assert "too many events" in said and "What came of it" not in said
        assert "too many events" in read(f"/stocksync/{job.pk}/products/4/", 404)


class TestRights:
    def test_viewers_read_everything_and_are_offered_no_change(self, client, viewer, done, queued):
        client.force_login(viewer)
        job, other = done(MIXED), queued(MIXED)
        for address in (
            "",
            f"{job.pk}/",
            f"{job.pk}/commands/",
            f"{job.pk}/not-applied/",
            f"{job.pk}/trees/1/",
            f"{job.pk}/products/4/",
            f"{other.pk}/",
            f"compare/?a={job.pk}&b={other.pk}",
        ):
            response = client.get(f"/stocksync/{address}")
            assert response.status_code == 200
            said = text(response)
            for offer in ("New job", "Run again", "Cancel job"):
                assert offer not in said, address
        assert client.get(f"/stocksync/{job.pk}/output.jsonl").status_code == 200

    def test_viewers_change_nothing(self, client, viewer, done, queued):
        client.force_login(viewer)
        job, other = done(MIXED), queued(MIXED)
        assert client.get("/stocksync/new/").status_code == 403
        assert client.post("/stocksync/new/", {"clock": "tree"}).status_code == 403
        assert client.post(f"/stocksync/{job.pk}/repeat/").status_code == 403
        assert client.post(f"/stocksync/{other.pk}/cancel/").status_code == 403
        assert SyncJob.objects.count() == 2
        assert not SyncJob.objects.filter(cancel_requested=True).exists()

    def test_without_jobs_viewers_are_told_who_begins_them(self, client, viewer):
        client.force_login(viewer)
        assert "Editors begin jobs" in text(client.get("/stocksync/"))

    def test_nobody_reads_nothing(self, client, done):
        job = done(MIXED)
        for address in ("", "new/", f"{job.pk}/", f"{job.pk}/output.jsonl", "compare/"):
            response = client.get(f"/stocksync/{address}")
            assert response["Location"].startswith("/login/?next=/stocksync/")

    def test_a_change_by_get_is_none(self, client, user, queued):
        client.force_login(user)
        job = queued(MIXED)
        assert client.get(f"/stocksync/{job.pk}/cancel/").status_code == 405
        assert client.get(f"/stocksync/{job.pk}/repeat/").status_code == 405

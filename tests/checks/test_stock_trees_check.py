"""Finished stock sync jobs run again: what is stored otherwise than the events give is found."""

import json

import pytest
from django.db.models import F

from config.checks.kinds import stock_trees
from stocksync.jobs import files
from stocksync.models import FileBlock, SyncJob, SyncProduct, SyncTree
from tests.checks.looking import look, told
from tests.stocksync.jobs import syncing

pytestmark = pytest.mark.django_db(transaction=True)


def event(kind: str, product: int, time: int, **fields: int | None) -> str:
    return json.dumps({"type": kind, "id": product, "timestamp": time, **fields}) + "\n"


EVENTS = "".join(
    (
        event("ProductCreated", 1, 1, stock=5, parent_id=None),
        event("ProductCreated", 2, 2, stock=7, parent_id=1),
        event("ProductCreated", 3, 3, stock=9, parent_id=None),
        event("ProductUpdated", 1, 4, stock=8),
        event("ProductUpdated", 9, 5, stock=1),
        "no event\n",
    )
).encode()


@pytest.fixture
def job(editor) -> SyncJob:
    done = syncing.run(syncing.begin(editor, EVENTS))
    assert done.state == "done", done.error
    assert done.counts["products"] == 3
    return done


def test_right_jobs_are_right(job, editor):
    syncing.run(syncing.begin(editor, EVENTS, "global"))
    outcome = look("stock-trees")
    assert told(outcome) == []
    assert outcome.summary == (
        "4 trees of 2 jobs looked at, 2 jobs run again from the stored events."
    )


def test_a_job_that_went_through_checkpoints_is_right(editor, settings, monkeypatch):
    syncing.step_by_step(settings, monkeypatch, 100)
    syncing.run(syncing.begin(editor, EVENTS))
    assert told(look("stock-trees")) == []


def test_an_uneven_tree_is_found_by_the_rule_and_by_the_run(job):
    SyncProduct.objects.filter(product_id=2).update(stock=7)
    assert told(look("stock-trees")) == [
        f"job {job.pk}, product 2: has stock 7, its tree has 8",
        f"job {job.pk}, product 2: is stored as product 2 with stock 7, active, its events give"
        " product 2 with stock 8, active",
    ]


def test_missing_products_and_wrong_trees_are_found(job):
    SyncProduct.objects.filter(product_id=3).delete()
    SyncTree.objects.filter(root_id=1).update(active=F("active") - 1)
    said = "\n".join(told(look("stock-trees")))
    assert f"job {job.pk}, tree 3: 1 products, 1 active, say its counts; there are 0" in said
    assert f"job {job.pk}, tree 1: 2 products, 1 active" in said
    assert f"job {job.pk}, product 3: is missing" in said


def test_other_bytes_in_the_output_are_found(job):
    block = FileBlock.objects.filter(file=job.output_id).earliest("offset")
    changed = bytes(block.data).replace(b'"stock": 8', b'"stock": 6', 1)
    assert changed != bytes(block.data)
    FileBlock.objects.filter(pk=block.pk).update(data=changed)
    (said,) = told(look("stock-trees"))
    assert said.startswith(f"job {job.pk}, output: its output")


def test_wrong_counts_and_rejects_are_found(job):
    SyncJob.objects.filter(pk=job.pk).update(counts={**job.counts, "stale": 4})
    files.append(job.rejects_id, b"{}\n")
    said = "\n".join(told(look("stock-trees")))
    assert f"job {job.pk}, stale: 4 in the job's counts, 0 by its events" in said
    assert f"job {job.pk}, rejects: " in said


def test_lost_bytes_are_found(job):
    FileBlock.objects.filter(file=job.events_id).delete()
    (said,) = told(look("stock-trees"))
    assert said == f"job {job.pk}: bytes of its events or output are missing"


def test_it_says_what_it_did_not_look_at(job, monkeypatch):
    monkeypatch.setattr(stock_trees, "MOST_BYTES", 10)
    assert "1 job too large" in look("stock-trees").summary
    SyncJob.objects.all().delete()
    outcome = look("stock-trees")
    assert (outcome.looked_at, outcome.found) == (0, 0)
    assert outcome.summary.startswith("There are no finished jobs")

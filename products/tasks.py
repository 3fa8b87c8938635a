"""Celery tasks of the catalogue: ids in, one bounded call, safe to run twice."""

from config.celery import app

from .catalogue import bulk, delete_all, search_index, search_rebuild
from .imports import merge, pipeline, staging, sweep, wakeups


@app.task
def advance_import(job_id: int) -> None:
    """Move an import on by one bounded step and queue the next."""
    if pipeline.advance(job_id):
        wakeups.advance(job_id)


@app.task
def sweep_imports() -> None:
    """Bring back imports that nobody works on: after a kill, a lost message, a broker away."""
    sweep.end_frozen_holders()
    for job_id in sweep.forgotten_imports():
        wakeups.advance(job_id)
    staging.drop_leftovers()
    if search_rebuild.is_due():
        search_rebuild.request()


# Alone it is not bounded in time: some seconds for 500,000 products, minutes for millions.
@app.task(time_limit=4 * 3600, soft_time_limit=4 * 3600 - 60)
def build_search_index() -> None:
    """Build the index that searches need, after an import that went on without it."""
    if search_rebuild.is_due():
        search_index.build()


@app.task
def analyze_catalogue() -> None:
    """Refresh the planner's statistics after many writes, and the search index."""
    search_index.tidy()
    merge.analyze()


@app.task
def advance_bulk_change(bulk_id: int) -> None:
    """Move a bulk change on by some seconds and queue the rest."""
    if bulk.advance(bulk_id):
        bulk.wake(bulk_id)


@app.task
def sweep_bulk_changes() -> None:
    """Bring back what nobody works on: bulk changes, and the count of a delete all."""
    for bulk_id in bulk.forgotten():
        bulk.wake(bulk_id)
    for deletion_id in delete_all.uncounted().values_list("pk", flat=True):
        delete_all.count_kept(deletion_id)

"""Celery tasks of checks: one bounded call each, safe to run twice."""

from config.celery import app
from config.jobs.wakeups import wake

from . import running
from .models import Origin

# What the nightly comparisons of ledger and orders have found shortly before is not made again.
NIGHT_SECONDS = 2 * 3600


@app.task
def advance() -> None:
    """Run the next check that waits, and queue the one behind it."""
    if running.advance():
        wake("config.checks.tasks.advance")


@app.task
def sweep() -> None:
    """Bring back runs that nobody works on: after a kill, a lost message, a broker away."""
    if running.waiting():
        wake("config.checks.tasks.advance")


@app.task
def run_all() -> None:
    """Each night: all checks. What they find are rows that the page shows."""
    running.start(origin=Origin.NIGHT, options={"reuse_seconds": NIGHT_SECONDS})

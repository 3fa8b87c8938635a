"""Wakes a worker once the current transaction commits. Losing a wake-up is harmless: the sweep.

Tasks are sent by name, so that services need not import the tasks that call them.
"""

from django.db import transaction
from kombu.exceptions import OperationalError

from config.celery import app
from config.outage import Outage

_outage = Outage("wake-ups of workers")


def advance(job_id: int) -> None:
    """Have a worker move the import on."""
    transaction.on_commit(lambda: _send("products.tasks.advance_import", job_id))


def analyze_catalogue() -> None:
    """Have a worker refresh the planner's statistics (else autovacuum does, later)."""
    transaction.on_commit(lambda: _send("products.tasks.analyze_catalogue"))


def _send(task: str, *arguments: object) -> None:
    """One try: a request that brings bytes must not wait for a broker that does not answer."""
    if _outage.holds():
        return
    try:
        app.send_task(task, arguments, retry=False)
    except (OperationalError, OSError) as error:
        _outage.begin(error)
    else:
        _outage.end()

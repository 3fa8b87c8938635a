"""Wakes a worker once the current transaction commits. Losing a wake-up is harmless: the sweep.

Tasks are sent by name, so that services need not import the tasks that call them.
"""

from django.db import transaction
from kombu.exceptions import OperationalError

from config.celery import app
from config.outage import Outage

_outage = Outage("wake-ups of workers")


def wake(task: str, *arguments: object) -> None:
    """Send `task` (its full name) after the commit."""
    transaction.on_commit(lambda: _send(task, arguments))


def _send(task: str, arguments: tuple[object, ...]) -> None:
    """One try: a request must not wait for a broker that does not answer."""
    if _outage.holds():
        return
    try:
        app.send_task(task, arguments, retry=False)
    except (OperationalError, OSError) as error:
        _outage.begin(error)
    else:
        _outage.end()

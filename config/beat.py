"""`celery beat`, which ends when it is told to."""

import signal
from typing import Any

from celery import beat
from celery.apps.beat import Beat as CelerysBeat
from django.conf import settings

from config.logs.setup import is_json
from config.operations.processes import Heartbeat

REPEAT_SECONDS = 1


class Beat(CelerysBeat):
    """Celery's, with handlers of its own of the signals that end it, and no banner among JSON.

    Celery's handler closes the connection and then raises SystemExit. Where a task is just being
    sent through that connection, what cleans up after it fails on what is closed: its error takes
    the place of SystemExit and is logged as one of the task, and beat goes on.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.quiet = self.quiet or is_json(settings.LOGGING)

    def install_sync_handler(self, service: beat.Service) -> None:
        """Leave closing to the service, which does so at its end."""

        def stop(*_: Any) -> None:
            # And again until it has ended: what is raised in a finalizer is lost.
            signal.alarm(REPEAT_SECONDS)
            raise SystemExit

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
            signal.signal(number, stop)

    def start_scheduler(self) -> None:
        """Run until it is told to end."""
        heartbeat = Heartbeat("beat")
        heartbeat.start()
        try:
            super().start_scheduler()
        finally:
            signal.alarm(0)
            heartbeat.end()

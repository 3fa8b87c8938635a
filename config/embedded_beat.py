"""Ends a worker whose embedded beat (`worker -B`) has died. config/celery.py adds it to workers."""

import logging
import threading
from typing import Any

from celery import bootsteps
from celery.apps.worker import Worker
from celery.worker import state

logger = logging.getLogger(__name__)

EXIT_FAILED = 1
LOOK_SECONDS = 2.0


class LeaveWithBeat(bootsteps.StartStopStep):
    """Watches the process that `-B` forks: Celery would go on without it, and no sweep would run.

    The supervisor starts the worker again, and beat with it.
    """

    requires = ("celery.worker.components:Beat",)
    conditional = True

    def __init__(self, worker: Worker, beat: bool = False, **options: Any) -> None:
        super().__init__(worker, beat=beat, **options)
        self.enabled = beat
        self._ending = threading.Event()

    def start(self, worker: Worker) -> None:
        threading.Thread(target=self._watch, args=(worker,), name="beat watch", daemon=True).start()

    def close(self, worker: Worker) -> None:
        self._ending.set()

    def _watch(self, worker: Worker) -> None:
        while not self._ending.wait(LOOK_SECONDS):
            if state.should_stop is not None or state.should_terminate is not None:
                return  # its end is part of ours: a stop reaches both
            if not worker.beat.is_alive():
                logger.critical("the embedded beat has died: the worker leaves")
                state.should_stop = EXIT_FAILED
                return

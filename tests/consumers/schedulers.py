"""Schedulers that are told to end where it is hard to hear (`celery beat -S tests.consumers…`)."""

import os
import signal
import time
from typing import Any

from celery import beat


class InSending(beat.Scheduler):
    """While it sends: what cleans up after that needs what it sends through."""

    def apply_async(self, entry: Any, producer: Any = None, **options: Any) -> Any:
        connection = producer.connection
        try:
            result = super().apply_async(entry, producer=producer, **options)
            os.kill(os.getpid(), signal.SIGTERM)
            return result
        finally:
            if not connection.connected:
                raise ValueError("what it sends through is closed")


class InFinalizer(beat.Scheduler):
    """Once, where Python drops what is raised; then it would sleep for a long time."""

    def tick(self, *_: Any, **__: Any) -> float:
        Finalizer()
        return 300.0


class Finalizer:
    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0)  # heard here at the latest

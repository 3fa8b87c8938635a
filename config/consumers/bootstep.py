"""Hosts consumers in a Celery worker: `celery -A config.celery worker -P solo --consumer NAME`."""

import signal
from typing import Any

import click
from celery import bootsteps, signals
from celery.apps.worker import Worker
from celery.concurrency.solo import TaskPool as SoloPool
from celery.concurrency.thread import TaskPool as ThreadPool
from celery.worker import state
from django.conf import settings

from .host import EXIT_FAILED, Host
from .registry import UnknownConsumer, make_consumers, queue_name


class HostConsumers(bootsteps.StartStopStep):
    """Worker step that owns the consumers' threads. Inactive where no consumer is named.

    It starts after embedded beat, which is forked: a child must not inherit clients.
    """

    requires = (
        "celery.worker.components:Timer",
        "celery.worker.components:Pool",
        "celery.worker.components:Beat",
    )
    conditional = True

    def __init__(self, worker: Worker, consumer: list[str] | None = None, **options: Any) -> None:
        """Refuse what can't work before anything starts. Raises click.UsageError."""
        super().__init__(worker, **options)
        own_worker = bool(consumer)
        names = consumer or settings.CONSUMERS
        self.enabled = bool(names)
        if not self.enabled:
            return
        if worker.pool_cls not in (SoloPool, ThreadPool):
            raise click.UsageError(
                f"a worker that hosts consumers ({', '.join(names)}) needs -P solo or -P threads: "
                "the children of other pools would inherit their clients"
            )
        try:
            consumers = make_consumers(names)
        except UnknownConsumer as error:
            raise click.UsageError(f"variable CONSUMERS: {error}") from None
        if own_worker:
            self._take_no_tasks(worker, names)
        # Nobody asks these workers for their neighbours or their task events, and each is one more
        # reason to talk to Redis.
        worker.options.update(without_gossip=True, without_mingle=True, without_heartbeat=True)
        self._host = Host(
            consumers,
            drain_seconds=settings.CONSUMER_DRAIN_SECONDS,
            tasks_beside=not own_worker,
            on_crash=self._leave,
        )

    def _take_no_tasks(self, worker: Worker, names: list[str]) -> None:
        # A crashed consumer's worker can't leave before its running task has ended.
        queues = worker.app.amqp.queues
        own = {queue_name(name) for name in names}
        wanted = set(queues.consume_from)
        if wanted == set(queues):  # no -Q
            queues.select(sorted(own))
        elif not wanted <= own:
            raise click.UsageError(
                f"a worker started with --consumer takes no tasks: -Q {','.join(sorted(own))} or "
                "no -Q at all (the variable CONSUMERS hosts consumers beside tasks)"
            )

    def start(self, worker: Worker) -> None:
        signals.worker_shutting_down.connect(self._on_signal, weak=False)
        self._host.start()

    def close(self, worker: Worker) -> None:
        # The worker stops for a reason of its own, or because of a signal that we know of already.
        self._host.stop()

    def stop(self, worker: Worker) -> None:
        self._host.join()
        worker.exitcode = worker.exitcode or self._host.exit_code

    def terminate(self, worker: Worker) -> None:
        # A cold shutdown waits for nobody; Celery itself would exit 0.
        worker.exitcode = worker.exitcode or EXIT_FAILED

    def _on_signal(self, sig: str, how: str, **_: Any) -> None:
        # Called in the signal handler. Celery's second SIGINT is a cold shutdown like SIGQUIT.
        self._host.signalled(signal.Signals["SIGQUIT" if how == "Cold" else sig])

    def _leave(self) -> None:
        # The main thread looks at this in its loop and between attempts to reach the broker;
        # where it hangs in one, the host ends the process.
        state.should_stop = EXIT_FAILED

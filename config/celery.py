"""The Celery application. Started by `celery -A config.celery worker` and `beat`."""

import gc
import logging
import os
import time
from typing import Any

from celery import Celery, current_task, signals
from celery.apps import worker
from celery.bin.base import CeleryOption
from click import BadParameter
from django.conf import settings
from kombu import Exchange, Queue

from config.consumers.registry import UnknownConsumer, check_names, consumer_names, queue_name
from config.logs import task_ids
from config.logs.setup import configure, is_json

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")


def queue(name: str) -> Queue:
    """A queue with an exchange and key of its own name.

    Left to Celery, all would be bound to the default queue's, so that a message routed through that
    exchange would reach every one of them.
    """
    return Queue(name, Exchange(name), routing_key=name)


def known(names: tuple[str, ...]) -> list[str]:
    """`names` if all are consumers. Raises click.BadParameter with those there are.

    Here, since Celery would first complain about the missing queue and hide the reason. Their
    classes can't be imported yet: Django is not set up.
    """
    try:
        return check_names(names)
    except UnknownConsumer as error:
        raise BadParameter(str(error)) from None


# Header of a message: when it was sent, in seconds since 1970.
SENT_AT = "sent_at"

app = Celery("stockroom")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.task_queues = [
    queue(name)
    for name in ("default", "imports", "performance", *map(queue_name, consumer_names()))
]
app.autodiscover_tasks()
# Packages with tasks that are no Django app.
app.autodiscover_tasks(
    ["config.retention", "streaming.prices", "transactions.ledger", "transactions.orders"]
)
app.Beat = app.subclass_with_self("config.beat:Beat")

app.steps["worker"].add("config.consumers.bootstep:HostConsumers")
app.steps["worker"].add("config.embedded_beat:LeaveWithBeat")
app.user_options["worker"].add(
    CeleryOption(
        ["--consumer"],
        multiple=True,
        metavar="NAME",
        callback=lambda _context, _option, names: known(names),
        help_group="Consumers",
        help="Host this consumer, and take no tasks. Repeatable. Needs -P solo or threads. "
        "Without it the variable CONSUMERS names consumers hosted beside the tasks.",
    )
)


@signals.setup_logging.connect
def use_our_logging(**_: Any) -> None:
    """Keep LOGGING for Celery's processes; a receiver keeps Celery from setting up its own.

    worker_hijack_root_logger=False would still put the root logger at `--loglevel`, WARNING unless
    given, and give the task logger a handler and format of its own.
    """
    configure(settings.LOGGING)


@signals.celeryd_init.connect
def write_json_only(instance: Any, **_: Any) -> None:
    """Keep a worker's banner, and what it prints when it is told to end, out of JSON's lines."""
    if is_json(settings.LOGGING):
        instance.quiet = True
        # `print` in all but name, and the consumers' host and the supervisor say the same.
        worker.safe_say = lambda *_: None


signals.before_task_publish.connect(task_ids.give)
signals.task_prerun.connect(task_ids.take)
signals.task_postrun.connect(task_ids.leave)


class JobFilter(logging.Filter):
    """Gives log records `job`: ` name[id]` of the running task or ` consumer.name`, else empty.

    And `task` with `task_id`, or `consumer`, for JSON.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        record.job = ""
        if current_task and current_task.request.id:
            record.task, record.task_id = current_task.name, current_task.request.id
            record.job = f" {record.task}[{record.task_id}]"
        elif record.threadName and record.threadName.startswith("consumer."):
            record.consumer = record.threadName.removeprefix("consumer.")
            record.job = f" {record.threadName}"
        return True


@signals.before_task_publish.connect
def say_when(headers: dict[str, Any] | None = None, **_: Any) -> None:
    """Let a message tell how old it is: operations reads the oldest one of a queue."""
    if headers is not None:
        headers[SENT_AT] = time.time()


@signals.worker_ready.connect
def beat_as_worker(sender: Any, **_: Any) -> None:
    """Show that this worker lives, in each role that it has. Consumers have beats of their own."""
    from config.operations.processes import Heartbeat

    queues = sender.app.amqp.queues.consume_from
    tasks = [name for name in queues if not name.startswith("consumer.")]
    roles = {"performance" if name == "performance" else "worker" for name in tasks}
    beats = [Heartbeat(role) for role in sorted(roles)]
    signals.worker_shutdown.connect(lambda **_: [each.end() for each in beats], weak=False)
    for each in beats:
        each.start()


@signals.beat_embedded_init.connect
def beat_as_beat(**_: Any) -> None:
    """Show that the beat of `worker -B` lives; config/beat.py does for one of its own."""
    from config.operations.processes import Heartbeat

    Heartbeat("beat").start()


@signals.worker_before_create_process.connect
def leave_memory_shared(**_: Any) -> None:
    """Keep the garbage collector of forked children from writing to what was there before.

    Seen with `performance`: 15 to 19 MiB of a child's own instead of 56 to 60.
    """
    gc.freeze()

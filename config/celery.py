"""The Celery application. Started by `celery -A config.celery worker` and `beat`."""

import gc
import logging.config
import os
from typing import Any

from celery import Celery, current_task, signals
from celery.bin.base import CeleryOption
from click import BadParameter
from django.conf import settings
from kombu import Exchange, Queue

from config.consumers.registry import UnknownConsumer, check_names, consumer_names, queue_name

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


app = Celery("stockroom")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.task_queues = [
    queue(name)
    for name in ("default", "imports", "performance", *map(queue_name, consumer_names()))
]
app.autodiscover_tasks()
# Packages with tasks that are no Django app.
app.autodiscover_tasks(["streaming.prices", "transactions.ledger", "transactions.orders"])
app.Beat = app.subclass_with_self("config.beat:Beat")

app.steps["worker"].add("config.consumers.bootstep:HostConsumers")
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
    logging.config.dictConfig(settings.LOGGING)


class JobFilter(logging.Filter):
    """Gives log records `job`: ` name[id]` of the running task or ` consumer.name`, else empty."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.job = ""
        if current_task and current_task.request.id:
            record.job = f" {current_task.name}[{current_task.request.id}]"
        elif record.threadName and record.threadName.startswith("consumer."):
            record.job = f" {record.threadName}"
        return True


@signals.worker_before_create_process.connect
def leave_memory_shared(**_: Any) -> None:
    """Keep the garbage collector of forked children from writing to what was there before.

    Seen with `performance`: 15 to 19 MiB of a child's own instead of 56 to 60.
    """
    gc.freeze()

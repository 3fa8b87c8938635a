"""Which consumers there are: settings.CONSUMER_CLASSES, name → dotted path of the class."""

import threading
from collections.abc import Iterable
from typing import Any, Protocol

from django.conf import settings
from django.utils.module_loading import import_string


class Consumer(Protocol):
    """What a consumer class offers. It is made without arguments, in the main thread."""

    def run(self, stop: threading.Event) -> None:
        """Consume until `stop` is set, then finish or give back what is held, and return.

        Runs in a thread of its own and makes its clients itself. Anything raised, and returning
        before `stop` is set, is a crash: the process exits 1 and its supervisor starts it again.
        """

    def health(self) -> dict[str, Any]:
        """What an operator wants to see, ready for JSON; called from another thread, often."""


class UnknownConsumer(LookupError):
    """A name that CONSUMER_CLASSES does not have. The text lists those it has."""


def consumer_names() -> list[str]:
    """Names of all known consumers, sorted."""
    return sorted(settings.CONSUMER_CLASSES)


def queue_name(consumer: str) -> str:
    """Queue of the worker that hosts `consumer`. Nobody sends to it: such a worker has no tasks."""
    return f"consumer.{consumer}"


def check_names(names: Iterable[str]) -> list[str]:
    """`names` without repetitions. Raises UnknownConsumer."""
    wanted = list(dict.fromkeys(names))
    unknown = [name for name in wanted if name not in settings.CONSUMER_CLASSES]
    if unknown:
        known = ", ".join(consumer_names()) or "none (CONSUMER_CLASSES is empty)"
        raise UnknownConsumer(f"unknown consumer {', '.join(unknown)}; known: {known}")
    return wanted


def make_consumers(names: Iterable[str]) -> dict[str, Consumer]:
    """One new consumer per name. Django must be set up.

    Raises UnknownConsumer, and ImportError when a class can't be imported.
    """
    return {name: import_string(settings.CONSUMER_CLASSES[name])() for name in check_names(names)}

"""The queues of RabbitMQ: how many messages wait, and how many consumers there are."""

from typing import Any

from config import health
from transactions import operations as transactions
from transactions.queue_depth import depth

Sample = dict[str, Any]
ENGINE = "rabbitmq"


def facts(before: Sample) -> list[dict[str, Any]]:
    """One row a queue; nobody knows how long the oldest message waits without taking it."""
    away = next(
        (each for each in health.engines() if each.name == ENGINE and each.status != "ok"), None
    )
    if away is not None:  # not asked again, which takes seconds and a line in the log each time
        return [
            _row(name, error=f"RabbitMQ is away: {away.detail}")
            for name in transactions.queue_names()
        ]
    return [
        _row(name, found.messages, found.consumers, found.problem) | {"missing": found.missing}
        for name in transactions.queue_names()
        for found in [depth(name)]
    ]


def _row(
    name: str, waiting: int | None = None, consumers: int | None = None, error: str = ""
) -> dict[str, Any]:
    return {
        "name": name,
        "engine": ENGINE,
        "waiting": waiting,
        "oldest_seconds": None,
        "consumers": consumers,
        "error": error,
        "missing": False,
    }

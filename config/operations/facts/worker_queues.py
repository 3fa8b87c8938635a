"""Celery's queues in Redis: how many tasks wait, and for how long the oldest does."""

import json
import time
from typing import Any

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.celery import SENT_AT, app
from config.made_once import made_once

Sample = dict[str, Any]
OF_CONSUMERS = "consumer."  # nobody sends to these
TIMEOUT_SECONDS = 1.0


@made_once
def _client(url: str) -> redis.Redis:
    # Bytes: a message is read, not decoded, where it is none of ours.
    return redis.Redis.from_url(
        url,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 1),
    )


def facts(before: Sample) -> list[dict[str, Any]]:
    """One row a queue. Tasks that a worker has are in none. Raises redis.RedisError."""
    names = [each.name for each in app.conf.task_queues if not each.name.startswith(OF_CONSUMERS)]
    with _client(settings.CELERY_BROKER_URL).pipeline(transaction=False) as pipe:
        for name in names:
            pipe.llen(name)
            pipe.lindex(name, -1)  # kombu pushes on the left and takes from the right
        found = pipe.execute()
    now = time.time()
    return [
        {
            "name": name,
            "engine": "redis",
            "waiting": waiting,
            "oldest_seconds": _age(message, now),
            "consumers": None,
            "error": "",
        }
        for name, waiting, message in zip(names, found[::2], found[1::2], strict=True)
    ]


def _age(message: bytes | None, now: float) -> float | None:
    """None where nothing waits, or its sender did not say when."""
    if message is None:
        return None
    try:
        return round(max(0.0, now - float(json.loads(message)["headers"][SENT_AT])), 3)
    except (ValueError, KeyError, TypeError):
        return None

"""Tasks that only the workers of these tests know (`celery worker -I tests.consumers.jobs`)."""

import logging
import os

import redis

from config.celery import app

logger = logging.getLogger(__name__)


@app.task
def note(item: str) -> None:
    """Append `item` to `<DEMO_KEY>:noted`."""
    with redis.Redis.from_url(os.environ["DEMO_URL"]) as client:
        logger.info("noting %s", item)
        client.rpush(f"{os.environ['DEMO_KEY']}:noted", item)


@app.task
def linger() -> None:
    """Append the own process id to `<DEMO_KEY>:pids`, then wait for `<DEMO_KEY>:release`."""
    key = os.environ["DEMO_KEY"]
    # Without socket_timeout, which the client would otherwise set below the wait.
    with redis.Redis.from_url(os.environ["DEMO_URL"], socket_timeout=None) as client:
        client.rpush(f"{key}:pids", os.getpid())
        client.blpop(f"{key}:release", 60)
        client.rpush(f"{key}:noted", "released")

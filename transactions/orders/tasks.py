"""Celery tasks of orders: one bounded call each, safe to run twice."""

import logging
import time

import django.db
import redis

from config.celery import app

from . import reconciliation, sweeping

logger = logging.getLogger(__name__)

# Below the tasks' time limit, which only prefork keeps.
RECONCILE_SECONDS, SWEEP_SECONDS = 90.0, 20.0


@app.task
def sweep() -> None:
    """Each minute: let go of decisions in Redis that Postgres has for long."""
    try:
        with reconciliation.connected() as client:
            swept = sweeping.sweep(client, time.monotonic() + SWEEP_SECONDS)
    except (redis.RedisError, django.db.Error) as error:
        logger.warning("orders: not all was swept: %s", str(error).strip())
    else:
        if any(swept):
            logger.info("orders: swept %d decisions, kept %d, %d workers gone", *swept)


@app.task
def reconcile() -> None:
    """Each night: is the credit right? The result is a row that the page shows."""
    try:
        outcome = reconciliation.run(until=time.monotonic() + RECONCILE_SECONDS)
    except (redis.RedisError, django.db.Error) as error:
        logger.error("orders: not reconciled: %s", str(error).strip())
    else:
        found = outcome.found
        level = logging.ERROR if found.drifts else logging.INFO
        logger.log(
            level,
            "orders: %d drifts, %d accepted orders of %d users, %.1f s",
            *(found.drifts, found.orders, found.users, outcome.seconds),
        )

"""Celery tasks of the ledger: one bounded call each, safe to run twice."""

import logging
import time

import psycopg2
from django.conf import settings

from config.celery import app

from . import pruning, reconciliation
from .engine import leadership
from .engine.tables import Unready

logger = logging.getLogger(__name__)

# Below the tasks' time limit, which only prefork keeps.
RECONCILE_SECONDS, PRUNE_SECONDS = 90.0, 30.0
DAY_SECONDS = 86_400


@app.task
def reconcile() -> None:
    """Each night: are the balances right? The result is a row that the page shows."""
    try:
        outcome = reconciliation.run(until=time.monotonic() + RECONCILE_SECONDS)
    except Unready as error:
        logger.info("ledger: nothing to reconcile: %s", error)
    except psycopg2.Error as error:
        logger.error("ledger: not reconciled: %s", str(error).strip())
    else:
        report = outcome.report
        level = logging.ERROR if report.drifts else logging.INFO
        logger.log(
            level,
            "ledger: %d drifts, %d transactions, %.1f s",
            *(report.drifts, report.transactions, outcome.seconds),
        )


@app.task
def prune() -> None:
    """Let go of balances, runs, rejects and message ids whose time is over."""
    try:
        connection = leadership.connect(settings.LEDGER_DATABASE_URL, "prune")
    except psycopg2.Error as error:
        logger.warning("ledger: nothing pruned: %s", str(error).strip())
        return
    try:
        keep_seconds = settings.LEDGER_KEEP_DAYS * DAY_SECONDS
        pruning.prune(connection, keep_seconds, time.monotonic() + PRUNE_SECONDS)
    except psycopg2.errors.UndefinedTable:
        pass  # no consumer has run here yet
    except psycopg2.Error as error:
        logger.warning("ledger: not all was pruned: %s", str(error).strip())
    finally:
        connection.close()

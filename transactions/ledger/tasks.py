"""Celery tasks of the ledger: one bounded call each, safe to run twice."""

import logging
import time

import psycopg2

from config.celery import app

from . import reconciliation
from .engine.tables import Unready

logger = logging.getLogger(__name__)

RECONCILE_SECONDS = 90.0  # below the tasks' time limit, which only prefork keeps


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

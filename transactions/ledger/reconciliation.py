"""One reconciliation from beginning to end, for the command and for each night."""

import logging
import time
from typing import Any, NamedTuple

import psycopg2
import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from . import reconciling, repairing
from .drift import Report
from .engine import leadership, tables

logger = logging.getLogger(__name__)

KEYDB_SECONDS = 5.0


class Outcome(NamedTuple):
    """`led`: whether a consumer is at work, which will write the next balances."""

    report: Report
    seconds: float
    repaired: bool
    led: bool


def run(*, repair: bool = False, until: float | None = None) -> Outcome:
    """Compare, repair where that is asked for and sums drift, and keep the result.

    `until` bounds the comparison, by time.monotonic(). Raises tables.Unready and psycopg2.Error,
    which is kept too where the database takes it.
    """
    began = time.monotonic()
    connection = leadership.connect(settings.LEDGER_DATABASE_URL, "reconcile")
    keydb = redis.Redis.from_url(
        settings.KEYDB_URL,
        socket_timeout=KEYDB_SECONDS,
        socket_connect_timeout=KEYDB_SECONDS,
        retry=Retry(NoBackoff(), 1),
    )
    try:
        _prepare(connection)
        try:
            report = reconciling.reconcile(connection, keydb, until)
            repaired = repair and report.sums_drift
            if repaired:
                repairing.repair(connection)
            connection.rollback()
        except psycopg2.Error as error:
            _keep_failure(connection, time.monotonic() - began, str(error).strip())
            raise
        seconds = time.monotonic() - began
        reconciling.keep(connection, seconds, report, repaired=repaired)
        return Outcome(report, seconds, repaired, leadership.is_led(connection))
    finally:
        connection.close()
        keydb.close()


def _prepare(connection: Any) -> None:
    with connection, connection.cursor() as cursor:
        tables.adopt(cursor)
        cursor.execute("SELECT to_regclass('stockroom_ledger.reconciliations')")
        there = cursor.fetchone()[0] is not None
    if not there:  # else its locks would be in the consumer's way
        tables.make_ours(connection)


def _keep_failure(connection: Any, seconds: float, failure: str) -> None:
    try:
        connection.rollback()
        reconciling.keep(connection, seconds, None, failure=failure)
    except psycopg2.Error as error:
        logger.warning("ledger: the failure could not be kept: %s", str(error).strip())

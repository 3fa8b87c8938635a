"""Writes the balances at each full minute, beside the intake and whatever happens to it."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg2
import redis
from psycopg2.extensions import TransactionRollbackError
from redis.backoff import NoBackoff
from redis.retry import Retry

from . import leadership
from .minutes import MINUTE, next_minute, wait_until
from .rollup import TOLERANCE_SECONDS, Rollup, Run

logger = logging.getLogger(__name__)

# Between two minutes new rows are added up this often, so that few are left at the next.
CATCH_UP_SECONDS = 1.0
# So long before the minute nothing large is begun, which could last beyond it.
QUIET_SECONDS = 1.5
# So long before it what came in the quiet time is added up in small parts, so that even thousands
# of rows each second leave little to the minute; and both connections are looked at.
LAST_SECONDS = 0.4
LAST_ROWS = 5_000
RETRY_SECONDS = 1.0
# At the minute, until its tolerance is over.
QUICK_RETRY_SECONDS = 0.05
KEYDB_SECONDS = 0.4
MOST_NAMED = 20


class MinuteThread:
    """A context manager: runs within its block."""

    def __init__(
        self, database_url: str, keydb_url: str, clock: Callable[[], float] = time.time
    ) -> None:
        self.last: Run | None = None
        self._trouble = self._no_numbers = ""
        self._database_url, self._clock = database_url, clock
        self._keydb = redis.Redis.from_url(
            keydb_url,
            socket_timeout=KEYDB_SECONDS,
            socket_connect_timeout=KEYDB_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._due: int | None = None  # the minute that has its turn
        self._failure: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger.minute", daemon=True)

    def __enter__(self) -> "MinuteThread":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._keydb.close()

    @property
    def waiting_for(self) -> str:
        """What it needs, "" for nothing."""
        return self._trouble or self._no_numbers

    def check(self) -> None:
        """Raise what has ended the thread, if anything has."""
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:
            self._failure = error

    def _work(self) -> None:
        while not self._stop.is_set():
            connection: Any = None
            try:
                connection = leadership.connect(self._database_url, "minute")
                rollup = Rollup(connection, self._keydb, self._clock)
                while not self._stop.is_set():
                    self._one_minute(rollup)
            except psycopg2.Error as error:
                self._say(f"PostgreSQL: {str(error).strip()}")
                self._stop.wait(QUICK_RETRY_SECONDS if self._at_the_minute() else RETRY_SECONDS)
            finally:
                if connection is not None:
                    connection.close()

    def _at_the_minute(self) -> bool:
        if self._due is None:
            return False
        return -QUIET_SECONDS < self._clock() - self._due < TOLERANCE_SECONDS

    def _one_minute(self, rollup: Rollup) -> None:
        if self._due is None:
            self._due = next_minute(self._clock())
        try:
            self._write_when_due(rollup, self._due)
        except TransactionRollbackError as error:
            # A repair came between; nothing is lost by it, all is read anew.
            logger.info("ledger: added up once more: %s", str(error).strip())
        else:
            self._due = None

    def _write_when_due(self, rollup: Rollup, minute: int) -> None:
        while (left := minute - self._clock()) > QUIET_SECONDS and not self._stop.is_set():
            if left > MINUTE:  # the clock was set back
                return
            rollup.catch_up(minute - QUIET_SECONDS)
            self._say("")
            self._stop.wait(min(CATCH_UP_SECONDS, max(0.0, left - QUIET_SECONDS)))
        if left > LAST_SECONDS and wait_until(minute - LAST_SECONDS, self._stop, self._clock):
            rollup.catch_up(minute - LAST_SECONDS / 2, rows=LAST_ROWS)
            rollup.warm_up()
        if not wait_until(minute, self._stop, self._clock):
            return
        late = self._clock() - minute
        if late > TOLERANCE_SECONDS:
            self._leave_out(rollup, minute, late)
            return
        self.last = run = rollup.write(minute)
        self._say("")
        names = ", ".join(run.unwritten[:MOST_NAMED])
        self._no_numbers = f"a number in place of NaN or Infinity: {names}" if names else ""
        if run.failure:
            logger.error("ledger: no balances of this minute: %s", run.failure)
        else:
            logger.info(
                "ledger: %d balances %.0f ms after the minute, %d new rows",
                *(run.providers, 1000 * (run.lateness_seconds or 0), run.new_rows),
            )
        if run.unwritten:
            count = len(run.unwritten)
            logger.error("ledger: %d balances are NaN or Infinity: %s", count, names)

    def _leave_out(self, rollup: Rollup, minute: int, late: float) -> None:
        """Postgres was away, this process stood still, or the clock was set."""
        why = self._trouble or "This process stood still, or the clock was set."
        failure = f"The minute was over by {late:.1f} s. {why}"
        logger.error("ledger: no balances of this minute: %s", failure)
        rollup.leave_out(minute, failure)

    def _say(self, trouble: str) -> None:
        """Once for each, since it is tried again soon."""
        if trouble and trouble != self._trouble:
            logger.warning("ledger: the balances wait for %s", trouble)
        elif self._trouble and not trouble:
            logger.info("ledger: the balances go on")
        self._trouble = trouble

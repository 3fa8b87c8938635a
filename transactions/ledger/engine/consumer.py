"""Consumer `ledger`: leads, takes messages in, writes balances; waits where an engine is away.

Hosted by a Celery worker or `manage.py run_consumer ledger`; see docs/consumers.md.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pika.exceptions
import psycopg2
from django.conf import settings

from transactions.ledger import board

from . import intake, leadership, tables
from .inbox import Inserted
from .intake import Held, Intake, NotInserted
from .leadership import NotLeading
from .minute_thread import MinuteThread
from .tables import Missing, Unready

logger = logging.getLogger(__name__)

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.25, 5.0
BROKER_ERRORS = (pika.exceptions.AMQPError, OSError)


class LedgerConsumer:
    """Transactions of the queue into the table, balances at every full minute."""

    def __init__(self) -> None:
        self._minutes: MinuteThread | None = None
        self._leads = False
        self._in_use = True
        self._waiting_for = ""
        self._wait_seconds = FIRST_WAIT_SECONDS
        self._other_kind = ""
        self._rows = self._repeated = self._rejected = 0
        self._last_batch: int | None = None
        self._last_batch_at: float | None = None

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set, whatever happens to the engines meanwhile."""
        with board.shown(self.health):
            self._run(stop)

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            database: Any = None
            try:
                database = leadership.connect(settings.LEDGER_DATABASE_URL, "intake")
                leadership.take(database)
                self._leads = True
                self._lead(stop, database)
            except (psycopg2.Error, NotLeading, Unready) as error:
                self._say_and_wait(error, stop)
            finally:
                self._leads = False
                if database is not None:
                    with suppress(psycopg2.Error):
                        database.close()

    def _lead(self, stop: threading.Event, database: Any) -> None:
        if not self._adopt(stop, database):
            return
        urls = settings.LEDGER_DATABASE_URL, settings.KEYDB_URL
        with MinuteThread(*urls) as self._minutes:
            while not stop.is_set():
                leadership.sign(database)
                try:
                    self._take_in(stop, database)
                except (Held, *BROKER_ERRORS) as error:
                    self._say_and_wait(error, stop)
                except psycopg2.Error as error:
                    if database.closed:
                        raise
                    # It refuses what is asked, not us: balances go on.
                    self._say_and_wait(error, stop)

    def _adopt(self, stop: threading.Event, database: Any) -> bool:
        """Wait for the tables of others; False where told to stop."""
        tables.make_ours(database)
        while not stop.is_set():
            try:
                with database, database.cursor() as cursor:
                    tables.adopt(cursor)
                    if tables.begin_anew_where_it_is_another(cursor):
                        logger.warning(
                            "ledger: historical_transactions is another table, summed anew"
                        )
                self._in_use = True
                return True
            except Unready as error:
                self._in_use = not isinstance(error, Missing)
                self._say(str(error))
                stop.wait(LONGEST_WAIT_SECONDS)
        return False

    def _take_in(self, stop: threading.Event, database: Any) -> None:
        if not settings.AMQP_URL:
            self._say("the address of RabbitMQ: set AMQP_URL")
            stop.wait(LONGEST_WAIT_SECONDS)
            return
        connection = intake.connect(settings.AMQP_URL)
        try:
            queue = settings.LEDGER_QUEUE
            channel, other_kind = intake.declare(connection, queue)
            if other_kind != self._other_kind:
                logger.warning("ledger: queue %s is of another kind: %s", queue, other_kind)
                self._other_kind = other_kind
            session = Intake(
                *(channel, queue, database),
                connect=lambda: intake.connect(settings.AMQP_URL),
                batch=settings.LEDGER_BATCH,
            )
            sign_at = time.monotonic()
            while not stop.is_set():
                if time.monotonic() >= sign_at:
                    leadership.sign(database)
                    sign_at = time.monotonic() + leadership.SIGN_SECONDS
                if self._minutes is not None:
                    self._minutes.check()
                try:
                    inserted = session.step()
                except NotInserted as error:
                    # What has arrived stays here: a quorum queue counts how often it comes back.
                    self._say_and_wait(error.why, stop, session.serve)
                else:
                    self._note(inserted, session)
        finally:
            with suppress(*BROKER_ERRORS):
                connection.close()

    def _note(self, inserted: Inserted | None, session: Intake) -> None:
        if session.waits_for_receipts:
            self._say("RabbitMQ to take a message: is it out of memory or disk?")
        elif inserted is not None or session.idle:
            self._wait_seconds = FIRST_WAIT_SECONDS
            if self._waiting_for:
                logger.info("ledger goes on")
                self._waiting_for = ""
        if inserted is not None:
            self._rows += inserted.rows
            self._repeated += inserted.repeated
            self._rejected += inserted.rejected
            self._last_batch, self._last_batch_at = sum(inserted), time.time()

    def _say_and_wait(
        self, error: Exception, stop: threading.Event, serve: Callable[[], None] | None = None
    ) -> None:
        """Longer each time, until it goes on. `serve` is called all the while."""
        words = str(error).strip() or type(error).__name__
        if isinstance(error, psycopg2.Error):
            words = f"PostgreSQL: {words}"
        elif isinstance(error, BROKER_ERRORS):
            words = f"RabbitMQ: {words}"
        self._say(words)
        until = time.monotonic() + self._wait_seconds
        while serve is not None and time.monotonic() < until and not stop.is_set():
            serve()
        stop.wait(until - time.monotonic())
        self._wait_seconds = min(2 * self._wait_seconds, LONGEST_WAIT_SECONDS)

    def _say(self, words: str) -> None:
        if words != self._waiting_for:
            logger.warning("ledger waits for %s", words)
        self._waiting_for = words

    def health(self) -> dict[str, Any]:
        """What it waits for, what it took in, how late the last balances were."""
        minutes = self._minutes
        last = minutes.last if minutes is not None else None
        at = self._last_batch_at
        return {
            "leads": self._leads,
            "waiting_for": self._waiting_for or (minutes and minutes.waiting_for) or None,
            "in_use": None if self._in_use else False,
            "rows": self._rows,
            "repeated": self._repeated,
            "rejected": self._rejected,
            "last_batch": self._last_batch,
            "last_batch_at": at and datetime.fromtimestamp(at, UTC).isoformat(),
            "last_minute": last and last.minute,
            "lateness_seconds": last and round(last.lateness_seconds, 3),
            "failure": (last and last.failure) or None,
        }

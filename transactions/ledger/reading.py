"""Reads the ledger's database for pages and API: few connections, kept, which only read.

It may be another one than Django's, and what is slow there must not stop the pages of others.
"""

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import psycopg2
from django.conf import settings

from config.made_once import made_once

logger = logging.getLogger(__name__)

CONNECTIONS = 2  # of each process
TURN_SECONDS = 3.0
CONNECT_SECONDS = 3
STATEMENT_MS = 5_000
Found = TypeVar("Found")


class Away(Exception):
    """The ledger's database can't be read just now. The text says why."""


class Pool:
    """At most CONNECTIONS to one database; for all threads of a process."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._turns = threading.BoundedSemaphore(CONNECTIONS)
        self._kept: deque[Any] = deque()

    def ask(self, query: Callable[[Any], Found]) -> Found:
        """`query(cursor)`, of one moment. Raises Away."""
        if not self._turns.acquire(timeout=TURN_SECONDS):
            raise Away("too many ask at once: try again in a moment")
        try:
            return self._ask(query)
        except psycopg2.Error as error:
            logger.warning("the ledger can't be read: %s", str(error).strip())
            raise Away(_words(error)) from error
        finally:
            self._turns.release()

    def close(self) -> None:
        """Close what nobody uses just now."""
        while self._kept:
            self._kept.pop().close()

    def _ask(self, query: Callable[[Any], Found]) -> Found:
        while self._kept:  # a kept one dies with every restart of the server
            try:
                return self._with(self._kept.pop(), query)
            except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
                if isinstance(error, psycopg2.errors.QueryCanceled):
                    raise
        return self._with(self._connect(), query)

    def _with(self, connection: Any, query: Callable[[Any], Found]) -> Found:
        try:
            with connection, connection.cursor() as cursor:
                found = query(cursor)
        except BaseException:
            with suppress(psycopg2.Error):
                connection.close()
            raise
        self._kept.append(connection)
        return found

    def _connect(self) -> Any:
        connection = psycopg2.connect(
            self._url,
            connect_timeout=CONNECT_SECONDS,
            application_name="stockroom-ledger-pages",
            options=f"-c statement_timeout={STATEMENT_MS} -c lock_timeout=1s -c timezone=UTC",
        )
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        return connection


@made_once
def pool(url: str, process: int) -> Pool:
    """That of this process: connections must not go over a fork."""
    return Pool(url)


def ask(query: Callable[[Any], Found]) -> Found:
    """`query(cursor)` in one transaction that only reads. Raises Away."""
    return pool(settings.LEDGER_DATABASE_URL, os.getpid()).ask(query)


def _words(error: psycopg2.Error) -> str:
    if isinstance(error, psycopg2.errors.QueryCanceled):
        return f"the database needed more than {STATEMENT_MS / 1000:g} s"
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__

"""Kept connections to PostgreSQL: looked at before each use, asked where that is not enough."""

from typing import Any

import pytest
from django.db import connection, connections

from config.database import base
from tests.services.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def other() -> Any:
    """A second connection, of somebody who looks on."""
    made = connection.copy()
    yield made
    made.close()


def ask(asked: Any, statement: str, *values: Any) -> Any:
    with asked.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchone()[0]


def begin_request() -> None:
    """As the handler does before each."""
    for each in connections.all(initialized_only=True):
        each.close_if_unusable_or_obsolete()


def last_statement(other: Any, pid: int) -> str:
    return ask(other, "SELECT query FROM pg_stat_activity WHERE pid = %s", pid)


@pytest.fixture
def pid() -> int:
    """Of the server's process for our connection, which has been used."""
    connection.close()
    return ask(connection, "SELECT pg_backend_pid()")


def look(other: Any, pid: int) -> str:
    """The last statement after a request has looked whether the connection can be used."""
    begin_request()
    connection.close_if_health_check_failed()
    return last_statement(other, pid)


def test_one_that_was_just_used_is_not_asked(other, pid):
    assert look(other, pid) == "SELECT pg_backend_pid()"


def test_one_that_was_idle_for_long_is_asked(other, pid, monkeypatch):
    monkeypatch.setattr(base, "IDLE_SECONDS", 0.0)
    assert look(other, pid) == "SELECT 1"


def test_one_that_had_an_error_is_asked(other, pid):
    connection.errors_occurred = True
    assert look(other, pid) == "SELECT 1"


def test_one_with_something_to_read_is_asked(other, pid):
    ask(connection, "SELECT 1 FROM (SELECT 1) listening; LISTEN news; SELECT 2")
    ask(other, "SELECT pg_notify('news', 'x') IS NULL")
    until(lambda: not base._is_quiet(connection.connection))
    assert look(other, pid) == "SELECT 1"


def test_one_that_the_server_has_ended_is_made_anew(other, pid):
    ask(other, "SELECT pg_terminate_backend(%s, 60000)", pid)
    begin_request()
    assert ask(connection, "SELECT pg_backend_pid()") != pid


def test_one_that_is_closed_is_no_quiet_one(other):
    ask(other, "SELECT 1")
    assert base._is_quiet(other.connection)
    other.connection.close()
    assert not base._is_quiet(other.connection)
    assert not base._is_quiet(None)

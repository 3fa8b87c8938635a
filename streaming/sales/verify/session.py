"""A database session for one verification: temporary tables only, which end with it."""

from collections.abc import Iterable, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, Self

from django.db import DEFAULT_DB_ALIAS, Error, connections

SCRIPTS = [Path(__file__).with_name(name) for name in ("functions.sql", "tables.sql")]
STATEMENT_SECONDS = 120
SETTINGS = {
    "application_name": "'verify_sales'",
    "statement_timeout": f"'{STATEMENT_SECONDS}s'",
    "extra_float_digits": "1",  # a double's text is the shortest that is only its own
    "work_mem": "'64MB'",
    "jit": "off",  # it takes longer than what it speeds up here
    "synchronous_commit": "off",  # nothing is to be kept
}
ESCAPES = str.maketrans(
    {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\ufffd"}
)  # text of COPY


class DatabaseAway(Exception):
    """PostgreSQL can't be used, or needed too long; says why."""


class Session:
    """Its own connection beside Django's, since it is full of temporary things: a context manager.

    A process that is killed leaves nothing: the server drops what is temporary with the session.
    All methods raise DatabaseAway.
    """

    def __init__(self) -> None:
        self._connection = connections[DEFAULT_DB_ALIAS].copy()
        try:
            for name, value in SETTINGS.items():
                self.run(f"SET {name} = {value}")
            encoding = self.value("SHOW server_encoding")
            if encoding != "UTF8":
                raise DatabaseAway(f"The database's encoding is {encoding}; UTF8 is needed.")
            for script in SCRIPTS:
                self.run(script.read_text())
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the session, and with it all that it has made."""
        self._connection.close()

    def run(self, statement: str, values: dict[str, Any] | None = None) -> int:
        """How many rows it was about; -1 where it was about none."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(statement, values)
                return int(cursor.rowcount)
        except Error as error:
            raise DatabaseAway(_in_words(error)) from error

    def rows(self, query: str, values: dict[str, Any] | None = None) -> list[Any]:
        """The rows of a query, as tuples."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(query, values)
                found: list[Any] = cursor.fetchall()
                return found
        except Error as error:
            raise DatabaseAway(_in_words(error)) from error

    def row(self, query: str, values: dict[str, Any] | None = None) -> Any:
        """The first row of a query that has one."""
        return self.rows(query, values)[0]

    def value(self, query: str, values: dict[str, Any] | None = None) -> Any:
        """The first value of the first row."""
        return self.row(query, values)[0]

    def copy(
        self, table: str, columns: str, rows: Iterable[Sequence[int | str | bytes | None]]
    ) -> None:
        """Add rows to a table; `columns` as SQL has them."""
        lines = StringIO("".join("\t".join(map(_field, row)) + "\n" for row in rows))
        try:
            with self._connection.cursor() as cursor:
                cursor.copy_expert(f"COPY {table} ({columns}) FROM STDIN", lines)
        except Error as error:
            raise DatabaseAway(_in_words(error)) from error


def _field(value: int | str | bytes | None) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, bytes):
        return "\\\\x" + value.hex()
    return str(value).translate(ESCAPES)


def _in_words(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"PostgreSQL: {text[:300]}"

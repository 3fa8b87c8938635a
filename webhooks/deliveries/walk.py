"""Walks the log along one of its filters, with the others checked on the way. Used by log.py."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from config.api_input import MAX_ID

# Rows that one page looks at: some ten milliseconds. Only single filters have an index in the
# log's order, and what two share may be rare: the page may then come with few rows or none, and
# the next one looks further.
LOOKED_AT = 20_000

Columns = Mapping[str, int | str]  # the wanted values


@dataclass(frozen=True)
class Walked:
    """Ids of a page, the newest first, and where its neighbours begin (as in listing.Page)."""

    ids: list[int]
    newer: int | None
    older: int | None


def page(
    columns: Columns,
    *,
    since: datetime,
    least: int,
    before: int | None,
    after: int | None,
    size: int,
) -> Walked:
    """The `size` deliveries with these values, made at `since` or later, next to an id.

    `columns` has one to three of endpoint_id, state, event_type; `least` is an id below all that
    were made since then. With `before` these are the nearest ones below it, with `after` the
    nearest above it, else the newest.
    """
    downwards = after is None
    low = least if after is None else max(least, after)
    high = before if downwards and before is not None else MAX_ID
    # By the whole log, not by what is left of it: the same on all pages of a list.
    column = _shortest(columns, least)
    ids, edge = _nearest(column, columns, since, (low, high), size, downwards=downwards)
    full = len(ids) > size
    ids = ids[:size]
    if downwards:
        older = ids[-1] if full else edge
        if before is None:
            return Walked(ids, None, older)
        return Walked(ids, ids[0] if ids else max(0, before - 1), older)
    if not full and edge is None:  # nothing newer is left: this is the first page, filled up
        return page(columns, since=since, least=least, before=None, after=None, size=size)
    newer = ids[-1] if full else edge
    return Walked(ids[::-1], newer, ids[0] if ids else low + 1)


def _nearest(
    column: str,
    columns: Columns,
    since: datetime,
    between: tuple[int, int],
    size: int,
    *,
    downwards: bool,
) -> tuple[list[int], int | None]:
    """Up to `size` + 1 ids between two ids, along `column`, and the last one looked at.

    That one is None where all were looked at, or the page is full.
    """
    by_id = _by_id(column, downwards=downwards)
    walk = f"{_from(column)} {by_id}"
    match = " AND ".join(f"{name} = ANY(%({name})s)" for name in columns)
    # The inner LIMIT keeps the outer conditions out: the walk stops after so many rows. It stops
    # earlier when the page is full. One statement, so that both answers are of the same moment.
    statement = f"""
        WITH hits AS MATERIALIZED (
            SELECT ARRAY(
                SELECT id FROM (SELECT * {walk} LIMIT %(looked_at)s) walked
                WHERE {match} AND created_at >= %(since)s {by_id} LIMIT %(size)s + 1
            ) AS ids
        )
        SELECT ids, CASE WHEN cardinality(ids) <= %(size)s
            THEN ARRAY(SELECT id {walk} OFFSET %(looked_at)s - 1 LIMIT 2) END
        FROM hits
    """
    with connection.cursor() as cursor:
        cursor.execute(statement, {**_values(columns, between), "since": since, "size": size})
        ids, last_and_next = cursor.fetchone()
    return ids, last_and_next[0] if last_and_next and len(last_and_next) == 2 else None


def _shortest(columns: Columns, least: int) -> str:
    """Which column's value has the fewest deliveries with ids above `least`."""
    if len(columns) == 1:
        return next(iter(columns))
    counts = ", ".join(
        f"(SELECT count(*) FROM (SELECT {_from(name)} {_by_id(name, downwards=True)}"
        " LIMIT %(looked_at)s) few)"
        for name in columns
    )
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {counts}", _values(columns, (least, MAX_ID)))
        return min(zip(cursor.fetchone(), columns, strict=True), key=lambda found: found[0])[1]


def _values(columns: Columns, between: tuple[int, int]) -> dict[str, object]:
    return {
        **{name: [value] for name, value in columns.items()},
        "low": between[0],
        "high": between[1],
        "looked_at": LOOKED_AT,
    }


def _from(column: str) -> str:
    return (
        f"FROM webhooks_delivery WHERE {column} = ANY(%({column})s)"
        " AND id > %(low)s AND id < %(high)s"
    )


def _by_id(column: str, *, downwards: bool) -> str:
    """ORDER BY id, among rows with the same value of `column`.

    In such words that only the column's own index has the order: else the planner may walk the
    primary key, past a million others where the last hit is old.
    """
    return f"ORDER BY {column}, id DESC" if downwards else f"ORDER BY {column} DESC, id"

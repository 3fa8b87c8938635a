"""The ways to a page of matching products, each bounded; search.py chooses. SQL of one module.

The planner is told which way to go: left alone it walks the primary key for seconds where
hits are old or none (`ORDER BY id DESC LIMIT 50`), or sorts all hits of a common word.

    walk      the next WALKED rows in the order, those that match: where many do
    all       every hit by the search index, then sorted: where few do
    segments  the newest hits by the search index, 16,384 ids at a time: many hits, all of them old.
              Where a segment has some it is asked in parts of 2,048
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from .cursors import Cursor
from .search_index import PART, PART_BITS, SEGMENT, SEGMENT_BITS
from .search_terms import Condition, both

WALKED = 2_000  # rows looked at: some milliseconds
NEWEST, SKU, NAME = "newest", "sku", "name"
SORTS = (NEWEST, SKU, NAME)
KEYS = {SKU: "lower(sku)", NAME: "lower(name)"}  # besides the id, by order

ALONE = "SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL jit = off; "
BY_BTREE = ALONE + (
    "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off;"
    " SET LOCAL enable_indexscan = on; "
)
BY_BITMAP = ALONE + (
    "SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off;"
    " SET LOCAL enable_indexonlyscan = off; SET LOCAL enable_bitmapscan = on; "
)
SEARCHED = "sku, name, description"

Row = tuple[Any, ...]
"""(id, ) or (id, total)."""


@dataclass(frozen=True)
class Wanted:
    """Which products, in which order, beyond which."""

    match: Condition  # of the words; "" for all products
    active: bool | None
    sort: str
    cursor: Cursor | None
    lookup: Condition | None = None  # the same as `match`, for the search index

    @property
    def descending(self) -> bool:
        backwards = self.cursor is not None and self.cursor.backwards
        return (self.sort == NEWEST) != backwards

    @property
    def order(self) -> str:
        down = " DESC" if self.descending else ""
        keys = [KEYS[self.sort]] if self.sort in KEYS else []
        return ", ".join(f"{key}{down}" for key in (*keys, "id"))

    @property
    def state(self) -> Condition:
        return ("", []) if self.active is None else (f"active = {self.active}", [])

    def beyond(self, *, hidden: bool = False) -> Condition:
        """Products of this page and those after it; `hidden` from indexes, as a mere filter."""
        if self.cursor is None:
            return "", []
        side = "<" if self.descending else ">"
        pk = "id + 0" if hidden else "id"
        if self.sort == NEWEST:
            return f"{pk} {side} %s", [self.cursor.pk]
        values = [self.cursor.key, self.cursor.pk]
        return f"({KEYS[self.sort]}, {pk}) {side} (lower(%s), %s)", values


def walk(wanted: Wanted, limit: int, rows: int = WALKED) -> tuple[list[int], bool]:
    """Ids of up to `limit` matches among the next `rows`, and whether those were all there are."""
    if not wanted.match[0]:
        ids = [row[0] for row in _fetch(BY_BTREE, *_next_rows(wanted, "id", limit))]
        return ids, len(ids) < limit
    inner, values = _next_rows(wanted, f"id, {SEARCHED}", rows)
    match, words = wanted.match
    found = _fetch(
        BY_BTREE, f"SELECT id FROM ({inner}) r WHERE {match} LIMIT %s", [*values, *words, limit]
    )
    if len(found) == limit:
        return [row[0] for row in found], False
    # Fewer matches than asked for: was that because the table ended within the walk?
    seen = _fetch(BY_BTREE, f"SELECT count(*) FROM ({inner}) r", values)
    return [row[0] for row in found], seen[0][0] < rows


def all_sorted(wanted: Wanted, limit: int) -> tuple[list[int], int | None]:
    """Ids of the next `limit` matches, and how many there are on all pages together.

    The number is None where there are none beyond the cursor.
    """
    match, values = both([wanted.lookup or wanted.match, wanted.state])
    key = f"{KEYS[wanted.sort]} AS key, " if wanted.sort in KEYS else ""
    beyond, beyond_values = _of_found(wanted)
    found = _fetch(
        BY_BITMAP,
        f"SELECT id, total FROM (SELECT id, {key}count(*) OVER () AS total"
        f" FROM products_product WHERE {match}) found{beyond}"
        f" ORDER BY {_order_of_found(wanted)} LIMIT %s",
        [*values, *beyond_values, limit],
    )
    return [row[0] for row in found], found[0][1] if found else None


def by_segments(wanted: Wanted, limit: int) -> list[int]:
    """Ids of the next `limit` matches in the order of ids, found segment by segment."""
    newest = _newest()
    start = newest if wanted.cursor is None else wanted.cursor.pk
    match = wanted.lookup or wanted.match
    match, values = both([match, wanted.state, wanted.beyond(hidden=True)])
    step = -1 if wanted.descending else 1
    last = 0 if wanted.descending else newest >> SEGMENT_BITS
    shift = SEGMENT_BITS - PART_BITS
    low, high = f"segment.number << {shift}", f"(segment.number + 1 << {shift}) - 1"
    begin, end = (high, low) if wanted.descending else (low, high)
    # The parts of a segment without a hit are none. They depend on that by their bounds, so
    # that the planner can't try them first.
    found = _fetch(
        BY_BITMAP,
        f"SELECT hit.id FROM generate_series(%s::bigint, %s, {step}) AS segment(number)"
        f" CROSS JOIN LATERAL generate_series({begin}, CASE WHEN EXISTS ("
        f"  SELECT FROM products_product WHERE {SEGMENT} = segment.number AND {match})"
        f" THEN {end} END, {step}) AS part(number)"
        f" CROSS JOIN LATERAL (SELECT id FROM products_product"
        f"  WHERE {PART} = part.number AND {match}"
        f"  ORDER BY {wanted.order} LIMIT %s) hit LIMIT %s",
        [start >> SEGMENT_BITS, last, *values, *values, limit, limit],
    )
    return [row[0] for row in found]


def _newest() -> int:
    found = _fetch(BY_BTREE, "SELECT coalesce(max(id), 0) FROM products_product", [])
    return found[0][0]


def estimate(match: Condition, active: bool | None) -> int:
    """How many products match, as the planner thinks: under a millisecond or two."""
    wanted = Wanted(match, active, NEWEST, None)
    where, values = both([match, wanted.state])
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) SELECT FROM products_product WHERE {where}", values)
        return int(cursor.fetchone()[0][0]["Plan"]["Plan Rows"])


def count(match: Condition, active: bool | None, *, most: int | None = None) -> int:
    """How many products match, exactly; counting ends at `most`."""
    where, values = both([match, Wanted(match, active, NEWEST, None).state])
    limit = "" if most is None else f" LIMIT {most}"
    statement = f"SELECT count(*) FROM (SELECT FROM products_product WHERE {where}{limit}) found"
    # Told too: a walk before it in the same transaction has left its settings.
    return _fetch(BY_BITMAP if match[0] else BY_BTREE, statement, values)[0][0]


def _next_rows(wanted: Wanted, columns: str, limit: int) -> tuple[str, list[Any]]:
    """The next rows in the order by a btree, whether they match or not.

    By name each state has its part of the index, and both are merged.
    """
    by_name = wanted.sort == NAME and wanted.active is None
    parts, values = [], []
    for state in (True, False) if by_name else (wanted.active,):
        one = Wanted(wanted.match, state, wanted.sort, wanted.cursor)
        where, given = both([one.state, one.beyond()])
        parts.append(
            f"(SELECT {columns} FROM products_product WHERE {where}"
            f" ORDER BY {wanted.order} LIMIT {limit})"
        )
        values += given
    if len(parts) == 1:
        return parts[0][1:-1], values
    names = columns if "name" in columns else f"{columns}, name"
    merged = " UNION ALL ".join(part.replace(columns, names, 1) for part in parts)
    return (
        f"SELECT {columns} FROM ({merged}) both_states ORDER BY {wanted.order} LIMIT {limit}",
        values,
    )


def _of_found(wanted: Wanted) -> tuple[str, list[Any]]:
    beyond, values = wanted.beyond()
    for key in KEYS.values():
        beyond = beyond.replace(f"({key}, ", "(key, ")
    return (f" WHERE {beyond}" if beyond else ""), values


def _order_of_found(wanted: Wanted) -> str:
    return wanted.order.replace(KEYS.get(wanted.sort, "-"), "key")


def _fetch(plan: str, statement: str, values: Sequence[Any]) -> list[Row]:
    """Rows of a statement planned as told; one round trip."""
    with connection.cursor() as cursor:
        cursor.execute(plan + statement, values)
        return cursor.fetchall()

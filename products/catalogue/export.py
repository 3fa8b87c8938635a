"""The catalogue as a CSV file that imports again unchanged: for the page and the API.

Read in windows of ids, each by two short queries in a transaction of its own: neither a cursor nor
a snapshot stays open while a client reads slowly, and an import may merge meanwhile. Each product
is there at most once, as it was when its window was read. *Delete all* moves the table away: what
is left would end early and look whole, so the transfer is broken off instead.

Cells are written as they are. A cell that begins with `=` is not changed to keep a spreadsheet
from taking it for a formula, since it would come back changed.
"""

import csv
import io
import logging
from collections.abc import Iterable, Iterator, Sequence

from django.db import connection, transaction
from django.db.models import BigIntegerField, F, Func, Sum, Window
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone

from .filters import Filter
from .kept_tables import TABLE
from .search import matching

HEADER = ("sku", "name", "description", "active")
WINDOW_ROWS = 5_000
PIECE_BYTES = 1024**2  # of descriptions; a piece ends with the one that reaches it
LINE_END = "\r\n"

# Of a long text PostgreSQL knows it without reading the text.
BYTES = Func(F("description"), function="octet_length", output_field=BigIntegerField())
# Both name the table, so that it is the same one of which they tell the oid.
BEGIN = f"SELECT '{TABLE}'::regclass::oid, (SELECT max(id) FROM {TABLE})"
WINDOW = f"""
SELECT '{TABLE}'::regclass::oid,
       (SELECT id FROM {TABLE} WHERE id > %s ORDER BY id OFFSET %s LIMIT 1)"""

logger = logging.getLogger(__name__)


class TableReplaced(Exception):
    """The products were all deleted, or brought back, while they were exported."""


def response(request: HttpRequest, filter: Filter) -> StreamingHttpResponse:
    """The file as a download; nothing of it is read for a HEAD."""
    name = f"products-{timezone.now():%Y-%m-%d}.csv"
    return StreamingHttpResponse(
        () if request.method == "HEAD" else lines(filter),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def lines(filter: Filter) -> Iterator[bytes]:
    """The file in pieces of many lines: a header, then the matching products by ascending id.

    Products that are added meanwhile are not in it. Raises TableReplaced, which breaks the
    transfer off: the client gets no end of the file.
    """
    table, newest = _asked(BEGIN)
    yield written([HEADER])
    after = 0
    while after < (newest or 0):
        after, rows = _window(filter, table, after, newest)
        if rows:
            yield written(map(cells, rows))


def _window(filter: Filter, table: int, after: int, newest: int) -> tuple[int, list[tuple]]:
    """The id up to which the next WINDOW_ROWS products go, and those of them that match.

    Where their descriptions are long it ends earlier, since 5,000 of them may have 200 MB. The
    end is found by the primary key alone, so that it takes as long with any search. The
    transaction keeps the table in its place from the one query to the other.
    """
    with transaction.atomic():
        present, last = _asked(WINDOW, after, WINDOW_ROWS - 1)
        if present != table:
            logger.warning("export broken off after id %s: the table was replaced", after)
            raise TableReplaced("all products were deleted or restored during an export")
        last = newest if last is None else min(last, newest)
        found = matching(filter).filter(pk__gt=after, pk__lte=last).order_by("pk")
        found = found.annotate(bytes_before=Window(Sum(BYTES), order_by="pk") - BYTES)
        few = found.filter(bytes_before__lt=PIECE_BYTES)
        rows = list(few.values_list("sku", "name", "description", "active", "pk"))
    if sum(len(row[2].encode()) for row in rows) >= PIECE_BYTES:
        last = rows[-1][-1]
    return last, [row[:-1] for row in rows]


def _asked(statement: str, *values: int) -> tuple[int, int | None]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchone()


def cells(row: tuple[str, str, str, bool]) -> tuple[str, str, str, str]:
    """The values of HEADER's fields as text."""
    sku, name, description, active = row
    return sku, name, description, "true" if active else "false"


def written(rows: Iterable[Sequence[str]]) -> bytes:
    """Some lines of the file."""
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator=LINE_END).writerows(rows)
    return buffer.getvalue().encode()

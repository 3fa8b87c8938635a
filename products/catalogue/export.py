"""The catalogue as a CSV file that imports again unchanged: for the page and the API.

Read in windows of ids, each by two short queries in transactions of their own: neither a cursor nor
a snapshot stays open while a client reads slowly, and an import may merge meanwhile. Each product
is there at most once, as it was when its window was read.

Cells are written as they are. A cell that begins with `=` is not changed to keep a spreadsheet
from taking it for a formula, since it would come back changed.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from django.db.models import Max
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone

from products.models import Product

from .filters import Filter
from .search import matching

HEADER = ("sku", "name", "description", "active")
WINDOW_ROWS = 5_000
LINE_END = "\r\n"


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

    Products that are added meanwhile are not in it.
    """
    yield written([HEADER])
    newest = Product.objects.aggregate(newest=Max("pk"))["newest"] or 0
    after = 0
    while after < newest:
        last = _window_end(after, newest)
        found = matching(filter).filter(pk__gt=after, pk__lte=last).order_by("pk")
        rows = found.values_list("sku", "name", "description", "active")
        if some := list(rows):
            yield written(map(cells, some))
        after = last


def cells(row: tuple[str, str, str, bool]) -> tuple[str, str, str, str]:
    """The values of HEADER's fields as text."""
    sku, name, description, active = row
    return sku, name, description, "true" if active else "false"


def written(rows: Iterable[Sequence[str]]) -> bytes:
    """Some lines of the file."""
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator=LINE_END).writerows(rows)
    return buffer.getvalue().encode()


def _window_end(after: int, newest: int) -> int:
    """The id up to which the next WINDOW_ROWS products go.

    By the primary key alone, so that it takes as long with any search.
    """
    ids = Product.objects.filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)
    last = ids[WINDOW_ROWS - 1 : WINDOW_ROWS].first()
    return newest if last is None else min(last, newest)

"""Refused lines a few at a time, since each may have 64 KiB: for the API's list and rejects.csv."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import BigIntegerField, F, Func, QuerySet
from rest_framework.request import Request

from config.api_pages import ByLine
from products.models import Import, ImportReject

ROWS_AT_ONCE = 50
PAGE_BYTES = 1024**2


def every(job: Import) -> Iterator[ImportReject]:
    """All of an import by line, with no transaction open while they are used."""
    after = 0
    while found := list(job.rejects.filter(line__gt=after).order_by("line")[:ROWS_AT_ONCE]):
        yield from found
        after = found[-1].line


class RejectPages(ByLine):
    """A page ends early where its lines as given have PAGE_BYTES together."""

    def paginate_queryset(self, queryset: QuerySet, request: Request, view: Any = None) -> list:
        size = Func(F("raw"), function="octet_length", output_field=BigIntegerField())
        rows = queryset.annotate(size=size).values("pk", "line", "size")
        page = super().paginate_queryset(rows, request, view)
        if self.cursor is not None and self.cursor.reverse:
            rest = len(page) - _fitting(row["size"] for row in reversed(page))
            if rest:
                self.has_previous, self.previous_position = True, str(page[rest - 1]["line"])
            self.page = page[rest:]
        else:
            count = _fitting(row["size"] for row in page)
            if count < len(page):
                self.has_next, self.next_position = True, str(page[count]["line"])
            self.page = page[:count]
        whole = queryset.in_bulk([row["pk"] for row in self.page])
        return [whole[row["pk"]] for row in self.page if row["pk"] in whole]


def _fitting(sizes: Iterable[int]) -> int:
    """How many of the first rows have PAGE_BYTES at most; one in any case."""
    count = total = 0
    for size in sizes:
        total += size
        if count and total > PAGE_BYTES:
            break
        count += 1
    return count

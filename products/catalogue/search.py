"""Finds products by words in SKU, name and description and by state; keyset pages, three orders.

Called by the list page, the API, bulk changes and the export.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import BooleanField, QuerySet
from django.db.models.expressions import RawSQL
from psycopg2.errors import QueryCanceled

from config.listing import EXACT_BELOW, Total, total
from products.models import Product

from . import cursors, search_index, search_paths
from .cursors import BadCursor, Cursor
from .filters import MAX_SEARCH_CHARACTERS, Filter
from .search_paths import KEYS, NEWEST, SORTS, WALKED, Wanted
from .search_terms import MAX_WORDS, condition, lookup, words

__all__ = [
    "MAX_SEARCH_CHARACTERS",
    "MAX_WORDS",
    "SORTS",
    "BadCursor",
    "Found",
    "SearchIncomplete",
    "SearchTooBroad",
    "count",
    "find",
    "matching",
    "require_complete",
    "words",
]

FEW = 2_000  # hits that are found, sorted and counted within some milliseconds
COUNTED = 3_000  # expected hits up to which all are counted: some ten milliseconds
WALKED_MOST = 10 * WALKED


class SearchTooBroad(Exception):
    """The database took longer than SEARCH_TIMEOUT_MS."""

    def __init__(self) -> None:
        super().__init__("The search took too long: narrow the search with more or longer words.")


class SearchIncomplete(Exception):
    """A list shows only a part of what matches, while the search index is away."""

    def __init__(self) -> None:
        super().__init__(
            "Search is being prepared again and finds only a part of what matches."
            " Try again in a minute."
        )


@dataclass(frozen=True)
class Found:
    """One page of products."""

    rows: list[Product]
    previous: str  # cursors of the neighbouring pages, "" where there is none
    next: str
    total: Total
    degraded: bool  # only beginnings of SKU and name were searched


def require_complete(filter: Filter) -> None:
    """Raise SearchIncomplete where a list of these products shows only a part of them."""
    if words(filter.search) and search_index.state() != "ready":
        raise SearchIncomplete


def matching(filter: Filter, *, indexed: bool = False) -> QuerySet[Product]:
    """The products meant by `filter`, in no order: a condition to build on.

    For ranges of ids. Without one, say `indexed`: the search index finds the few of a rare word
    at once, but for each range it may have to look at all products with common parts of a word.
    """
    rows = Product.objects.all()
    if filter.active is not None:
        rows = rows.filter(active=filter.active)
    text = search_index.TEXT if indexed else f"({search_index.TEXT} || '')"
    match, values = (lookup if indexed else condition)(words(filter.search), text)
    return rows.filter(RawSQL(match, values, BooleanField())) if match else rows


def count(filter: Filter) -> Total:
    """How many products match: exact where counting takes at most SEARCH_TIMEOUT_MS."""
    match = condition(words(filter.search), search_index.TEXT)
    try:
        with _bounded():
            if not match[0]:
                return _total_of_state(filter.active)
            quicker = lookup(words(filter.search), search_index.TEXT)
            return Total(search_paths.count(quicker, filter.active), exact=True)
    except SearchTooBroad:
        return _about(search_paths.estimate(match, filter.active))


def find(
    filter: Filter,
    sort: str = NEWEST,
    *,
    cursor: str = "",
    size: int = 50,
    with_total: bool = True,
) -> Found:
    """A page of matching products in the order `sort` (one of SORTS).

    `cursor` is "" for the first page, else `previous` or `next` of another one. Without
    `with_total` the total is that of the page. Raises BadCursor, SearchTooBroad.
    """
    beyond = cursors.read(cursor, sort, keyed=sort in KEYS)
    chosen = words(filter.search)
    degraded = bool(chosen) and search_index.state() != "ready"
    match = condition(chosen, search_index.TEXT, beginnings=degraded)
    quicker = None if degraded else lookup(chosen, search_index.TEXT)
    wanted = Wanted(match, filter.active, sort, beyond, quicker)
    with _bounded():
        ids, hits, expected = _ids(wanted, size + 1)
        backwards = beyond is not None and beyond.backwards
        if not backwards or len(ids) > size:
            shown = _total_shown(wanted, len(ids), size, hits, expected) if with_total else None
    if backwards and len(ids) <= size:  # nothing is left before: the first page, filled up
        return find(filter, sort, size=size, with_total=with_total)
    return _page(ids, wanted, size, shown, degraded)


def _ids(wanted: Wanted, limit: int) -> tuple[list[int], int | None, int]:
    """Ids of the page in its order; how many match: where known, and as the planner thinks."""
    if not wanted.match[0]:
        return search_paths.walk(wanted, limit)[0], None, 0
    expected = search_paths.estimate(wanted.match, wanted.active)
    if expected <= FEW:
        return *search_paths.all_sorted(wanted, limit), expected
    ids, complete = search_paths.walk(wanted, limit)
    if len(ids) == limit or complete:
        return ids, None, expected
    if wanted.sort == NEWEST:
        return search_paths.by_segments(wanted, limit), None, expected
    further = 2 * WALKED * limit // (len(ids) or 1)  # enough if hits go on as they began
    if further <= min(expected, WALKED_MOST):
        ids, complete = search_paths.walk(wanted, limit, further)
        if len(ids) == limit or complete:
            return ids, None, expected
    return *search_paths.all_sorted(wanted, limit), expected


def _total_shown(wanted: Wanted, found: int, size: int, hits: int | None, expected: int) -> Total:
    """For the page: what is known anyway, else exact where cheap, else the planner's estimate."""
    if hits is not None:
        return Total(hits, exact=True)
    if wanted.cursor is None and found <= size:
        return Total(found, exact=True)
    if not wanted.match[0]:
        return _total_of_state(wanted.active)
    if max(found, expected) <= COUNTED:
        return Total(search_paths.count(wanted.lookup or wanted.match, wanted.active), exact=True)
    return _about(max(found, expected))


def _total_of_state(active: bool | None) -> Total:
    if active is None:
        return total(Product)
    few = search_paths.count(("", []), active, most=EXACT_BELOW + 1)
    if few <= EXACT_BELOW:
        return Total(few, exact=True)
    return _about(max(few, search_paths.estimate(("", []), active)))


def _about(rows: int) -> Total:
    return Total(round(rows, -2), exact=False)


def _page(ids: list[int], wanted: Wanted, size: int, shown: Total | None, degraded: bool) -> Found:
    more = len(ids) > size
    backwards = wanted.cursor is not None and wanted.cursor.backwards
    chosen = ids[:size][::-1] if backwards else ids[:size]
    products = Product.objects.in_bulk(chosen)
    rows = [products[pk] for pk in chosen if pk in products]  # one may have gone just now
    first = wanted.cursor is None
    known = shown or Total(len(rows), exact=first and not more)
    return Found(
        rows=rows,
        previous=_cursor(rows[0], wanted.sort, backwards=True) if rows and not first else "",
        next=_cursor(rows[-1], wanted.sort) if rows and (more or backwards) else "",
        total=Total(known.rows, exact=known.exact and not degraded),
        degraded=degraded,
    )


def _cursor(product: Product, sort: str, *, backwards: bool = False) -> str:
    key = getattr(product, sort) if sort in KEYS else None
    return cursors.write(Cursor(backwards, key, product.pk), sort)


@contextmanager
def _bounded() -> Iterator[None]:
    """Statements that only read, each for at most SEARCH_TIMEOUT_MS; their settings end with it."""
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {settings.SEARCH_TIMEOUT_MS}")
            yield
            transaction.set_rollback(True)
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise SearchTooBroad from error
        raise

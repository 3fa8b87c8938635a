"""What is searched for, how it is timed, and the plans behind it. Used by products_search.py."""

import random
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bench.import_stack import Bench

STATES = (None, True, False)
PLACES = ("first", "middle", "back")  # the first page, one anywhere, one anywhere going back


@dataclass(frozen=True)
class Category:
    """Searches of one kind."""

    name: str
    words: tuple[str, ...]  # of each search; "{sku}" for that of any product
    rare: bool = False  # as quick among many products: the goal is the same
    none: bool = False  # of no product, so there is no second page


CATEGORIES = (
    Category("pages and filters", ("",), rare=True),
    Category("rare, 6 hits", ("xylophone",), rare=True),
    Category("whole SKU", ("{sku}",), rare=True),
    Category("no match", ("nosuchword",), rare=True, none=True),
    Category("no match of common parts", ("thear",), none=True),
    Category("0.4 % of products", ("flamingo",)),
    Category("common", ("the", "energy", "martin")),
    Category("oldest 4 %", ("quixote",)),
    Category("oldest 20 %", ("zanzibar",)),
    Category("last by SKU or name", ("kumquat", "papaya")),
    Category("two words", ("energy martin", "zanzibar martin", "women young")),
    Category("two words, no match", ("zanzibar xylophone", "papaya nosuchword"), none=True),
    Category("one letter", ("s", "q")),
    Category("two letters", ("ma", "zz")),
    Category("word and letter", ("energy s", "zanzibar y")),
    Category("with signs", ("st-o", "women-young", "a&b")),
)


@dataclass
class Times:
    """Milliseconds of one category, and which searches were the slowest."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)  # of the database, without waiting for its turn
    by_search: dict[str, list[float]] = field(default_factory=dict)
    too_broad: int = 0

    def add(self, search: str, seconds: float) -> None:
        self.seconds.append(seconds)
        self.by_search.setdefault(search, []).append(seconds)

    def percentile(self, percent: int) -> float:
        """Milliseconds."""
        return 1000 * statistics.quantiles(self.seconds, n=100, method="inclusive")[percent - 1]

    @property
    def cpu_p95(self) -> float:
        """Milliseconds."""
        return 1000 * statistics.quantiles(self.cpu, n=100, method="inclusive")[94]

    @property
    def worst(self) -> str:
        medians = {name: statistics.median(found) for name, found in self.by_search.items()}
        name = max(medians, key=medians.__getitem__)
        return f"{name} {1000 * medians[name]:.0f}"


class Searches:
    """All searches of a category, in random order: each order, state and place in the list."""

    def __init__(self, bench: Bench, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._places = bench.sql(
            "SELECT id, sku, name FROM products_product WHERE id IN ("
            " SELECT (random() * (SELECT max(id) FROM products_product))::bigint"
            " FROM generate_series(1, 500))"
        )

    def of(self, category: Category, rounds: int, *, states: tuple[Any, ...] = STATES) -> list[Any]:
        """(label, Filter, sort, cursor) of each."""
        from products.catalogue import cursors, search
        from products.catalogue.filters import Filter

        found = []
        places = PLACES[:1] if category.none else PLACES
        combinations = list(product(category.words, search.SORTS, states, places))
        for words, sort, active, place in combinations * rounds:
            pk, sku, name = self._random.choice(self._places)
            filter = Filter(words.format(sku=sku), active)
            key = {"newest": None, "sku": sku, "name": name}[sort]
            cursor = cursors.Cursor(place == "back", key, pk)
            text = "" if place == "first" else cursors.write(cursor, sort)
            state = {None: "all", True: "active", False: "inactive"}[active]
            found.append((f"{words or '-'}/{sort}/{state}/{place}", filter, sort, text))
        self._random.shuffle(found)
        return found


def time_in_database(searches: list[Any]) -> Times:
    """`search.find` with its total, in this process."""
    from products.catalogue import search

    times = Times()
    backend = Path(f"/proc/{_backend()}/schedstat")  # its first figure: nanoseconds on a CPU
    for label, filter, sort, cursor in searches:
        cpu, began = int(backend.read_text().split()[0]), time.perf_counter()
        try:
            search.find(filter, sort, cursor=cursor)
        except search.SearchTooBroad:
            times.too_broad += 1
        times.add(label, time.perf_counter() - began)
        times.cpu.append(1e-9 * (int(backend.read_text().split()[0]) - cpu))
    return times


def _backend() -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def time_pages(bench: Bench, searches: list[Any]) -> Times:
    """The whole page over HTTP, as a signed-in user's browser asks for it."""
    client, cookie = bench.client(), bench.cookie()
    times = Times()
    for label, filter, sort, cursor in searches:
        address = page_address(filter, sort, cursor)
        began = time.perf_counter()
        bench.get(client, address, cookie)
        times.add(label, time.perf_counter() - began)
    client.close()
    return times


def page_address(filter: Any, sort: str, cursor: str) -> str:
    query = filter.query()
    if sort != "newest":
        query["sort"] = sort
    if cursor:
        query["cursor"] = cursor
    return f"/products/?{urlencode(query)}"


def time_naive(bench: Bench, words: str) -> float:
    """Seconds of a page as it is usually made: LIKE over the columns, newest first, and a count."""
    conditions = " AND ".join(
        "concat(sku, ' ', name, ' ', description) ILIKE %s" for _ in words.split()
    )
    where = f"FROM products_product WHERE {conditions or 'true'}"
    values = [f"%{word}%" for word in words.split()]
    began = time.perf_counter()
    bench.sql(f"SELECT * {where} ORDER BY id DESC LIMIT 50", *values)
    bench.sql(f"SELECT count(*) {where}", *values)
    return time.perf_counter() - began


def plans(filter: Any, sort: str, cursor: str) -> Iterator[str]:
    """Each statement of a search as EXPLAIN ANALYZE shows it, shortened."""
    from django.db import connection, transaction

    from products.catalogue import search

    statements: list[tuple[str, Any]] = []

    def note(execute: Callable[..., Any], sql: str, values: Any, many: bool, context: Any) -> Any:
        statements.append((sql, values))
        return execute(sql, values, many, context)

    with connection.execute_wrapper(note):
        try:
            search.find(filter, sort, cursor=cursor)
        except search.SearchTooBroad:
            yield "too broad"
    for sql, values in statements:
        before, separator, statement = sql.rpartition("; ")
        if not statement.startswith("SELECT"):
            continue
        explain = "EXPLAIN (ANALYZE, COSTS OFF, BUFFERS OFF) "
        with transaction.atomic(), connection.cursor() as cursor_:
            cursor_.execute(before + separator + explain + statement, values)
            lines = [line for (line,) in cursor_.fetchall()]
            transaction.set_rollback(True)
        yield "\n".join(_shortened(lines))


def _shortened(lines: list[str]) -> Iterator[str]:
    for line in lines:
        text = line.rstrip()
        if len(text) > 150:
            text = f"{text[:147]}…"
        if not text.lstrip().startswith(("Planning Time", "Disabled", "Storage:", "Buffers")):
            yield f"      {text}"

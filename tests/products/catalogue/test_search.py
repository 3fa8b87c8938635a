"""Searches, filters, orders and pages against a slow oracle, by every way to a page."""

from itertools import pairwise, product

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from products.catalogue import search, search_index, search_paths
from products.catalogue.filters import Filter
from products.catalogue.search_terms import condition, is_indexed
from products.models import Product

from . import search_oracle

pytestmark = pytest.mark.django_db

STATES = (None, True, False)


def make(*texts: tuple[str, ...]) -> list[Product]:
    """Products of (sku, name, description); every third is inactive."""
    return Product.objects.bulk_create(
        Product(sku=sku, name=name, description="".join(rest), active=number % 3 > 0)
        for number, (sku, name, *rest) in enumerate(texts)
    )


def pages(filter: Filter, sort: str = "newest", *, size: int = 50) -> list[int]:
    """Ids of all pages, gone through from the first to the last."""
    found, cursor = [], ""
    while True:
        page = search.find(filter, sort, cursor=cursor, size=size)
        found += [product.pk for product in page.rows]
        cursor = page.next
        if not cursor:
            return found


def skus(text: str) -> list[str]:
    return sorted(product.sku for product in search.find(Filter(text)).rows)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("lamp", ["L-1", "L-2", "R-1"]),
        ("LAMP", ["L-1", "L-2", "R-1"]),
        ("amp", ["L-1", "L-2", "R-1"]),
        ("desk lamp", ["L-1"]),
        ("lamp desk", ["L-1"]),
        ("lamp oak", ["L-2", "R-1"]),  # one word in the name, one in the description
        ("l-1", ["L-1"]),
        ("l", ["L-1", "L-2"]),  # a beginning
        ("sk", []),
        ("50%off", ["D-50"]),
        ("50%", []),  # no three letters in a row: a beginning
        ("d-5", ["D-50"]),
        ("5%off", []),  # no wildcard
        ("aa_bbb", ["D-50"]),
        ("aaxbbb", []),
        ("red-oak-lamp", ["R-1"]),
        ("red-lamp", []),  # one word: not as its parts
        ("RED_OAK", []),
        ("c:\\dir", ["W-1"]),
        ("größe", ["G-1"]),
        ("GRÖSSE", []),
        ("GRÖßE", ["G-1"]),
        ("名前", ["J-1"]),
        ("nothing", []),
    ],
)
def test_words_are_found_in_sku_name_and_description_in_any_case(text, found):
    make(
        ("L-1", "Desk Lamp", "metal"),
        ("L-2", "Floor lamp", "of oak"),
        ("D-50", "Discount 50%off", "aa_bbb"),
        ("W-1", "Path", r"C:\dir"),
        ("G-1", "Größe", ""),
        ("J-1", "名前", ""),
        ("R-1", "Table", "red-oak-Lamp"),
    )
    assert skus(text) == found


def test_no_word_is_found_across_two_columns():
    make(("ABC", "DEF", "GHI"))
    assert skus("bcdef") == []
    assert skus("bc def") == []  # of two letters: a beginning
    assert skus("abc def ghi") == ["ABC"]


WORDS = st.text("abAB%_\\- 1é", min_size=0, max_size=6)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    texts=st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=25),
    text=WORDS,
    sort=st.sampled_from(search.SORTS),
    active=st.sampled_from(STATES),
)
def test_every_page_is_what_the_oracle_says(texts, text, sort, active):
    Product.objects.all().delete()
    products = make(
        *(
            (f"{number}{name}", name or "-", description)
            for number, (name, description) in enumerate(texts)
        )
    )
    filter = Filter(text, active)

    expected = search_oracle.ids(products, filter.search, active, sort)

    assert pages(filter, sort, size=3) == expected
    assert search.count(filter).rows == len(expected)
    assert sorted(search.matching(filter).values_list("pk", flat=True)) == sorted(expected)


@pytest.fixture
def many():
    """2,600 products in ten segments of ids: "old" in the first 300, "all" in every one."""
    products = Product.objects.bulk_create(
        Product(
            pk=(number + 1) << (search_index.SEGMENT_BITS - 8),
            sku=f"S-{number:05}",
            name=f"{'old' if number < 300 else 'new'} {9999 - number}",
            description="all of them",
            active=number % 3 > 0,
        )
        for number in range(2_600)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE products_product")
    return products


def test_pages_of_many_products_hold_each_once_in_every_order(many):
    for text, sort, active in product(["old", "all", "nowhere", ""], search.SORTS, STATES):
        expected = search_oracle.ids(many, text, active, sort)
        assert pages(Filter(text, active), sort, size=400) == expected, (text, sort, active)


def test_all_ways_to_a_page_lead_to_the_same_one(many):
    middle = many[150].pk
    for text, active, back in product(["old", "all", "nowhere"], STATES, [False, True]):
        match = condition([text], search_index.TEXT)
        cursor = search_paths.Cursor(back, None, middle)
        wanted = search_paths.Wanted(match, active, "newest", cursor)
        matching = search_oracle.ids(many, text, active, "newest")
        beyond = [pk for pk in matching if (pk > middle if back else pk < middle)]
        expected = beyond[::-1][:51] if back else beyond[:51]

        assert search_paths.by_segments(wanted, 51) == expected
        found, hits = search_paths.all_sorted(wanted, 51)
        assert (found, hits) == (expected, len(matching) if expected else None)
        walked, complete = search_paths.walk(wanted, 51)
        assert walked == expected[: len(walked)]
        assert len(walked) == len(expected) or not complete


def test_going_back_shows_the_same_pages(many):
    forth, cursor = [], ""
    for _ in range(4):
        page = search.find(Filter("all"), "name", cursor=cursor, size=20)
        forth.append(([product.pk for product in page.rows], page.previous))
        cursor = page.next
    for (rows, _), (_, previous) in pairwise(forth):
        page = search.find(Filter("all"), "name", cursor=previous, size=20)
        assert [product.pk for product in page.rows] == rows
    assert forth[0][1] == ""


def test_totals_are_exact_where_that_is_cheap(many, monkeypatch):
    assert search.find(Filter("old")).total == search.Total(300, exact=True)
    assert search.find(Filter("", active=False)).total == search.Total(867, exact=True)
    assert search.find(Filter("nowhere")).total == search.Total(0, exact=True)
    assert search.find(Filter("all")).total == search.Total(2600, exact=True)
    monkeypatch.setattr(search, "COUNTED", 100)
    about = search.find(Filter("all")).total
    assert not about.exact
    assert 2_000 <= about.rows <= 3_200


def test_without_its_index_a_search_finds_beginnings_and_says_so():
    make(("LAMP-1", "Desk"), ("X-1", "Lamp"), ("X-2", "Desk lamp"))
    search_index.drop()

    found = search.find(Filter("lamp"))

    assert found.degraded
    assert sorted(product.sku for product in found.rows) == ["LAMP-1", "X-1"]
    assert not search.find(Filter("")).degraded
    assert search.matching(Filter("lamp")).count() == 3  # by ranges of ids, without the index


def test_a_search_that_takes_too_long_is_given_up(settings):
    make(("A", "B"))
    settings.SEARCH_TIMEOUT_MS = 10
    with pytest.raises(search.SearchTooBroad, match="narrow the search"), search._bounded():
        connection.cursor().execute("SELECT pg_sleep(5)")
    settings.SEARCH_TIMEOUT_MS = 60_000
    assert search.find(Filter("")).rows  # the connection is as good as before


def test_settings_of_a_search_end_with_it():
    make(("A", "B"))
    search.find(Filter("abc"))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('enable_seqscan'), current_setting('statement_timeout')"
        )
        assert cursor.fetchone() == ("on", "0")


@pytest.mark.parametrize(
    "cursor", ["x", "é", "bm90aGluZw", "WzEsMl0", "W10", "bnVsbA", "WyJuZXh0Iiwic2t1IiwxLDJd"]
)
@pytest.mark.parametrize("sort", search.SORTS)
def test_foreign_cursors_are_refused(cursor, sort):
    with pytest.raises(search.BadCursor):
        search.find(Filter(), sort, cursor=cursor)


def test_a_cursor_is_good_for_its_own_order_only():
    make(*((f"S-{number}", "n") for number in range(5)))
    cursor = search.find(Filter(), "sku", size=2).next
    with pytest.raises(search.BadCursor, match="another order"):
        search.find(Filter(), "name", cursor=cursor)


@pytest.mark.parametrize(
    "word", ["abc", "abc-d", "a&bcd", "100%", "née", "名前紙", "ab-c", "zz", "--"]
)
def test_what_counts_as_indexed_is_narrowed_by_the_index(word):
    """pg_trgm itself: a pattern without a group of three has to read the whole index."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off")
        make(*((f"S-{number}", "n") for number in range(200)))
        match, values = condition([word], search_index.TEXT)
        cursor.execute(
            f"EXPLAIN (ANALYZE, FORMAT JSON) SELECT FROM products_product WHERE {match}", values
        )
        plan = str(cursor.fetchone()[0])
    narrowed = search_index.NAME in plan and "'Actual Rows': 200" not in plan
    assert narrowed or not is_indexed(word)

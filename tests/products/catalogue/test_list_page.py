"""The list page as HTML: what its address says, what it offers to whom, also without JavaScript."""

import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from products.catalogue import search_index
from products.catalogue.filters import MAX_SEARCH_CHARACTERS, Filter
from products.models import BulkChange, Import, Product, Upload

pytestmark = pytest.mark.django_db

LIST = "/products/"


@pytest.fixture
def client(client, user):
    client.force_login(user)
    return client


@pytest.fixture
def song(make_products):
    """Three products that match "song", the first of them inactive, and 60 that don't."""
    make_products(60)
    return Product.objects.bulk_create(
        [
            Product(sku="A-song", name="Zither", active=False),
            Product(sku="b-2", name="Song book"),
            Product(sku="C-3", name="Lute", description="x " * 200 + "plays a SONG well"),
        ]
    )


def text(html: str) -> str:
    return " ".join(unescape(re.sub("<[^>]*>", " ", html)).split())


def skus(html: str) -> list[str]:
    cells = re.findall(r'<th scope="row".*?</th>', html, re.S)
    return [text(re.sub("</?mark>", "", cell)) for cell in cells]


def link(html: str, key: str) -> str:
    """The address of the link with this id."""
    tag = re.search(rf'<a [^>]*id="{key}"[^>]*>', html)
    assert tag, f"no link {key}"
    return unescape(re.search('href="([^"]*)"', tag[0])[1])


def get(client, address: str = LIST, **headers) -> str:
    response = client.get(address, headers=headers)
    assert response.status_code == 200
    return response.content.decode()


def import_in(state: str, **values) -> Import:
    upload = Upload.objects.create(
        file_name="spring <new>.csv", size_bytes=1, expires_at=timezone.now()
    )
    return Import.objects.create(upload=upload, state=state, **values)


def test_it_shows_the_newest_first_and_the_total(client, make_products):
    make_products(1_234)
    page = get(client)
    assert skus(page) == [f"sku-{n}" for n in range(1_234, 1_184, -1)]
    assert "1,234 products" in text(page)
    assert "50 on this page, newest first" in text(page)


def test_pages_lead_through_all_rows_and_back(client, make_products):
    make_products(120)
    first = get(client)
    second = get(client, link(first, "page-next"))
    third = get(client, link(second, "page-next"))
    assert [*skus(first), *skus(second), *skus(third)] == [f"sku-{n}" for n in range(120, 0, -1)]
    assert 'id="page-next"' not in third
    assert skus(get(client, link(third, "page-previous"))) == skus(second)
    assert skus(get(client, link(second, "page-previous"))) == skus(first)
    assert 'id="page-previous"' not in first


def test_search_state_and_sort_are_in_the_address_and_kept_by_the_links(client, song):
    page = get(client, "/products/?q=SoNg&state=active&sort=name")
    assert skus(page) == ["C-3", "b-2"]
    assert "2 match" in text(page)
    assert 'value="SoNg"' in page
    assert parse_qs(urlsplit(link(page, "state-inactive")).query) == {
        "q": ["SoNg"],
        "state": ["inactive"],
        "sort": ["name"],
    }
    assert link(page, "state-all") == "/products/?q=SoNg&sort=name"
    assert link(page, "by-sku") == "/products/?q=SoNg&state=active&sort=sku"
    assert link(page, "by-name") == "/products/?q=SoNg&state=active"
    assert link(page, "export") == "/products/export.csv?q=SoNg&state=active"
    assert re.search(r'id="state-active"[^>]*aria-current="true"', page)
    assert re.search(r'aria-sort="ascending"><a[^>]*id="by-name"', page)


def test_the_form_without_script_keeps_state_and_sort(client, song):
    page = get(client, "/products/?q=song&state=inactive&sort=sku")
    form = re.search('<form[^>]*id="search".*?</form>', page, re.S)[0]
    assert 'method="get" action="/products/"' in form
    assert '<button class="button no-script" type="submit">Search</button>' in form
    assert '<input type="hidden" name="state" value="inactive">' in form
    assert '<input type="hidden" name="sort" value="sku">' in form


def test_rows_can_be_ticked_and_sent_without_script(client, song):
    page = get(client, "/products/?q=song&state=active&sort=name")
    form = re.search('<form[^>]*id="bulk".*?</form>', page, re.S)[0]
    assert 'method="post" action="/products/bulk/"' in form
    assert "csrfmiddlewaretoken" in form
    for product in song[1:]:
        assert f'name="ids" value="{product.pk}" form="bulk"' in page
    assert 'name="next" value="/products/?q=song&amp;state=active&amp;sort=name"' in form
    assert 'name="q" value="song"' in form
    assert 'name="state" value="active"' in form
    for action in ("activate", "deactivate", "delete"):
        assert f'name="action" value="{action}"' in form


def test_all_that_match_are_offered_where_there_are_more_than_on_the_page(client, make_products):
    make_products(60)
    assert 'name="everything"' not in get(client, "/products/?q=sku-6")
    page = get(client, "/products/?q=sku")
    assert 'name="everything" value="1"' in page
    assert "Select all 60 that match" in text(page)


@pytest.mark.parametrize(
    "query", ["cursor=nonsense", "cursor=%00", "cursor=%F0%9F%90%8D", "cursor=WyJuZXh0Il0"]
)
def test_a_wrong_cursor_shows_the_first_page_and_says_so(client, make_products, query):
    make_products(60)
    page = get(client, f"/products/?{query}")
    assert skus(page)[0] == "sku-60"
    assert "This is the first page." in text(page)


def test_a_cursor_of_another_order_shows_the_first_page(client, make_products):
    make_products(60)
    page = get(client, link(get(client), "page-next") + "&sort=name")
    assert len(skus(page)) == 50
    assert "This is the first page." in text(page)


def test_unknown_values_are_ignored(client, make_products):
    make_products(3)
    page = get(client, "/products/?state=sleeping&sort=price&page=7")
    assert skus(page) == ["sku-3", "sku-2", "sku-1"]


@pytest.mark.parametrize("search", ["\0", "  ", "%", "_", "\\", "'", '"><b>', "\ud83d", "x" * 5000])
def test_any_search_is_answered(client, make_products, search):
    make_products(2)
    response = client.get(LIST, {"q": search.encode("utf-8", "surrogatepass")})
    assert response.status_code == 200


def test_percent_and_underscore_are_plain_characters(client, make_products):
    make_products(2)
    Product.objects.create(sku="100%_x", name="Full")
    assert skus(get(client, "/products/?q=100%25_")) == ["100%_x"]
    assert skus(get(client, "/products/?q=100__")) == []
    assert skus(get(client, "/products/?q=sku%25")) == []


def test_an_empty_catalogue_says_how_to_fill_it(client):
    page = get(client)
    assert "No products yet" in text(page)
    assert 'href="/imports/new/"' in page
    assert 'href="/products/new/"' in page


@pytest.mark.parametrize("query", ["q=lamp", "state=active", "q=lamp&state=inactive"])
def test_a_search_in_an_empty_catalogue_says_that_it_is_empty(client, query):
    said = text(get(client, f"/products/?{query}"))
    assert "No products yet" in said
    assert "Nothing matches" not in said


def test_a_viewer_of_an_empty_catalogue_is_offered_nothing(client, user):
    user.role = "viewer"
    user.save()
    page = get(client)
    assert "No products yet" in text(page)
    assert "/imports/new/" not in page
    assert "/products/new/" not in page


def test_no_match_says_what_was_searched_and_how_to_go_on(client, song):
    page = get(client, "/products/?q=Zither&state=active&sort=sku")
    said = text(page)
    assert "Nothing matches “Zither”" in said
    assert "SKU, name and description of the active products" in said
    assert "no product matches" in said
    assert 'href="/products/?state=active&amp;sort=sku">Clear the search' in page
    assert 'href="/products/?q=Zither&amp;sort=sku">Search in all states' in page
    assert re.search(r'href="/products/new/\?sku=Zither&amp;next=[^"]*" data-panel>Add a', page)


def test_no_product_of_a_state_leads_to_all(client, make_products):
    make_products(2)
    page = get(client, "/products/?state=inactive")
    assert "No inactive products" in text(page)
    assert 'href="/products/">Show all products' in page


@pytest.mark.django_db(transaction=True)
def test_a_search_that_takes_too_long_asks_for_a_narrower_one(client, make_products, settings):
    """Here because another connection holds the table; the limit is the same for slow ones."""
    make_products(3)
    settings.SEARCH_TIMEOUT_MS = 50
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("LOCK TABLE products_product IN ACCESS EXCLUSIVE MODE")
        part = get(client, "/products/?q=nowhere+to+be+found", **{"HX-Request": "true"})
    finally:
        other.close()
    assert "Narrow the search" in text(part)


def test_an_import_that_merges_is_said_with_a_link(client, make_products):
    make_products(1)
    merging = import_in("merging")
    page = get(client)
    assert "An import is being merged now: spring <new>.csv" in text(page)
    assert f'href="/imports/{merging.pk}/"' in page


@pytest.mark.parametrize("state", ["queued", "running"])
def test_bulk_changes_that_run_are_said_with_a_link(client, user, make_products, state):
    make_products(1)
    values = {"by_name": "ana", "state": state, "last_id": 9, "expected": 138_415}
    change = BulkChange.objects.create(
        action="deactivate", search="<the>", **values, matched=14_000
    )
    page = get(client, "/products/?q=sku")
    assert "Deactivating products matching “<the>”: 14,000 of 138,415" in text(page)
    assert f'href="/products/bulk/{change.pk}/?next=' in page
    assert ("waiting for a worker" in page) == (state == "queued")
    BulkChange.objects.create(action="restore", **values)
    assert "Restoring deleted products: 0 of 138,415" in text(get(client))
    BulkChange.objects.update(state="done")
    assert "138,415" not in get(client)


def test_a_search_without_its_index_says_what_it_finds_meanwhile(client, song):
    search_index.drop()
    page = get(client, "/products/?q=song")
    assert "Search is being prepared again" in text(page)
    assert skus(page) == ["b-2"]
    assert "<mark>Song</mark> book" in page
    assert "Search is being prepared" not in text(get(client, "/products/?state=active"))


def test_the_last_import_is_said(client, make_products):
    make_products(1)
    done = import_in("done", finished_at=timezone.now(), created=291_022)
    page = get(client)
    assert "291,022 new" in text(page)
    assert f'href="/imports/{done.pk}/"' in page


def test_htmx_gets_the_parts_that_depend_on_the_address(client, song):
    response = client.get("/products/?q=song", headers={"HX-Request": "true"})
    part = response.content.decode()
    assert "<html" not in part
    assert 'id="search"' not in part
    assert skus(part) == ["C-3", "b-2", "A-song"]
    for key in ("filters", "list-notices", "export"):
        assert re.search(rf'id="{key}"[^>]* hx-swap-oob="(true|morph)"', part)
    assert "HX-Request" in response.headers["Vary"]
    assert "no-store" in response.headers["Cache-Control"]


def test_the_whole_page_has_no_parts_to_be_swapped(client, song):
    assert "hx-swap-oob" not in get(client, "/products/?q=song")


def test_matches_are_marked_and_the_description_begins_near_its_match(client, song):
    page = get(client, "/products/?q=song")
    assert "A-<mark>song</mark>" in page
    assert "<mark>Song</mark> book" in page
    assert "…x x x x x x x plays a <mark>SONG</mark> well" in page


def test_short_words_are_marked_where_they_are_looked_for(client):
    Product.objects.create(sku="so-1", name="Sofa", description="also so soft")
    page = get(client, "/products/?q=so")
    assert "<mark>so</mark>-1" in page
    assert "<mark>So</mark>fa" in page
    assert "also so soft" in page
    said = text(get(client, "/products/?q=fa"))
    assert "Nothing matches “fa”" in said
    assert "beginning of SKUs and names" in said


def test_texts_are_escaped(client):
    evil = "<script>alert(1)</script>"
    Product.objects.create(sku=f'"{evil}', name=evil, description=f"{evil} a &amp; b")
    for address in (LIST, "/products/?q=%3Cscript%3E", "/products/?q=amp"):
        page = get(client, address)
        assert "<script>alert" not in page
        assert "alert(1)" in text(page)
    assert 'aria-label="Select &quot;&lt;script&gt;' in get(client)


def test_a_search_is_escaped_wherever_it_is_shown(client):
    page = get(client, "/products/?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
    assert "<script>alert" not in page
    assert 'value="&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"' in page


@pytest.mark.parametrize(
    ("role", "offers"),
    [
        ("viewer", {"Export"}),
        ("editor", {"Export", "Import CSV", "Add product", "Recently deleted", "Activate"}),
        (
            "admin",
            {
                "Export",
                "Import CSV",
                "Add product",
                "Recently deleted",
                "Activate",
                "Delete all products…",
            },
        ),
    ],
)
def test_each_role_sees_what_it_may_do(client, user, make_products, role, offers):
    user.role = role
    user.save()
    make_products(1)
    page = get(client)
    seen = {text(each) for each in re.findall(r"<(?:a|button)\b.*?</(?:a|button)>", page, re.S)}
    changing = {"Import CSV", "Add product", "Recently deleted", "Activate", "Delete all products…"}
    assert seen & (changing | {"Export"}) == offers
    assert ('type="checkbox"' in page) == (role != "viewer")
    assert skus(page) == ["sku-1"]


def test_product_links_lead_back_to_the_same_list(client, song):
    address = "/products/?q=song&state=active"
    row = link(get(client, address), f"product-{song[1].pk}")
    assert urlsplit(row).path == f"/products/{song[1].pk}/"
    assert parse_qs(urlsplit(row).query)["next"] == [address]
    assert link(get(client), f"product-{song[1].pk}") == f"/products/{song[1].pk}/"


def test_only_reading_is_allowed(client):
    assert client.post(LIST).status_code == 405


def test_a_page_asks_the_database_few_times(client, make_products):
    make_products(60)
    get(client)
    with CaptureQueriesContext(connection) as queries:
        get(client, "/products/?q=sku")
    asked = [each["sql"] for each in queries if "products_" in each["sql"]]
    assert len(asked) <= 8, asked


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", Filter()),
        ("q=+a++b+&state=active", Filter("a b", True)),
        ("state=inactive", Filter("", False)),
        ("state=ACTIVE&q=%00x%00", Filter("x")),
        ("q=" + "x" * 500, Filter("x" * MAX_SEARCH_CHARACTERS)),
    ],
)
def test_a_filter_is_read_from_a_query(query, expected):
    assert Filter.from_query(QueryDict(query)) == expected


@pytest.mark.parametrize(
    ("filter", "words", "query"),
    [
        (Filter(), "all", {}),
        (Filter("song"), "matching “song”", {"q": "song"}),
        (Filter("song", True), "matching “song”, active", {"q": "song", "state": "active"}),
        (Filter("", False), "inactive", {"state": "inactive"}),
    ],
)
def test_a_filter_is_said_and_written(filter, words, query):
    assert filter.words() == words
    assert filter.query() == query

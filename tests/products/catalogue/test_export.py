"""The catalogue as a CSV file: what it holds, and that it imports again unchanged."""

import csv
import io
import tracemalloc
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from config.accounts.actors import Actor
from config.accounts.models import Role
from config.accounts.tokens import issue
from products.catalogue import delete_all, deletions, export, fields
from products.catalogue.filters import Filter
from products.imports.csv_rows import Carry, parse_part
from products.models import ImportState, Product
from tests.products.imports.importing import catalogue, import_bytes

# What has a meaning in CSV, to a spreadsheet, or to Python's idea of a line.
NASTY = [
    *('"', '""', ",", ";", "\t", "\n", "\r", "\r\n", "\n\r", " ", "=", "+", "-", "@", "'", "\\"),
    *("\v", "\f", "\x1c", "\x1e", "\x85", "\u2028", "\u2029", "\u00a0", "\u3000", "\ufeff"),
    *("\u200b", "ß", "İ", "ǆ", "😀", "é", "e\u0301", "NULL", "\\N", "\\.", "=1+1", "\x01"),
    *("\x7f", "\x1a", "sku", "true"),
]
TEXTS = st.lists(
    st.one_of(
        st.sampled_from(NASTY),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4),
    ),
    max_size=12,
).map("".join)


@st.composite
def products(draw: Any) -> dict[str, Any]:
    """A product as the page or the API would store it."""
    try:
        return fields.clean(
            {
                "sku": draw(TEXTS),
                "name": draw(TEXTS),
                "description": draw(TEXTS),
                "active": draw(st.booleans()),
            }
        )
    except fields.FieldErrors:
        assume(False)


@pytest.fixture
def user(django_user_model):
    return django_user_model.objects.create_user("ana", role=Role.VIEWER)


def exported(filter: Filter | None = None) -> bytes:
    return b"".join(export.lines(filter or Filter()))


def skus(data: bytes) -> list[str]:
    header, *rows = csv.reader(io.StringIO(data.decode(), newline=""), strict=True)
    assert header == ["sku", "name", "description", "active"]
    return [row[0] for row in rows]


@given(st.lists(products(), min_size=1, max_size=5))
@settings(max_examples=300, deadline=None)
def test_the_parser_reads_back_what_is_written(rows):
    values = [tuple(row[field] for field in fields.FIELDS) for row in rows]
    data = export.written([export.HEADER]) + export.written(map(export.cells, values))

    batch, carry = parse_part(data, Carry(), encoding="utf-8", final=True)

    assert batch.errors == [] and batch.blank_lines == 0 and carry.tail == b""
    assert [row[1:] for row in batch.rows] == values


@pytest.mark.django_db(transaction=True)
@given(rows=st.lists(products(), min_size=1, max_size=30))
@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_generated_catalogue_imports_again_unchanged(django_user_model, rows):
    Product.objects.all().delete()
    user, _ = django_user_model.objects.get_or_create(username="ana")
    by_sku: dict[str, dict[str, Any]] = {}
    for row in rows:
        if not Product.objects.filter(sku__iexact=row["sku"]).exists():
            by_sku.setdefault(row["sku"].lower(), row)
    for row in by_sku.values():
        Product.objects.bulk_create([Product(**row)], ignore_conflicts=True)
    _imports_again_unchanged(user)


@pytest.mark.django_db(transaction=True)
def test_every_nasty_value_imports_again_unchanged(user):
    Product.objects.bulk_create(
        Product(**fields.clean({"sku": f"{n}x{text}x", "name": f"x{text}x{text}x",
                                "description": f"{text}a{text}{text}", "active": n % 2 == 0}))
        for n, text in enumerate(NASTY)
    )  # fmt: skip
    Product.objects.create(sku="long", name="n" * 255, description="\r\n" * 499 + '"' * 9002)
    _imports_again_unchanged(user)


def _imports_again_unchanged(user) -> None:
    before, count = catalogue(), Product.objects.count()
    job = import_bytes(user, exported())
    assert (job.state, job.rejected, job.duplicates) == (ImportState.DONE, 0, 0)
    assert (job.unchanged, job.created, job.updated) == (count, 0, 0)
    assert catalogue() == before


@pytest.mark.django_db
def test_an_export_into_an_empty_catalogue_makes_the_same_one(user, make_products):
    make_products(3)
    Product.objects.filter(sku="sku-2").update(active=False)
    before, data = catalogue(), exported()
    Product.objects.all().delete()
    import_bytes(user, data)
    assert catalogue() == before


@pytest.mark.django_db
def test_lines_end_as_rfc_4180_says_and_no_cell_is_changed():
    Product.objects.create(sku="A", name="=1+1", description='say "ü"')
    assert exported() == 'sku,name,description,active\r\nA,=1+1,"say ""ü""",true\r\n'.encode()


@pytest.mark.django_db
@pytest.mark.parametrize("window", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("bytes_", [1, 6, 11, 12, 13, 10**6])  # each description has six
def test_windows_leave_nothing_out_and_repeat_nothing(make_products, monkeypatch, window, bytes_):
    monkeypatch.setattr(export, "WINDOW_ROWS", window)
    monkeypatch.setattr(export, "PIECE_BYTES", bytes_)
    make_products(7)
    Product.objects.filter(sku__in=["sku-1", "sku-4"]).delete()
    assert skus(exported()) == ["sku-2", "sku-3", "sku-5", "sku-6", "sku-7"]
    assert skus(exported(Filter("sku-6"))) == ["sku-6"]


@pytest.mark.django_db
def test_the_longest_descriptions_are_held_a_few_at_a_time():
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO products_product (sku, name, description)"
            " SELECT 'S-' || n, 'Name', repeat('😀', 10000) FROM generate_series(1, 1000) n"
        )
    lines = 0
    tracemalloc.start()
    try:
        for piece in export.lines(Filter()):
            lines += piece.count(b"\r\n")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert lines == 1001
    assert peak < 24 * 1024**2


@pytest.mark.django_db
def test_an_empty_catalogue_is_a_header():
    assert skus(exported()) == []


@pytest.mark.django_db
def test_what_is_added_meanwhile_makes_no_endless_file(make_products, monkeypatch):
    monkeypatch.setattr(export, "WINDOW_ROWS", 1)
    make_products(3)
    pieces = export.lines(Filter())
    data = next(pieces)
    for n, piece in enumerate(pieces):
        data += piece
        Product.objects.create(sku=f"new-{n}", name="x")
    assert skus(data) == ["sku-1", "sku-2", "sku-3"]


@pytest.mark.django_db(transaction=True)
def test_nothing_is_locked_or_kept_open_between_two_pieces(make_products, other, monkeypatch):
    monkeypatch.setattr(export, "WINDOW_ROWS", 1)
    make_products(3)
    pieces = export.lines(Filter())
    next(pieces), next(pieces)
    with other.cursor() as cursor:
        cursor.execute("SET lock_timeout = '5s'")
        cursor.execute("TRUNCATE products_product")
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'"
        )
        assert cursor.fetchone() == (0,)
    other.commit()
    assert list(pieces) == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("added_after", [0, 5])
def test_deleting_everything_meanwhile_breaks_the_file_off(
    user, make_products, monkeypatch, caplog, added_after
):
    monkeypatch.setattr(export, "WINDOW_ROWS", 1)
    make_products(3)
    pieces = export.lines(Filter())
    assert skus(next(pieces) + next(pieces)) == ["sku-1"]
    delete_all.delete_all(Actor(user))
    make_products(added_after)
    with caplog.at_level("WARNING"), pytest.raises(export.TableReplaced):
        next(pieces)
    assert "the table was replaced" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_an_export_goes_on_when_everything_is_back(user, make_products, monkeypatch):
    monkeypatch.setattr(export, "WINDOW_ROWS", 1)
    make_products(3)
    pieces = export.lines(Filter())
    data = next(pieces) + next(pieces)
    deletions.undo(Actor(user), delete_all.delete_all(Actor(user)).pk)
    assert skus(data + b"".join(pieces)) == ["sku-1", "sku-2", "sku-3"]


@pytest.mark.django_db
@pytest.mark.parametrize("by", ["page", "token"])
def test_page_and_api_export_the_current_search(user, make_products, by):
    make_products(12)
    Product.objects.filter(sku="sku-11").update(active=False)
    if by == "page":
        client, query = Client(), {"q": "SKU-1", "state": "active", "sort": "sku", "cursor": "x"}
        client.force_login(user)
        response = client.get("/products/export.csv", query)
    else:
        secret = issue(user, "reads", ["catalogue:read"])[1]
        client = Client(headers={"Authorization": f"Bearer {secret}"})
        query = {"search": "SKU-1", "active": "true"}
        response = client.get("/api/products/export.csv", query)

    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Content-Disposition"].startswith('attachment; filename="products-')
    assert skus(b"".join(response.streaming_content)) == ["sku-1", "sku-10", "sku-12"]


@pytest.mark.django_db
def test_the_export_is_for_those_who_may_read(user):
    path = "/api/products/export.csv"
    assert Client().get(path).status_code == 401
    assert Client().get("/products/export.csv").status_code == 302
    secret = issue(user, "others", ["orders:write"])[1]
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    refused = client.get(path, headers={"Accept": "text/csv"})
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "permission_denied"


@pytest.mark.django_db
def test_a_wrong_parameter_of_the_export_is_named(user):
    secret = issue(user, "reads", ["catalogue:read"])[1]
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    refused = client.get("/api/products/export.csv", {"active": "maybe"})
    assert list(refused.json()["error"]["fields"]) == ["active"]


@pytest.mark.django_db
def test_a_head_reads_nothing(user, make_products, django_assert_max_num_queries):
    make_products(3)
    client = Client()
    client.force_login(user)
    with django_assert_max_num_queries(2):  # session and user
        response = client.head("/products/export.csv")
        assert b"".join(response.streaming_content) == b""

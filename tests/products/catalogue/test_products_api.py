"""REST API of products: find, create, read, change, delete, by one and by many."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from config.accounts.models import Role
from config.jobs import runner
from products.catalogue import delete_all, editing, search_index
from products.models import (
    BulkChange,
    BulkState,
    Deletion,
    Import,
    ImportState,
    Product,
    ProductChange,
    Upload,
)
from tests.api_client import client_of, error, send
from webhooks.models import Event

pytestmark = pytest.mark.django_db

HUGE = 10**30


@pytest.fixture
def owner(django_user_model):
    return django_user_model.objects.create_user("ana", role=Role.ADMIN)


@pytest.fixture
def api(owner) -> Client:
    """A client with a token that may do everything in the catalogue."""
    return client_of(owner, "catalogue:write")


def add(sku: str, name: str = "Lamp", **values: Any) -> Product:
    return Product.objects.create(sku=sku, name=name, **values)


def fields(response) -> set[str]:
    return set(error(response, 400)["fields"])


def test_a_product_is_created_with_its_address_and_etag(api, owner):
    response = send(api, "post", "/api/products/", {"sku": " AB-1 ", "name": "Lamp"})

    assert response.status_code == 201
    product = Product.objects.get()
    assert response.json()["sku"] == "AB-1" and response.json()["active"] is True
    assert response.headers["Location"] == f"http://testserver/api/products/{product.pk}/"
    assert response.json()["url"] == response.headers["Location"]
    again = api.get(response.headers["Location"])
    assert again.headers["ETag"] == response.headers["ETag"]
    assert again.json() == response.json()
    change = ProductChange.objects.get()
    assert (change.by, change.token_name) == (owner, "ERP")
    assert Event.objects.get().type == "product.created"


def test_a_taken_sku_is_a_conflict_that_names_the_other_product(api):
    other = add("AB-1")

    response = send(api, "post", "/api/products/", {"sku": "ab-1", "name": "x"})

    said = error(response, 409)
    assert said["code"] == "sku_taken" and list(said["fields"]) == ["sku"]
    assert said["other"] == {
        "id": other.pk,
        "url": f"http://testserver/api/products/{other.pk}/",
    }
    mine = add("AB-2")
    assert error(send(api, "patch", f"/api/products/{mine.pk}/", {"sku": "ab-1"}), 409)["other"]
    assert Product.objects.count() == 2


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, {"sku", "name"}),
        ({"sku": "", "name": "  "}, {"sku", "name"}),
        ({"sku": "x" * 129, "name": "x" * 256, "description": "x" * 10_001},
         {"sku", "name", "description"}),
        ({"sku": 1, "name": None, "description": [], "active": "yes"},
         {"sku", "name", "description", "active"}),
        ({"sku": {}, "name": True, "active": 1}, {"sku", "name", "active"}),
        ({"sku": "a\0", "name": "\0"}, {"sku", "name"}),
        ({"sku": "a", "name": "b", "price": 1, "id": 7}, {"price", "id"}),
        ({"sku": "\ud800", "name": "b"}, {"sku"}),
        ({"sku": "a", "name": "b", "\udfff": 1}, {"\ufffd"}),
    ],
)  # fmt: skip
def test_wrong_fields_are_named(api, body, wrong):
    assert fields(send(api, "post", "/api/products/", body)) == wrong
    product = add("P-1")
    assert fields(send(api, "put", f"/api/products/{product.pk}/", body)) == wrong
    if body:
        assert fields(send(api, "patch", f"/api/products/{product.pk}/", body)) == wrong
    assert Product.objects.get().name == "Lamp"


@pytest.mark.parametrize(
    "body",
    [b"[]", b'"text"', b"7", b"null", b'{"sku": ', b'{"sku": "\xff", "name": "b"}',
     b'{"sku": NaN}', b'{"sku": ' + b"9" * 5000 + b"}", b"[" * 100_000, b""],
)  # fmt: skip
def test_a_body_that_is_no_object_is_refused(api, body):
    response = api.post("/api/products/", body, content_type="application/json")
    assert error(response, 400)["message"]
    assert not Product.objects.exists()


@pytest.mark.parametrize("kind", ["text/csv", "application/x-www-form-urlencoded", "text/json"])
def test_a_foreign_content_type_is_refused(api, kind):
    said = error(api.post("/api/products/", "sku=a&name=b", content_type=kind), 415)
    assert "application/json" in said["message"]


def test_put_replaces_and_patch_changes(api):
    product = add("A", "Lamp", description="old", active=False)
    path = f"/api/products/{product.pk}/"

    assert send(api, "patch", path, {"name": "Desk lamp"}).json()["description"] == "old"
    replaced = send(api, "put", path, {"sku": "A", "name": "Lamp"}).json()
    assert (replaced["description"], replaced["active"]) == ("", True)


def test_who_was_overtaken_is_told_and_overwrites_nothing(api):
    product = add("A")
    path = f"/api/products/{product.pk}/"
    read = api.get(path).headers["ETag"]
    mine = send(api, "patch", path, {"name": "Mine"}, If_Match=read)
    assert mine.status_code == 200 and mine.headers["ETag"] != read

    for method, body in (("patch", {"name": "B"}), ("put", {"sku": "A", "name": "B"})):
        late = send(api, method, path, body, If_Match=read)
        assert error(late, 412)["code"] == "stale"
        assert late.headers["ETag"] == mine.headers["ETag"]
    assert error(send(api, "delete", path, If_Match=read), 412)["code"] == "stale"
    assert Product.objects.get().name == "Mine"
    both = f"{read}, {mine.headers['ETag']}"
    assert send(api, "patch", path, {"name": "Again"}, If_Match=both).status_code == 200
    assert send(api, "delete", path, If_Match="*").status_code == 204


@pytest.mark.parametrize(
    "header",
    ["x", '"', '"a" "b"', "*, *", 'W/"', '"a",', "\x00", '"a\x01"', '"' * 5000, ", ,", "é", ""],
)
def test_an_if_match_that_is_no_etag_is_refused(api, header):
    path = f"/api/products/{add('A').pk}/"
    assert fields(send(api, "patch", path, {"name": "B"}, If_Match=header)) == {"If-Match"}
    assert Product.objects.get().name == "Lamp"


def test_a_weak_etag_never_matches_a_change(api):
    path = f"/api/products/{add('A').pk}/"
    weak = f"W/{api.get(path).headers['ETag']}"
    assert send(api, "patch", path, {"name": "B"}, If_Match=weak).status_code == 412
    assert send(api, "get", path, If_None_Match=weak).status_code == 304


def test_what_the_client_has_is_not_sent_again(api):
    path = f"/api/products/{add('A').pk}/"
    tag = api.get(path).headers["ETag"]
    same = send(api, "get", path, If_None_Match=f'"other", {tag}')
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", tag)
    assert send(api, "get", path, If_None_Match='"other"').status_code == 200


def test_a_deleted_product_leads_to_its_undo(api):
    product = add("A")
    gone = send(api, "delete", f"/api/products/{product.pk}/")
    assert gone.status_code == 204 and not Product.objects.exists()

    deletion = api.get(gone.headers["Location"]).json()
    assert (deletion["what"], deletion["count"], deletion["restorable"]) == ("A", 1, True)
    undone = send(api, "post", f"{deletion['url']}undo/")
    assert (undone.status_code, undone.json()["changed"]) == (200, 1)
    assert Product.objects.get().pk == product.pk
    again = error(send(api, "post", f"{deletion['url']}undo/"), 409)
    assert again["code"] == "not_restorable" and "already" in again["message"]


def test_an_undo_that_comes_too_late_is_gone(api):
    gone = send(api, "delete", f"/api/products/{add('A').pk}/").headers["Location"]
    Deletion.objects.update(kept_until="2020-01-01T00:00:00Z")
    assert error(send(api, "post", f"{gone}undo/"), 410)["code"] == "not_kept"
    assert api.get(gone).json()["restorable"] is False


def test_products_are_found_by_words_and_state(api):
    for n in range(5):
        add(f"L-{n}", "Desk lamp", active=n % 2 == 0)
    add("T-1", "Table")

    page = api.get("/api/products/", {"search": "LAM des", "active": "true"}).json()
    assert [row["sku"] for row in page["results"]] == ["L-4", "L-2", "L-0"]
    assert (page["count"], page["count_exact"]) == (3, True)
    assert page["next"] is page["previous"] is None
    assert api.get("/api/products/", {"search": "%"}).json()["count"] == 0
    assert api.get("/api/products/", {"search": "_"}).json()["results"] == []


@pytest.mark.parametrize("ordering", ["-id", "sku", "name"])
def test_pages_lead_to_the_end_and_back(api, ordering):
    for n in range(7):
        add(f"s-{n * 3 % 7}", f"Name {n * 5 % 7}")

    forward, url = [], f"/api/products/?ordering={ordering}&page_size=3&search=name"
    while url:
        last, url = url, api.get(url).json()["next"]
        forward.append([row["id"] for row in api.get(last).json()["results"]])
    assert [len(page) for page in forward] == [3, 3, 1]
    ids = [row for page in forward for row in page]
    by = {"-id": "-pk", "sku": "sku", "name": "name"}[ordering]
    assert ids == list(Product.objects.order_by(by).values_list("pk", flat=True))
    assert last.startswith("http://testserver/api/products/")
    back = api.get(api.get(last).json()["previous"]).json()
    assert [row["id"] for row in back["results"]] == forward[1]


def test_a_cursor_of_another_order_or_list_is_named(api):
    for n in range(3):
        add(f"s-{n}")
    by_sku = api.get("/api/products/?ordering=sku&page_size=1").json()["next"]
    of_sku = parse_qs(urlsplit(by_sku).query)["cursor"][0]
    assert fields(api.get(by_sku.replace("ordering=sku", "ordering=name"))) == {"cursor"}
    for path in ("/api/products/", "/api/imports/", "/api/deletions/", "/api/bulk-changes/"):
        for cursor in ("", "x", "\0", "é", "cD0x", "A" * 5000, of_sku):
            assert fields(api.get(path, {"cursor": cursor})) == {"cursor"}, (path, cursor)


@pytest.mark.parametrize("size", ["0", "-1", "ten", "1e2", "501", "", "9" * 5000, "٣", "1.0"])
@pytest.mark.parametrize(
    "path", ["/api/products/", "/api/imports/", "/api/deletions/", "/api/bulk-changes/"]
)
def test_a_wrong_page_size_is_named(api, path, size):
    assert fields(api.get(path, {"page_size": size})) == {"page_size"}


@pytest.mark.parametrize(
    ("query", "wrong"),
    [("q=x", "q"), ("active=yes", "active"), ("active=", "active"), ("active=1", "active"),
     ("ordering=id", "ordering"), ("ordering=", "ordering"), ("search=%00", "search"),
     ("search=" + "x" * 201, "search"), ("search=a&search=b", "search"), ("format=csv", "format"),
     ("offset=10", "offset")],
)  # fmt: skip
def test_a_wrong_parameter_is_named(api, query, wrong):
    assert fields(api.get(f"/api/products/?{query}")) == {wrong}


@pytest.mark.parametrize(
    ("method", "path"),
    [("get", "/api/imports/"), ("get", "/api/uploads/"), ("get", "/api/deletions/"),
     ("get", "/api/bulk-changes/"), ("post", "/api/products/"), ("post", "/api/products/bulk/"),
     ("get", "/api/products/export.csv"), ("get", "/api/products/by-sku/")],
)  # fmt: skip
def test_unknown_parameters_are_named_everywhere(api, method, path):
    response = send(api, method, f"{path}?nonsense=1", Tus_Resumable="1.0.0")
    assert "nonsense" in fields(response)


@pytest.mark.parametrize(
    ("path", "known"),
    [("/api/products/", "search, active, ordering, cursor, page_size"),
     ("/api/deletions/", "cursor, page_size"), ("/api/products/export.csv", "search, active"),
     ("/api/products/1/", "none")],
)  # fmt: skip
def test_who_gives_an_unknown_parameter_is_told_the_known_ones(api, path, known):
    said = error(api.get(path, {"q": "x"}), 400)
    advice = f"There is no such parameter. Parameters are: {known}."
    assert said["fields"] == {"q": [advice]}


@pytest.mark.parametrize(
    ("method", "path", "body", "advice"),
    [
        ("get", "/api/products/?ordering=-sku", None,
         {"ordering": ["Use one of: -id, sku, name."]}),
        ("post", "/api/products/bulk/", {"action": "remove", "ids": [1]},
         {"action": ["Use one of: activate, deactivate, delete."]}),
        ("post", "/api/products/bulk/", {"action": None, "ids": [1]},
         {"action": ["Use one of: activate, deactivate, delete."]}),
        ("post", "/api/products/bulk/", {"ids": [1]},
         {"action": ["Use one of: activate, deactivate, delete."]}),
        ("post", "/api/products/delete-all/", {"confirm": "delete all"},
         {"confirm": ['Send {"confirm": "DELETE ALL"}.']}),
        ("post", "/api/products/delete-all/", {"confirm": None},
         {"confirm": ['Send {"confirm": "DELETE ALL"}.']}),
        ("post", "/api/products/delete-all/", {},
         {"confirm": ['Send {"confirm": "DELETE ALL"}.']}),
    ],
)  # fmt: skip
def test_who_gives_a_wrong_word_is_told_the_right_ones(api, method, path, body, advice):
    assert error(send(api, method, path, body), 400)["fields"] == advice


def test_a_product_is_looked_up_by_sku_in_any_case(api):
    product = add("Äb-1")
    found = api.get("/api/products/by-sku/", {"sku": "äB-1"})
    assert found.json()["id"] == product.pk and found.headers["ETag"]
    assert error(api.get("/api/products/by-sku/", {"sku": "%"}), 404)
    assert fields(api.get("/api/products/by-sku/")) == {"sku"}
    assert fields(api.get("/api/products/by-sku/?sku=")) == {"sku"}


def test_a_product_tells_its_history(api):
    product = add("A")
    send(api, "patch", f"/api/products/{product.pk}/", {"name": "New"})
    (entry,) = api.get(f"/api/products/{product.pk}/history/").json()["results"]
    assert (entry["action"], entry["by"], entry["token"]) == ("updated", "ana", "ERP")
    assert entry["changes"] == {"name": ["Lamp", "New"]}


@pytest.mark.parametrize("pk", ["0", "999999", str(2**63 - 1), str(2**63), str(HUGE)])
@pytest.mark.parametrize(
    ("method", "path"),
    [("get", "/api/products/{}/"), ("put", "/api/products/{}/"), ("patch", "/api/products/{}/"),
     ("delete", "/api/products/{}/"), ("get", "/api/products/{}/history/"),
     ("get", "/api/bulk-changes/{}/"), ("post", "/api/bulk-changes/{}/cancel/"),
     ("get", "/api/deletions/{}/"), ("post", "/api/deletions/{}/undo/"),
     ("get", "/api/imports/{}/"), ("get", "/api/imports/{}/rejects/"),
     ("post", "/api/imports/{}/cancel/")],
)  # fmt: skip
def test_what_is_not_there_is_not_found(api, method, path, pk):
    body = {"sku": "A", "name": "B"} if method in ("put", "patch") else None
    assert error(send(api, method, path.format(pk), body), 404)["code"] == "not_found"


def test_many_products_are_changed_by_id_at_once(api):
    ids = [add(f"s-{n}").pk for n in range(3)]
    done = send(api, "post", "/api/products/bulk/", {"action": "deactivate", "ids": ids[:2]})
    assert (done.status_code, done.json()["state"], done.json()["changed"]) == (200, "done", 2)
    assert api.get(done.headers["Location"]).json()["id"] == done.json()["id"]
    assert list(Product.objects.filter(active=True).values_list("pk", flat=True)) == ids[2:]
    (listed,) = api.get("/api/bulk-changes/").json()["results"]
    assert listed["events_url"] == f"http://testserver/events/bulk-{listed['id']}/"
    assert error(send(api, "post", f"{listed['url']}cancel/"), 409)["code"] == "conflict"


def test_ids_of_no_product_are_told(api):
    known = add("A").pk
    unknown = list(range(known + 1, known + 151))
    body = {"action": "deactivate", "ids": [*reversed(unknown), known, unknown[0]]}
    done = send(api, "post", "/api/products/bulk/", body).json()
    assert (done["changed"], done["missing"]) == (1, 150)
    assert done["missing_ids"] == unknown[:100]

    none = send(api, "post", "/api/products/bulk/", {"action": "delete", "ids": [known]}).json()
    assert (none["changed"], none["missing"], none["missing_ids"]) == (1, 0, [])
    body = {"action": "activate", "filter": {"search": "x"}}
    assert send(api, "post", "/api/products/bulk/", body).json()["missing"] == 0
    assert "missing" not in api.get(done["url"]).json()


def busy(response) -> str:
    said = error(response, 503)
    assert said["code"] == "busy" and int(response.headers["Retry-After"]) > 0
    return said["message"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("method", "body"), [("patch", {"name": "New"}), ("delete", None)])
def test_who_meets_another_edit_is_told_to_try_again(api, other, monkeypatch, method, body):
    monkeypatch.setattr(editing, "LOCK_MS", 50)
    product = add("A")
    other.cursor().execute("SELECT FROM products_product FOR UPDATE")
    answer = send(api, method, f"/api/products/{product.pk}/", body)
    assert busy(answer) == str(editing.Busy())


@pytest.mark.django_db(transaction=True)
def test_delete_all_says_that_the_catalogue_is_in_use(api, other, monkeypatch):
    monkeypatch.setattr(delete_all, "LOCK_SECONDS", 0.1)
    add("A")
    other.cursor().execute("SELECT FROM products_product")  # keeps its lock
    answer = send(api, "post", "/api/products/delete-all/", {"confirm": "DELETE ALL"})
    assert busy(answer) == str(delete_all.CatalogueBusy())


@pytest.mark.django_db(transaction=True)
def test_a_cancel_within_a_step_of_a_bulk_change_says_so(api, other, settings, monkeypatch):
    settings.BULK_AT_ONCE = 0
    monkeypatch.setattr(runner, "ASK_SECONDS", 0.1)
    add("A")
    body = {"action": "activate", "filter": {}, "everything": True}
    path = send(api, "post", "/api/products/bulk/", body).headers["Location"] + "cancel/"
    other.cursor().execute("SELECT FROM products_bulkchange FOR UPDATE")
    assert busy(send(api, "post", path)).startswith("The job is in the middle of a step.")
    other.rollback()
    assert send(api, "post", path).status_code == 202


def test_more_products_are_a_job_that_can_be_cancelled(api, settings):
    settings.BULK_AT_ONCE = 1
    for n in range(3):
        add(f"s-{n}")
    queued = send(
        api, "post", "/api/products/bulk/", {"action": "delete", "filter": {"search": "s-"}}
    )
    assert (queued.status_code, queued.json()["state"]) == (202, "queued")
    cancelled = send(api, "post", f"{queued.headers['Location']}cancel/")
    assert cancelled.status_code == 202 and cancelled.json()["cancel_requested"] is True


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, {"action"}),
        ({"action": "activate"}, {"ids", "filter"}),
        ({"action": "activate", "ids": [1], "filter": {"search": "x"}}, {"ids", "filter"}),
        ({"action": "restore", "ids": [1]}, {"action"}),
        ({"action": ["activate"], "ids": [1]}, {"action"}),
        ({"action": "activate", "ids": []}, {"ids"}),
        ({"action": "activate", "ids": "1"}, {"ids"}),
        ({"action": "activate", "ids": [1, "2", True, 0, HUGE, 1.5]},
         {"ids.1", "ids.2", "ids.3", "ids.4", "ids.5"}),
        ({"action": "activate", "ids": list(range(1, 10_002))}, {"ids"}),
        ({"action": "activate", "filter": {}}, {"everything"}),
        ({"action": "delete", "filter": {}, "everything": True}, {"filter"}),
        ({"action": "activate", "filter": {"search": " "}, "everything": False}, {"everything"}),
        ({"action": "activate", "filter": {}, "everything": "yes"}, {"everything"}),
        ({"action": "activate", "ids": [1], "everything": True}, {"everything"}),
        ({"action": "activate", "filter": {"q": "x"}}, {"filter.q"}),
        ({"action": "activate", "filter": {"active": "true"}}, {"filter.active"}),
        ({"action": "activate", "filter": {"search": 7}}, {"filter.search"}),
        ({"action": "activate", "filter": "all"}, {"filter"}),
        ({"action": "activate", "filter": None}, {"filter"}),
        ({"action": "activate", "ids": [1], "dry": True}, {"dry"}),
    ],
)  # fmt: skip
def test_a_wrong_bulk_change_names_what_is_wrong(api, body, wrong):
    product = add("A", active=False)
    assert fields(send(api, "post", "/api/products/bulk/", body)) == wrong
    product.refresh_from_db()
    assert product.active is False and not BulkChange.objects.exists()


def test_everything_is_changed_when_it_is_meant(api):
    add("A"), add("B")
    body = {"action": "deactivate", "filter": {}, "everything": True}
    assert send(api, "post", "/api/products/bulk/", body).json()["changed"] == 2
    assert not Product.objects.filter(active=True).exists()


def test_delete_all_wants_the_words_and_leads_to_its_undo(api):
    add("A"), add("B")
    for body in (
        {},
        {"confirm": "delete all"},
        {"confirm": True},
        {"confirm": "DELETE ALL", "x": 1},
    ):
        assert fields(send(api, "post", "/api/products/delete-all/", body)) <= {"confirm", "x"}
    assert Product.objects.count() == 2

    done = send(api, "post", "/api/products/delete-all/", {"confirm": "DELETE ALL"})
    assert (done.status_code, done.json()["kind"], done.json()["count"]) == (200, "all", 2)
    assert not Product.objects.exists()
    assert [row["id"] for row in api.get("/api/deletions/").json()["results"]] == [
        done.json()["id"]
    ]
    undone = send(api, "post", f"{done.headers['Location']}undo/")
    assert undone.status_code == 200 and Product.objects.count() == 2


def test_delete_all_is_refused_while_an_import_merges(api, owner):
    add("A")
    upload = Upload.objects.create(
        created_by=owner, file_name="p.csv", size_bytes=1, expires_at="2030-01-01T00:00:00Z"
    )
    job = Import.objects.create(upload=upload, created_by=owner, state=ImportState.MERGING)
    said = error(send(api, "post", "/api/products/delete-all/", {"confirm": "DELETE ALL"}), 409)
    assert said["code"] == "import_merging"
    assert said["other"] == {"id": job.pk, "url": f"http://testserver/api/imports/{job.pk}/"}
    assert Product.objects.count() == 1


CHANGES = [
    ("post", "/api/products/", {"sku": "B", "name": "b"}),
    ("put", "/api/products/{}/", {"sku": "B", "name": "b"}),
    ("patch", "/api/products/{}/", {"name": "b"}),
    ("delete", "/api/products/{}/", None),
    ("post", "/api/products/bulk/", {"action": "delete", "filter": {}, "everything": True}),
    ("post", "/api/products/delete-all/", {"confirm": "DELETE ALL"}),
]


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
@pytest.mark.parametrize(
    ("role", "scope"), [(Role.VIEWER, "catalogue:write"), (Role.ADMIN, "catalogue:read")]
)
def test_nothing_is_changed_without_scope_and_role(
    django_user_model, method, path, body, role, scope
):
    client = client_of(django_user_model.objects.create_user("bob", role=role), scope)
    product = add("A")
    said = error(send(client, method, path.format(product.pk), body), 403)
    assert said["code"] == "permission_denied"
    assert list(Product.objects.values_list("name", flat=True)) == ["Lamp"]
    assert client.get("/api/products/").status_code == 200
    assert client.get(f"/api/products/{product.pk}/").status_code == 200


def test_delete_all_is_for_admins(django_user_model):
    editor = django_user_model.objects.create_user("eva", role=Role.EDITOR)
    client = client_of(editor, "catalogue:write")
    add("A")
    path, yes = "/api/products/delete-all/", {"confirm": "DELETE ALL"}
    assert "admin" in error(send(client, "post", path, yes), 403)["message"]
    session = Client()
    session.force_login(editor)
    assert error(send(session, "post", path, yes), 403)
    assert Product.objects.count() == 1


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_a_session_needs_its_csrf_token(owner, method, path, body):
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    product = add("A")
    assert "CSRF" in error(send(client, method, path.format(product.pk), body), 403)["message"]
    assert Product.objects.get().name == "Lamp"


def test_an_action_takes_no_body(api, settings):
    settings.BULK_AT_ONCE = 0
    add("A")
    body = {"action": "activate", "filter": {}, "everything": True}
    path = send(api, "post", "/api/products/bulk/", body).headers["Location"] + "cancel/"
    assert fields(send(api, "post", path, {"force": True})) == {"force"}
    assert error(api.post(path, "x=1", content_type="text/plain"), 415)
    assert BulkChange.objects.get().state == BulkState.QUEUED


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-Method-Override"])
def test_a_method_can_not_be_disguised(api, name):
    product = add("A")
    api.get(f"/api/products/{product.pk}/", headers={name: "DELETE"})
    api.post(f"/api/products/{product.pk}/", {"_method": "DELETE"}, headers={name: "DELETE"})
    assert Product.objects.exists()


@pytest.mark.parametrize(
    ("accept", "status"),
    [("*/*", 200), ("application/json", 200), ("application/*;q=0.1", 200), ("text/html", 406),
     (";;;", 406), ("a/b/c, */", 406), ("application/json; q=x", 200), ("," * 5000, 406),
     ("text/csv, application/json", 200)],
)  # fmt: skip
def test_a_strange_accept_is_no_error_of_ours(api, accept, status):
    response = api.get("/api/products/", headers={"Accept": accept})
    assert response.status_code == status
    assert response.headers["Content-Type"].startswith("application/json")


def test_a_foreign_host_is_refused(api):
    response = api.get("/api/products/", headers={"Host": "evil.example"})
    assert "evil" not in error(response, 400)["message"]


def test_html_in_a_name_is_plain_data(api):
    add("A", "<script>alert(1)</script>")
    response = api.get("/api/products/")
    assert response.json()["results"][0]["name"] == "<script>alert(1)</script>"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_a_bulk_change_of_a_search_waits_until_all_of_it_is_found(api):
    add("T-1", "Text")
    search_index.drop()
    body = {"action": "delete", "filter": {"search": "ext 1"}}
    answer = api.post("/api/products/bulk/", body, content_type="application/json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "search_incomplete")
    assert api.get("/api/products/?search=ext").json()["count_exact"] is False

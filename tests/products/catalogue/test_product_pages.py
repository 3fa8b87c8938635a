"""The pages of one product, as a browser without JavaScript uses them."""

from datetime import timedelta
from html import escape

import pytest
from django.test import Client
from django.urls import reverse

from config.accounts.models import Role
from products.catalogue import editing
from products.catalogue.versions import version
from products.models import Deletion, Product

pytestmark = pytest.mark.django_db

LIST = "/products/?q=lamp&sort=sku"
NEW = "/products/new/"
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def client(client, user):
    client.force_login(user)
    return client


@pytest.fixture
def lamp(actor) -> Product:
    values = {"sku": "lamp-1", "name": "Desk lamp", "description": "Warm\nlight", "active": True}
    return editing.create(actor, values)


@pytest.fixture
def other(django_user_model):
    """Another editor's Client."""
    client = Client()
    client.force_login(django_user_model.objects.create_user("ben"))
    return client


def address(product: Product) -> str:
    return reverse("products:product", args=[product.pk])


def fields_of(page) -> dict[str, str]:
    """What a browser would send of a shown form when nothing was touched."""
    form = page.context["form"]
    sent = {"next": page.context["back"], "version": page.context["version"]}
    for field in ("sku", "name", "description"):
        text = str(form[field].value() or "").replace("\r\n", "\n").replace("\n", "\r\n")
        initial = str(form[field].initial or "").replace("\r\n", "\n").replace("\n", "\r\n")
        sent |= {field: text, f"initial-{field}": initial}
    if form["active"].value():
        sent["active"] = "on"
    return sent | {"initial-active": str(form["active"].initial), "once": page.context["once"]}


def text(response) -> str:
    return response.content.decode()


def said(response) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def test_it_adds_a_product_and_leads_back_to_the_lists_place(client):
    sent = fields_of(client.get(NEW, {"next": LIST}))
    answer = client.post(NEW, sent | {"sku": " lamp-1 ", "name": "Desk lamp"})
    assert answer.url == LIST
    product = Product.objects.get()
    assert (product.sku, product.name, product.active) == ("lamp-1", "Desk lamp", True)
    assert said(client.get("/products/")) == ["Desk lamp is added."]


def test_a_form_sent_twice_adds_one_product_and_answers_the_same(client):
    sent = fields_of(client.get(NEW)) | {"sku": "lamp-1", "name": "Desk lamp"}
    first, second = client.post(NEW, sent), client.post(NEW, sent)
    assert (first.status_code, first.url) == (second.status_code, second.url) == (302, "/products/")
    assert Product.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_form_sent_twice_at_once_adds_one_product(client, user, workers):
    sent = fields_of(client.get(NEW)) | {"sku": "lamp-1", "name": "Desk lamp"}
    senders = [Client() for _ in range(3)]
    for sender in senders:
        sender.force_login(user)
    answers = [workers(sender.post, NEW, sent) for sender in senders]
    assert [answer.result().status_code for answer in answers] == [302] * 3
    assert Product.objects.count() == 1


def test_a_form_gone_back_to_and_sent_with_another_product_adds_that_too(client):
    sent = fields_of(client.get(NEW)) | {"sku": "lamp-1", "name": "Desk lamp"}
    client.post(NEW, sent)
    client.post(NEW, sent | {"sku": "lamp-2"})
    assert Product.objects.count() == 2


def test_a_refused_form_can_be_sent_again_with_its_key(client, lamp):
    sent = fields_of(client.get(NEW)) | {"sku": "LAMP-1", "name": "Other"}
    assert client.post(NEW, sent).status_code == 422
    assert client.post(NEW, sent | {"sku": "lamp-2"}).status_code == 302
    assert Product.objects.count() == 2


def test_a_taken_sku_is_said_at_the_field_with_a_link_to_the_other_product(client, lamp):
    answer = client.post(NEW, {"sku": "Lamp-1", "name": "Other", "next": LIST})
    assert answer.status_code == 422
    assert answer.context["form"].errors == {"sku": ["SKU lamp-1 is already used by Desk lamp."]}
    assert f'<a href="{address(lamp)}?next=' in text(answer)
    assert 'value="Other"' in text(answer)


def test_renaming_to_a_taken_sku_is_said_as_well(client, lamp, actor):
    values = {"sku": "lamp-2", "name": "Second", "description": "", "active": True}
    second = editing.create(actor, values)
    sent = fields_of(client.get(address(second))) | {"sku": "LAMP-1"}
    answer = client.post(address(second), sent)
    assert "already used by Desk lamp" in text(answer)
    assert Product.objects.get(pk=second.pk).sku == "lamp-2"


def test_wrong_fields_are_named_and_nothing_is_lost(client):
    sent = {"sku": "  ", "name": "x" * 256, "description": "kept"}
    answer = client.post(NEW, sent)
    assert answer.status_code == 422
    assert set(answer.context["form"].errors) == {"sku", "name"}
    assert "kept" in text(answer)
    assert not Product.objects.exists()


def test_a_nul_is_refused_at_its_field(client):
    answer = client.post(NEW, {"sku": "a\0b", "name": "Name"})
    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == ["sku"]


def test_a_form_s_key_may_hold_anything(client):
    sent = fields_of(client.get(reverse("products:new"))) | {"sku": "A", "name": "Lamp"}
    for key in ("\0", "a\0b", "ab", ""):
        assert client.post(reverse("products:new"), sent | {"once": key}).status_code in (302, 422)
    assert Product.objects.get().name == "Lamp"


def test_it_saves_what_was_changed(client, lamp):
    sent = fields_of(client.get(address(lamp), {"next": LIST}))
    del sent["active"]
    answer = client.post(address(lamp), sent | {"name": "Floor lamp"})
    assert answer.url == LIST
    lamp.refresh_from_db()
    assert (lamp.name, lamp.active, lamp.description) == ("Floor lamp", False, "Warm\nlight")


@pytest.mark.parametrize(
    "values",
    [
        {"name": "Two\nlines", "description": "a\r\nb"},
        {"name": "Lamp", "description": "\na\rb\n"},
        {"name": "Lamp", "description": "  "},
    ],
)
def test_saving_untouched_changes_nothing(client, lamp, values):
    Product.objects.filter(pk=lamp.pk).update(**values)
    before = Product.objects.values().get()
    sent = fields_of(client.get(address(lamp)))
    sent["name"] = sent["name"].replace("\r\n", "")  # as a one-line field does
    assert client.post(address(lamp), sent).status_code == 302
    assert Product.objects.values().get() == before


def test_the_second_of_two_is_told_and_overwrites_nothing(client, other, lamp):
    mine = fields_of(client.get(address(lamp))) | {"name": "Mine"}
    theirs = fields_of(other.get(address(lamp))) | {"name": "Theirs"}
    assert other.post(address(lamp), theirs).status_code == 302

    told = client.post(address(lamp), mine)
    assert told.status_code == 409
    assert "ben changed this product while you were editing" in text(told)
    assert "Theirs" in text(told) and 'value="Mine"' in text(told)
    assert Product.objects.get().name == "Theirs"

    again = fields_of(told)
    assert (again["name"], again["version"]) == ("Mine", version(Product.objects.get()))
    assert "Save mine over it" in text(told)
    assert client.post(address(lamp), again).status_code == 302
    assert Product.objects.get().name == "Mine"


def test_changes_of_other_fields_are_both_kept_once_the_second_agrees(client, other, lamp):
    mine = fields_of(client.get(address(lamp))) | {"description": "Cold light"}
    theirs = fields_of(other.get(address(lamp))) | {"name": "Theirs"}
    other.post(address(lamp), theirs)

    told = client.post(address(lamp), mine)
    assert told.status_code == 409
    assert "both can stay" in text(told)
    client.post(address(lamp), fields_of(told))
    product = Product.objects.get()
    assert (product.name, product.description) == ("Theirs", "Cold light")


def test_the_same_edit_twice_is_saved_once_and_no_conflict(client, lamp):
    sent = fields_of(client.get(address(lamp))) | {"name": "Floor lamp"}
    assert client.post(address(lamp), sent).status_code == 302
    assert client.post(address(lamp), sent).status_code == 302
    lines = client.get(address(lamp)).context["history"]
    assert [entry.action for entry in lines] == ["updated", "created"]


def test_changed_and_changed_back_meanwhile_is_no_conflict(client, actor, lamp):
    sent = fields_of(client.get(address(lamp))) | {"description": "Cold light"}
    editing.update(actor, lamp.pk, {"name": "Theirs"})
    editing.update(actor, lamp.pk, {"name": "Desk lamp"})
    assert client.post(address(lamp), sent).status_code == 302
    assert Product.objects.get().description == "Cold light"


def test_a_deleted_product_is_said_with_who_did_it(client, actor, lamp):
    sent = fields_of(client.get(address(lamp))) | {"name": "Mine"}
    editing.delete(actor, lamp.pk)
    for answer in (client.post(address(lamp), sent), client.get(address(lamp))):
        assert answer.status_code == 404
        assert "ana deleted it" in text(answer)
    assert reverse("products:deleted") in text(answer)


def test_what_was_typed_is_kept_when_the_product_was_deleted_meanwhile(client, actor, lamp):
    sent = fields_of(client.get(address(lamp))) | {"name": "Mine", "description": "Typed"}
    editing.delete(actor, lamp.pk)
    lost = client.post(address(lamp), sent)
    assert lost.status_code == 404
    assert 'value="Mine"' in text(lost)
    assert "Restore it and save" in text(lost)
    assert f'formaction="{address(lamp)}?restore=1"' in text(lost)

    again = fields_of(lost) | {"initial-name": "Desk lamp", "initial-description": "Warm\r\nlight"}
    assert client.post(f"{address(lamp)}?restore=1", again).status_code == 302
    restored = Product.objects.get()
    assert (restored.pk, restored.name, restored.description) == (lamp.pk, "Mine", "Typed")


def test_what_was_typed_can_become_a_new_product(client, actor, lamp):
    sent = fields_of(client.get(address(lamp))) | {"name": "Mine"}
    editing.delete(actor, lamp.pk)
    new = fields_of(client.post(address(lamp), sent))
    taken = {"sku": "LAMP-1", "name": "Theirs", "description": "", "active": True}
    theirs = editing.create(actor, taken)
    refused = client.post(f"{address(lamp)}?restore=1", new)
    assert "its SKU is in use again" in text(refused)
    assert 'value="Mine"' in text(refused)
    editing.delete(actor, theirs.pk)
    assert client.post(NEW, new).status_code == 302
    assert Product.objects.get().name == "Mine"


@pytest.mark.parametrize("pk", ["4711", "9" * 30])
def test_an_address_without_product_says_so(client, pk):
    answer = client.get(f"/products/{pk}/")
    assert answer.status_code == 404
    assert "not there any more" in text(answer)


def test_it_deletes_after_a_question_and_undo_restores(client, lamp):
    asked = client.get(f"{address(lamp)}delete/", {"next": LIST})
    assert "Delete Desk lamp?" in text(asked)
    assert Product.objects.exists()
    sent = {"version": asked.context["version"], "next": asked.context["back"]}
    assert client.post(f"{address(lamp)}delete/", sent).url == LIST
    assert not Product.objects.exists()

    page = client.get("/products/")
    undo = reverse("products:undo", args=[Deletion.objects.get().pk])
    assert f'action="{undo}"' in text(page)
    assert client.post(undo, {"next": LIST}).url == LIST
    assert Product.objects.get().pk == lamp.pk
    assert said(client.get("/products/")) == ["1 product restored."]


def test_what_was_changed_meanwhile_is_not_deleted_unseen(client, actor, lamp):
    asked = client.get(f"{address(lamp)}delete/")
    editing.update(actor, lamp.pk, {"name": "Theirs"})
    answer = client.post(f"{address(lamp)}delete/", {"version": asked.context["version"]})
    assert answer.status_code == 409
    assert "changed it a moment ago" in text(answer)
    sent = {"version": answer.context["version"]}
    assert client.post(f"{address(lamp)}delete/", sent).status_code == 302


def test_the_history_tells_who_changed_what(client, actor, lamp):
    editing.update(actor, lamp.pk, {"name": "Floor lamp", "active": False})
    page = text(client.get(address(lamp)))
    assert "changed name, state" in page
    assert "<del>Desk lamp</del>" in page and "<ins>Floor lamp</ins>" in page
    assert "<del>active</del>" in page


def test_the_history_tells_an_import_that_added_it_from_one_that_changed_it(client, lamp):
    Product.objects.filter(pk=lamp.pk).update(last_import_id=7, created_at=lamp.updated_at)
    page = text(client.get(address(lamp)))
    assert ">import 7</a></b>" in page and "Imported by" in page
    later = lamp.updated_at + timedelta(hours=1)
    Product.objects.filter(pk=lamp.pk).update(updated_at=later)
    page = text(client.get(address(lamp)))
    assert ">Import 7</a></b> changed it" in page and "Imported by" not in page


def test_names_are_text_never_markup(client, actor):
    values = {"sku": SCRIPT, "name": SCRIPT, "description": SCRIPT, "active": True}
    product = editing.create(actor, values)
    editing.update(actor, product.pk, {"name": f"{SCRIPT}2"})
    conflict = client.post(NEW, {"sku": SCRIPT, "name": SCRIPT})
    stale = client.post(address(product), {"sku": SCRIPT, "name": "Mine", "initial-name": SCRIPT})
    pages = [client.get(address(product)), client.get(f"{address(product)}delete/"), conflict]
    client.post(f"{address(product)}delete/")
    pages += [stale, client.get("/products/deleted/")]
    for page in pages:
        assert SCRIPT not in text(page)
        assert escape(SCRIPT) in text(page)


@pytest.mark.parametrize(
    "place",
    ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "evil"],
)
def test_next_leads_to_no_other_host(client, lamp, place):
    sent = fields_of(client.get(address(lamp))) | {"next": place, "name": "Changed"}
    assert client.post(address(lamp), sent).url == "/products/"
    assert 'href="/products/"' in text(client.get(address(lamp), {"next": place}))


def test_viewers_read_and_change_nothing(client, user, lamp):
    sent = fields_of(client.get(address(lamp)))
    user.role = Role.VIEWER
    user.save()
    page = text(client.get(address(lamp)))
    assert "Desk lamp" in page and "product-form" not in page
    assert client.get(NEW).status_code == 403
    assert client.post(NEW, {"sku": "x", "name": "x"}).status_code == 403
    assert client.post(address(lamp), sent | {"name": "Mine"}).status_code == 403
    assert client.get(f"{address(lamp)}delete/").status_code == 403
    assert client.post(f"{address(lamp)}delete/").status_code == 403
    assert Product.objects.get().name == "Desk lamp"


def test_nobody_is_led_to_the_login(lamp):
    assert Client().get(address(lamp)).url.startswith("/login/?next=")


def test_a_form_without_csrf_token_is_refused(user, lamp):
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    for path in (NEW, address(lamp), f"{address(lamp)}delete/"):
        assert client.post(path, {"sku": "x", "name": "x"}).status_code == 403
    assert Product.objects.get().name == "Desk lamp"


def test_htmx_gets_the_part_and_the_event(client, lamp):
    headers = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{LIST}"}
    part = client.get(address(lamp), headers=headers)
    assert "<html" not in text(part)
    assert part.context["back"] == LIST
    answer = client.post(address(lamp), fields_of(part) | {"name": "Floor lamp"}, headers=headers)
    assert answer.status_code == 200
    assert f'"product-saved": {{"id": {lamp.pk}}}' in answer.headers["HX-Trigger-After-Swap"]
    assert "Floor lamp is saved." in text(answer)
    asked = client.get(f"{address(lamp)}delete/", headers=headers)
    gone = client.post(f"{address(lamp)}delete/", fields_of_question(asked), headers=headers)
    assert '"product-deleted"' in gone.headers["HX-Trigger-After-Swap"]
    assert reverse("products:undo", args=[Deletion.objects.get().pk]) in text(gone)


def fields_of_question(page) -> dict[str, str]:
    return {"next": page.context["back"], "version": page.context["version"]}

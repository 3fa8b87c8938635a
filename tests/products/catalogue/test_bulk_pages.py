"""Pages of changes of many products, as a browser without JavaScript uses them."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from config.accounts.models import Role
from products.catalogue import bulk
from products.models import BulkChange, BulkState, Deletion, Product

pytestmark = pytest.mark.django_db

BULK = "/products/bulk/"
DELETED = "/products/deleted/"
LIST = "/products/?q=name&sort=sku"
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def client(client, user):
    client.force_login(user)
    return client


def text(response) -> str:
    return response.content.decode()


def said(client: Client) -> list[str]:
    return [str(message) for message in client.get("/products/").context["messages"]]


def post(client: Client, action: str, **values):
    return client.post(BULK, {"action": action, "next": LIST, **values})


def ids(products: list[Product]) -> list[int]:
    return [product.pk for product in products]


def active() -> int:
    return Product.objects.filter(active=True).count()


def page_of(change: BulkChange) -> str:
    return reverse("products:bulk-change", args=[change.pk])


def test_ticked_products_are_changed_at_once_and_the_message_counts(client, make_products):
    products = make_products(5)
    Product.objects.filter(pk__in=ids(products[:2])).update(active=False)
    assert post(client, "deactivate", ids=ids(products[:4])).url == LIST
    assert active() == 1
    assert said(client) == ["2 products deactivated, 2 were inactive already."]
    post(client, "activate", ids=ids(products[:1]))
    assert said(client) == ["1 product activated."]
    post(client, "activate", ids=ids(products[:1]))
    assert said(client) == ["Nothing to do: 1 product was active already."]


def test_ticked_products_are_deleted_after_a_question_and_restored(client, make_products):
    products = make_products(5)
    asked = post(client, "delete", ids=ids(products[:3]))
    assert "Delete 3 products?" in text(asked)
    assert "24 hours" in text(asked)
    assert Product.objects.count() == 5

    assert post(client, "delete", ids=ids(products[:3]), confirmed="1").url == LIST
    assert Product.objects.count() == 2
    page = client.get("/products/")
    assert "3 products deleted." in text(page)
    undo = reverse("products:undo", args=[Deletion.objects.get().pk])
    assert f'action="{undo}"' in text(page)
    client.post(undo)
    assert Product.objects.count() == 5
    assert said(client) == ["3 products restored."]


def test_everything_that_matches_is_changed_after_the_count_was_shown(client, make_products):
    make_products(30)
    asked = post(client, "deactivate", everything="1", q="sku-1", state="active")
    assert "Deactivate 11 active products matching “sku-1”?" in text(asked)
    assert active() == 30
    post(client, "deactivate", everything="1", q="sku-1", state="active", confirmed="1")
    assert active() == 19
    assert said(client) == ["11 products deactivated."]


def test_the_question_hands_on_what_it_is_about(client, make_products):
    products = make_products(3)
    of_all = text(post(client, "delete", everything="1", q="name", state="active"))
    for field in ('name="everything" value="1"', 'name="q" value="name"', 'value="active"'):
        assert field in of_all
    of_ticked = text(post(client, "delete", ids=ids(products)))
    assert 'name="everything"' not in of_ticked
    for pk in ids(products):
        assert f'name="ids" value="{pk}"' in of_ticked


def test_many_products_become_a_job_with_a_page(client, make_products, settings):
    settings.BULK_AT_ONCE = settings.BULK_BATCH_ROWS = 10
    make_products(25)
    asked = text(post(client, "delete", everything="1", q="name"))
    assert "in the background" in asked
    answer = post(client, "delete", everything="1", q="name", confirmed="1")
    change = BulkChange.objects.get()
    assert answer.url.startswith(page_of(change))
    assert "next=" in answer.url

    waiting = text(client.get(answer.url))
    assert "Deleting 25 products matching “name”" in waiting
    assert "Waiting for a worker" in waiting and 'http-equiv="refresh"' in waiting
    while bulk.advance(change.pk):
        pass
    done = text(client.get(answer.url))
    assert "25 products deleted" in done and 'http-equiv="refresh"' not in done
    assert reverse("products:undo", args=[Deletion.objects.get().pk]) in done

    client.post(reverse("products:undo", args=[Deletion.objects.get().pk]), {"next": LIST})
    restore = BulkChange.objects.first()
    while bulk.advance(restore.pk):
        pass
    assert "25 products restored" in text(client.get(page_of(restore)))
    assert Product.objects.count() == 25


def test_a_job_is_stopped_from_its_page(client, make_products, settings):
    settings.BULK_AT_ONCE = settings.BULK_BATCH_ROWS = 10
    make_products(25)
    post(client, "deactivate", everything="1", confirmed="1")
    change = BulkChange.objects.get()
    cancel = reverse("products:bulk-cancel", args=[change.pk])
    assert f'action="{cancel}"' in text(client.get(page_of(change)))
    client.post(cancel)
    assert "Stopping" in text(client.get(page_of(change)))
    bulk.advance(change.pk)
    assert "Cancelled before anything changed." in text(client.get(page_of(change)))
    assert active() == 25


def test_a_failed_job_says_why(client, user):
    change = BulkChange.objects.create(
        created_by=user,
        by_name="ana",
        action="activate",
        state=BulkState.FAILED,
        expected=20,
        last_id=20,
        changed=4,
        error="the disk is full",
        finished_at=timezone.now(),
    )
    assert "Failed after 4 products activated: the disk is full" in text(
        client.get(page_of(change))
    )


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ({"action": "delete"}, ["Tick the products first."]),
        ({"action": "activate", "ids": ["x", "-1", "9" * 30]}, ["Tick the products first."]),
        ({"action": "restore", "everything": "1"}, []),
        ({"action": "explode", "ids": ["1"]}, []),
        (
            {"action": "delete", "everything": "1", "q": "nothing like it"},
            ["There are no such products any more."],
        ),
    ],
)
def test_what_makes_no_sense_changes_nothing(client, make_products, sent, says):
    make_products(2)
    assert client.post(BULK, sent).url == "/products/"
    assert said(client) == says
    assert active() == 2


def test_a_reload_after_signing_in_again_leads_to_the_list(client):
    assert client.get(BULK).url == "/products/"


def test_a_search_is_text_never_markup(client):
    Product.objects.create(sku="x", name=SCRIPT)
    asked = text(post(client, "delete", everything="1", q=SCRIPT))
    post(client, "delete", everything="1", q=SCRIPT, confirmed="1")
    change = BulkChange.objects.get()
    for page in (asked, text(client.get(page_of(change))), text(client.get(DELETED))):
        assert SCRIPT not in page
        assert "&lt;script&gt;" in page


def test_what_was_deleted_lately_is_listed_with_its_undo(client, make_products, user):
    products = make_products(4)
    assert "Nothing was deleted lately" in text(client.get(DELETED))
    client.post(reverse("products:delete", args=[products[0].pk]))
    post(client, "delete", ids=ids(products[1:3]), confirmed="1")
    many, one = Deletion.objects.all()
    page = text(client.get(DELETED))
    assert "sku-1" in page and "2 chosen products" in page
    assert page.index("2 chosen products") < page.index("sku-1")
    client.post(reverse("products:undo", args=[many.pk]), {"next": DELETED})
    page = text(client.get(DELETED))
    assert "restored" in page
    assert reverse("products:undo", args=[many.pk]) not in page
    assert reverse("products:undo", args=[one.pk]) in page

    Deletion.objects.filter(pk=one.pk).update(kept_until=timezone.now())
    assert "sku-1" not in text(client.get(DELETED))
    client.post(reverse("products:undo", args=[one.pk]))
    assert "The time to undo this is over; the products are gone." in said(client)


def test_all_that_can_be_undone_is_found_page_by_page(client, make_products):
    post(client, "delete", ids=ids(make_products(1)), confirmed="1")
    oldest = Deletion.objects.get()
    now = timezone.now()
    Deletion.objects.bulk_create(
        Deletion(kind="one", by_name="ana", what=f"later-{n}", rows=1, kept_until=until)
        for until in (now + timedelta(hours=1), now)
        for n in range(60)
    )
    undo = reverse("products:undo", args=[oldest.pk])
    said(client)  # with an Undo of its own

    first = text(client.get(DELETED))
    assert first.count('<form class="undo"') == 50 and undo not in first
    (older,) = re.findall(r'href="(\?before=[0-9]+)"', first)
    second = client.get(DELETED + older)
    assert text(second).count('<form class="undo"') == 11 and undo in text(second)
    (newer,) = re.findall(r'href="(\?after=[0-9]+)"', text(second))
    assert client.get(DELETED + newer).context["page"] == client.get(DELETED).context["page"]

    assert client.post(undo, {"next": DELETED + older}).url == DELETED + older
    assert active() == 1


def test_an_undo_says_what_was_left_out(client, make_products):
    products = make_products(2)
    post(client, "delete", ids=ids(products), confirmed="1")
    said(client)
    Product.objects.create(sku="SKU-1", name="New")
    client.post(reverse("products:undo", args=[Deletion.objects.get().pk]))
    assert said(client) == ["1 product restored, 1 could not be: its SKU is in use again."]
    assert "1 left out" in text(client.get(DELETED))


@pytest.mark.parametrize("pk", ["4711", "9" * 30])
def test_an_unknown_deletion_is_said(client, pk):
    assert client.post(f"/products/deleted/{pk}/undo/").url == "/products/"
    assert said(client) == ["This deletion is not known any more."]


def test_viewers_see_and_change_nothing(client, make_products, user):
    products = make_products(3)
    post(client, "delete", ids=ids(products[:1]), confirmed="1")
    change, deletion = BulkChange.objects.get(), Deletion.objects.get()
    user.role = Role.VIEWER
    user.save()
    assert client.get(DELETED).status_code == 200
    assert "Undo" not in text(client.get(DELETED))
    assert client.get(page_of(change)).status_code == 200
    assert post(client, "deactivate", ids=ids(products)).status_code == 403
    assert client.post(reverse("products:undo", args=[deletion.pk])).status_code == 403
    assert client.post(reverse("products:bulk-cancel", args=[change.pk])).status_code == 403
    assert active() == 2


def test_forms_without_csrf_token_are_refused(user, make_products):
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    sent = {"action": "deactivate", "ids": ids(make_products(1))}
    assert client.post(BULK, sent).status_code == 403
    assert client.post("/products/deleted/1/undo/").status_code == 403
    assert active() == 1


def test_htmx_gets_the_question_as_a_part_and_the_message_alone(client, make_products):
    headers = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{LIST}"}
    sent = {"action": "delete", "ids": ids(make_products(2))}
    assert "<html" not in text(client.post(BULK, sent, headers=headers))
    done = client.post(BULK, sent | {"confirmed": "1"}, headers=headers)
    assert "2 products deleted." in text(done) and "<html" not in text(done)
    assert "products-changed" in done.headers["HX-Trigger-After-Swap"]


@pytest.mark.parametrize("htmx", [False, True])
def test_deleting_everything_leads_to_delete_all(client, make_products, htmx):
    make_products(3)
    values = {"action": "delete", "everything": "1", "confirmed": "1"}
    answer = client.post(BULK, values, headers={"HX-Request": "true"} if htmx else {})
    led = answer.headers["HX-Redirect"] if htmx else answer.url
    assert led == "/products/delete-all/"
    assert Product.objects.count() == 3


def test_a_number_that_is_no_id_is_no_product(client, make_products):
    (product,) = make_products(1)
    for strange in ("9" * 5_000, "9" * 19, "-1", "٣", ""):
        assert post(client, "deactivate", ids=[strange]).url == LIST
        assert said(client) == ["Tick the products first."]
    post(client, "deactivate", ids=["9" * 5_000, product.pk])
    assert active() == 0

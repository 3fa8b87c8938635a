"""Accounts, looked after by admins."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone
from playwright.sync_api import expect

from config.accounts import people, tokens
from config.accounts.models import Role, User
from tests.accounts.conftest import PASSWORD
from tests.look.test_browser import ACCESSIBILITY, PHONE
from tests.services.waiting import until

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(person):
    return person("ada", Role.ADMIN)


@pytest.fixture
def client(client, admin):
    client.force_login(admin)
    return client


def shown_password(response) -> str:
    assert "no-store" in response.headers["Cache-Control"]
    return re.search(r'id="secret">([\w-]{16})<', response.content.decode())[1]


def test_it_lists_everybody_with_role_state_and_usable_tokens(client, person, user):
    tokens.issue(user, "one", [])
    tokens.issue(user, "two", [], expires_at=timezone.now() + timedelta(days=1))
    tokens.issue(user, "expired", [], expires_at=timezone.now() - timedelta(days=1))
    tokens.revoke(user, tokens.issue(user, "revoked", [])[0].pk)
    person("aaron", Role.VIEWER, is_active=False)
    page = client.get("/users/").content.decode()
    found = re.findall(r"<tr>(.*?)</tr>", page.partition("<tbody>")[2], re.S)
    rows = [" ".join(re.sub(r"<[^>]*>", " ", row).split()) for row in found]
    assert [row.split()[0] for row in rows] == ["ada", "ana", "aaron"]
    assert rows[0].startswith("ada you admin active")
    assert rows[1] == "ana editor active never 2"
    assert rows[2] == "aaron viewer switched off never 0"


def test_it_says_what_each_role_may_do(client):
    page = client.get("/users/").content.decode()
    assert "also imports files, changes products and webhooks, and buys" in page


def test_a_new_user_signs_in_with_the_password_shown_once(client):
    response = client.post("/users/", {"username": "Bob", "role": "viewer"})
    password = shown_password(response)
    bob = User.objects.get(username="Bob")
    assert bob.role == Role.VIEWER and not bob.is_superuser
    assert Client().login(username="Bob", password=password)
    assert password not in client.get("/users/").content.decode()


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"username": "ADA", "role": "viewer"}, "an account with this name already"),
        ({"username": "a b", "role": "viewer"}, "Enter a valid username"),
        ({"username": "x\0y", "role": "viewer"}, "Null characters are not allowed"),
        ({"username": "x" * 151, "role": "viewer"}, "at most 150 characters"),
        ({"username": "", "role": "viewer"}, "This field is required"),
        ({"username": "bob", "role": "king"}, "not one of the available choices"),
        ({"username": "bob"}, "Choose a role"),
    ],
)
def test_a_wrong_form_says_what_is_wrong_and_adds_nobody(client, form, words):
    response = client.post("/users/", form)
    assert response.status_code == 422 and words in response.content.decode()
    assert User.objects.count() == 1


def test_a_role_counts_from_the_next_request_on(client, user):
    anas = Client()
    anas.force_login(user)
    assert anas.get("/imports/new/").status_code == 200
    response = client.post(f"/users/{user.pk}/role/", {"role": "viewer"}, follow=True)
    assert "ana is a viewer now." in response.content.decode()
    assert anas.get("/imports/new/").status_code == 403


def test_switching_off_ends_sessions_and_tokens_and_switching_on_does_not_bring_back_sessions(
    client, user
):
    anas = Client()
    anas.force_login(user)
    _, secret = tokens.issue(user, "ERP", ["catalogue:read"])
    asked = client.get(f"/users/{user.pk}/off/").content.decode()
    assert "Switch off ana?" in asked and "of this account (1) are refused" in asked
    assert anas.get("/account/").status_code == 200

    client.post(f"/users/{user.pk}/off/")
    headers = {"Authorization": f"Bearer {secret}"}
    assert anas.get("/account/").status_code == 302
    assert Client().get("/api/products/", headers=headers).status_code == 401
    assert not Client().login(username="ana", password=PASSWORD)
    assert Session.objects.count() == 1  # the admin's own

    anas.force_login(user)  # as a login does that was under way meanwhile
    client.post(f"/users/{user.pk}/on/")
    assert anas.get("/account/").status_code == 302
    assert Client().get("/api/products/", headers=headers).status_code == 200
    assert Client().login(username="ana", password=PASSWORD)
    assert client.get("/users/").status_code == 200


def test_a_new_password_takes_the_place_of_the_old_one_and_ends_the_sessions(client, user):
    anas = Client()
    anas.force_login(user)
    assert "Set a new password" in client.get(f"/users/{user.pk}/password/").content.decode()
    password = shown_password(client.post(f"/users/{user.pk}/password/"))
    assert anas.get("/account/").status_code == 302
    assert not Client().login(username="ana", password=PASSWORD)
    assert Client().login(username="ana", password=password)


def test_ones_own_password_is_changed_where_the_old_one_is_asked_for(client, admin):
    response = client.post(f"/users/{admin.pk}/password/")
    assert response.url == "/account/password/"
    admin.refresh_from_db()
    assert admin.check_password(PASSWORD)


@pytest.mark.parametrize(
    ("what", "form"), [("off", {}), ("role", {"role": "editor", "confirmed": "1"})]
)
def test_the_last_active_admin_stays_one(client, admin, person, what, form):
    person("gone", Role.ADMIN, is_active=False)
    person("eve", Role.EDITOR)
    response = client.post(f"/users/{admin.pk}/{what}/", form)
    assert response.status_code == 409
    assert "ada is the only active admin." in response.content.decode()
    admin.refresh_from_db()
    assert admin.is_active and admin.role == Role.ADMIN


def test_one_is_asked_before_one_gives_up_being_an_admin(client, admin, person):
    person("bea", Role.ADMIN)
    asked = client.post(f"/users/{admin.pk}/role/", {"role": "editor"})
    admin.refresh_from_db()
    assert "Give up being an admin?" in asked.content.decode() and admin.role == Role.ADMIN
    done = client.post(f"/users/{admin.pk}/role/", {"role": "editor", "confirmed": "1"})
    admin.refresh_from_db()
    assert done.url == "/account/" and admin.role == Role.EDITOR


def test_one_who_switches_oneself_off_is_asked_and_signed_out(client, admin, person):
    person("bea", Role.ADMIN)
    assert "your own account?" in client.get(f"/users/{admin.pk}/off/").content.decode()
    response = client.post(f"/users/{admin.pk}/off/", follow=True)
    assert response.redirect_chain == [("/login/", 302)]
    assert "ada is switched off." in response.content.decode()


def test_a_superuser_can_be_made_less(client, django_user_model):
    root = django_user_model.objects.create_superuser("root", password=PASSWORD)
    assert "admin" in client.get(f"/users/{root.pk}/").content.decode()
    client.post(f"/users/{root.pk}/role/", {"role": "viewer"})
    root.refresh_from_db()
    assert root.role == Role.VIEWER and not root.is_superuser


def test_somebody_who_is_not_there_is_404(client):
    assert client.get("/users/0/").status_code == 404
    for what in ("role", "off", "on", "password"):
        assert client.post(f"/users/0/{what}/", {"role": "viewer"}).status_code == 404


def test_each_change_leaves_a_line_in_the_log_without_secrets(client, user, caplog):
    caplog.set_level("INFO", "config.accounts.people")
    client.post(f"/users/{user.pk}/role/", {"role": "admin"})
    client.post(f"/users/{user.pk}/off/")
    client.post(f"/users/{user.pk}/on/")
    password = shown_password(client.post(f"/users/{user.pk}/password/"))
    client.post("/users/", {"username": "bob", "role": "viewer"})
    lines = [r.getMessage() for r in caplog.records if r.name == "config.accounts.people"]
    about = ["role editor -> admin", "switched off", "switched on", "password set", "added"]
    assert len(lines) == 5 and all(what in line for what, line in zip(about, lines, strict=True))
    assert password not in caplog.text


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("whom", "refusal"), [("the other", PermissionDenied), ("oneself", people.LastAdmin)]
)
def test_of_two_admins_who_stop_being_admins_at_once_one_stays(person, whom, refusal):
    ada, bea = person("ada", Role.ADMIN), person("bea", Role.ADMIN)

    def demote(actor: User, other: User) -> None:
        people.set_role(actor, (other if whom == "the other" else actor).pk, Role.EDITOR)

    def beas() -> None:
        try:
            demote(bea, ada)
        finally:
            connection.close()

    def waits() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            return cursor.fetchone()[0] > 0

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            demote(ada, bea)
            other = threads.submit(beas)
            until(waits)
        with pytest.raises(refusal):
            other.result()
    assert people.admins().count() == 1


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_an_admin_adds_changes_and_switches_off_somebody(page, browser_context, sign_in, admin):
    browser_context.grant_permissions(["clipboard-read", "clipboard-write"])
    sign_in(admin)
    page.set_viewport_size(PHONE)

    def look(title: str) -> None:
        expect(page.get_by_role("heading", level=1)).to_contain_text(title)
        assert page.evaluate(ACCESSIBILITY) == []
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]

    page.goto("/account/")
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("link", name="Users").click()
    look("Users")
    page.get_by_label("Username").fill("bob.with-a-rather-long-name@example.org")
    page.get_by_label("Viewer").check()
    page.get_by_role("button", name="Add user").click()
    look("is added")
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    password = page.evaluate("navigator.clipboard.readText()")
    assert password == page.locator("#secret").inner_text()
    assert User.objects.get(username__startswith="bob").check_password(password)

    page.get_by_role("link", name="I have copied it").click()
    look("Users")
    page.get_by_role("link", name="bob").click()
    look("bob")
    page.get_by_label("Editor").check()
    page.get_by_role("button", name="Save role").click()
    expect(page.get_by_role("status")).to_contain_text("is an editor now.")
    page.get_by_role("link", name="Switch off").click()
    look("Switch off")
    page.get_by_role("button", name="Switch off").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("switched off")
    page.get_by_role("button", name="Switch on").click()
    expect(page.get_by_role("heading", level=1)).not_to_contain_text("switched off")

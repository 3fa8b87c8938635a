"""What viewers, editors and admins may do: at every address, on pages and by API."""

import pytest
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import HttpResponse
from django.template import engines
from django.test import RequestFactory
from django.utils import timezone
from playwright.sync_api import expect

from config.accounts import scopes, tokens
from config.accounts.models import Role, User
from config.accounts.permissions import may, requires
from products.models import Import, Upload
from tests.accounts.test_closed_doors import DOCS, all_addresses

pytestmark = pytest.mark.django_db

UNSAFE = ("post", "put", "patch", "delete")
# Unsafe for everybody who is signed in: their own account, and pages that change nothing.
FOR_ALL = {
    "/",
    "/login/",
    "/logout/",
    "/healthz",
    "/readyz",
    "/operations/",
    "/account/password/",
    "/account/tokens/",
    "/account/tokens/1/revoke/",
}
ADMINS_ONLY = (
    "/users/",
    "/products/delete-all/",
    "/api/products/delete-all/",
)


def unsafe_pages() -> list[str]:
    others = ("/api/", "/events/")
    return [x for x in all_addresses() if not x.startswith(others) and x not in FOR_ALL]


def unsafe_api() -> list[str]:
    return [x for x in all_addresses() if x.startswith("/api/") and x != DOCS]


def answers(client, addresses: list[str], **options) -> dict[tuple[str, str], int]:
    """The status of each unsafe method at each address where the method exists."""
    found = {
        (method, address): getattr(client, method)(address, **options).status_code
        for address in addresses
        for method in UNSAFE
    }
    return {asked: status for asked, status in found.items() if status != 405}


@pytest.mark.parametrize(
    ("role", "needed", "allowed"),
    [
        (Role.VIEWER, "catalogue:read", True),
        (Role.VIEWER, "catalogue:write", False),
        (Role.VIEWER, "users:admin", False),
        (Role.EDITOR, "catalogue:read", True),
        (Role.EDITOR, "catalogue:write", True),
        (Role.EDITOR, "catalogue:admin", False),
        (Role.EDITOR, "users:admin", False),
        (Role.ADMIN, "catalogue:write", True),
        (Role.ADMIN, "catalogue:admin", True),
        (Role.ADMIN, "users:admin", True),
    ],
)
def test_each_role_includes_the_one_before(role, needed, allowed):
    assert may(User(role=role), needed) is allowed


def test_superusers_are_admins_and_those_switched_off_are_nobody():
    assert may(User(role=Role.VIEWER, is_superuser=True), "users:admin")
    assert not may(User(role=Role.ADMIN, is_active=False), "catalogue:read")
    assert not may(User(is_superuser=True, is_active=False), "catalogue:read")


@pytest.mark.parametrize("needed", ["catalogue:delete", "catalogue", ""])
def test_a_misspelt_right_is_found_when_the_page_is_loaded(needed):
    with pytest.raises(ImproperlyConfigured, match="no right"):
        requires(needed)


def test_a_page_may_be_read_by_all_and_changed_by_some():
    page = requires("catalogue:write", unsafe_only=True)(lambda request: HttpResponse("page"))
    request = RequestFactory()
    for method in (request.get, request.head, request.post):
        asked = method("/")
        asked.user = User(role=Role.VIEWER)
        if method == request.post:
            with pytest.raises(PermissionDenied, match="needs the role editor"):
                page(asked)
        else:
            assert page(asked).status_code == 200


def test_no_address_lets_a_viewer_change_anything(client, person):
    """A new page that takes POST without `requires` fails here; so does an API view."""
    viewer = person("vera", Role.VIEWER)
    _, secret = tokens.issue(viewer, "everything", scopes.ALL)
    bearer = {"Authorization": f"Bearer {secret}"}
    by_token = answers(client, unsafe_api(), headers=bearer)
    assert ("post", "/api/imports/") in by_token and set(by_token.values()) == {403}
    client.force_login(viewer)
    on_pages = answers(client, unsafe_pages())
    assert ("post", "/users/") in on_pages
    assert {asked: status for asked, status in on_pages.items() if status != 403} == {}


@pytest.mark.parametrize("role", [Role.EDITOR, Role.ADMIN])
def test_what_is_refused_to_editors_is_what_admins_alone_do(client, person, role):
    somebody = person("eve", role)
    _, secret = tokens.issue(somebody, "everything", scopes.ALL)
    found = answers(client, unsafe_api(), headers={"Authorization": f"Bearer {secret}"})
    client.force_login(somebody)
    found |= answers(client, unsafe_pages())
    refused = {address for (_, address), status in found.items() if status == 403}
    admins_only = {address for (_, address) in found if address.startswith(ADMINS_ONLY)}
    assert "/users/1/off/" in admins_only
    assert refused == (set() if role is Role.ADMIN else admins_only)


def test_a_token_that_only_reads_changes_nothing_even_for_an_admin(client, person):
    reading = [scope for scope in scopes.ALL if scope.endswith(":read")]
    _, secret = tokens.issue(person("ada", Role.ADMIN), "reading", reading)
    found = answers(client, unsafe_api(), headers={"Authorization": f"Bearer {secret}"})
    assert set(found.values()) == {403}


def test_viewers_read_all_pages_but_those_for_changes(client, person):
    client.force_login(person("vera", Role.VIEWER))
    for address in ("/products/", "/imports/", "/account/", "/operations/"):
        assert client.get(address).status_code == 200
    refused = client.get("/imports/new/")
    page = refused.content.decode()
    assert refused.status_code == 403
    assert "Your role is viewer, and this needs the role editor." in page


def test_the_refusal_names_those_who_can_help(client, person):
    for name in ("ada", "bea", "cleo", "dora"):
        person(name, Role.ADMIN)
    person("aaron", Role.ADMIN, is_active=False)
    person("abe", Role.EDITOR)
    client.force_login(person("vera", Role.VIEWER))
    assert "Ask ada, bea or cleo if you need it." in client.get("/users/").content.decode()


def test_the_refusal_of_an_upload_is_said_to_programs(client, person):
    client.force_login(person("vera", Role.VIEWER))
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "10"}
    response = client.post("/api/uploads/", headers=headers)
    error = response.json()["error"]
    assert response.status_code == 403 and error["code"] == "permission_denied"
    assert "this needs the role editor" in error["message"]


def test_only_those_who_may_see_how_to_import(client, person):
    for role, offered in ((Role.VIEWER, False), (Role.EDITOR, True)):
        client.force_login(person(role.value, role))
        assert ("Import CSV" in client.get("/imports/").content.decode()) is offered


def test_only_admins_have_users_in_their_navigation(client, person):
    for role, shown in ((Role.VIEWER, False), (Role.EDITOR, False), (Role.ADMIN, True)):
        client.force_login(person(role.value, role))
        assert ('href="/users/"' in client.get("/account/").content.decode()) is shown


def test_a_viewer_is_offered_tokens_that_read_and_gets_no_others(client, person):
    viewer = person("vera", Role.VIEWER)
    client.force_login(viewer)
    page = client.get("/account/").content.decode()
    assert "role: viewer" in page and 'value="catalogue:read"' in page
    assert 'value="catalogue:write"' not in page
    form = {"name": "export", "scopes": ["catalogue:write"], "expires": "30"}
    assert client.post("/account/tokens/", form).status_code == 422
    assert client.post("/account/tokens/", {**form, "scopes": "catalogue:read"}).status_code == 200
    assert viewer.api_tokens.get().scopes == ["catalogue:read"]


def test_a_token_from_before_its_owner_became_a_viewer_is_marked(client, person):
    viewer = person("vera", Role.VIEWER)
    client.force_login(viewer)
    tokens.issue(viewer, "reads", ["catalogue:read"])
    assert "your role allows reading only" not in client.get("/account/").content.decode()
    tokens.issue(viewer, "wrote", ["catalogue:write"])
    assert "your role allows reading only" in client.get("/account/").content.decode()


@pytest.mark.parametrize("somebody", [None, User(), User(role=Role.VIEWER)])
def test_templates_ask_for_rights_also_of_nobody(somebody):
    template = engines["django"].from_string(
        '{% load rights %}{% if user|may:"catalogue:write" %}yes{% else %}no{% endif %}'
    )
    words = template.render({"user": somebody} if somebody else {})
    assert words == ("yes" if somebody and somebody.role == Role.EDITOR else "no")


@pytest.fixture
def checked_import():
    """Waits for a yes, and has a rejected line."""
    now = timezone.now()
    upload = Upload.objects.create(
        file_name="spring.csv", size_bytes=90, offset=90, expires_at=now, completed_at=now
    )
    job = Import.objects.create(
        upload=upload, state="ready", check_first=True, rows=3, rejected=1, would_create=2
    )
    job.rejects.create(part=0, line=3, column="sku", reason="SKU is empty", raw=",Lamp")
    return job


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_viewers_watch_an_import_and_are_offered_nothing_to_do(
    page, sign_in, person, checked_import
):
    broken: list[str] = []
    page.on("pageerror", lambda error: broken.append(str(error)))
    doing = ["Cancel import", "Import now", "Leave the catalogue as it is", "Pause upload"]
    for role, can_do in ((Role.EDITOR, True), (Role.VIEWER, False)):
        sign_in(person(role.value, role))
        page.goto("/imports/")
        page.get_by_role("link", name="spring.csv").click()
        expect(page.get_by_text("SKU is empty").last).to_be_visible()
        expect(page.get_by_text("2 products would be created")).to_be_visible()
        expect(page.get_by_role("button", name="Import now")).to_be_visible(visible=can_do)
        there = [page.locator("button", has_text=name).count() > 0 for name in doing]
        assert there == [can_do] * 4
        waits_for = "your yes" if can_do else "an editor's yes"
        expect(page.locator("#words")).to_have_text(f"Checked, waiting for {waits_for}")
    assert broken == []

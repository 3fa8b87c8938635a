"""What holds for every address there is, also those that come later: forms, headers, redirects."""

import re
from urllib.parse import urlsplit

import pytest
from django.test import Client

from config.accounts import scopes
from config.accounts.models import Role
from config.accounts.tokens import issue
from tests.accounts.test_closed_doors import DOCS, all_addresses

pytestmark = pytest.mark.django_db

PROBES = {"/healthz", "/readyz"}
STREAMS = "/events/"  # GET alone, in the event loop: tests/web/test_streams.py
INLINE = re.compile(r"<script(?![^>]*\bsrc=)|<style\b|<[^>]*\s(?:style|on[a-z]+)\s*=", re.S)
ELSEWHERE = (
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example/",
    "///evil.example",
    "https:evil.example",
    "javascript:alert(1)",
    "/\t/evil.example/",
)


@pytest.fixture
def admin(django_user_model):
    return django_user_model.objects.create_user("ada", role=Role.ADMIN)


@pytest.fixture
def strict(admin) -> Client:
    """An admin's browser, of which the CSRF token is asked as it is in production."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin)
    return client


def pages() -> list[str]:
    return [a for a in all_addresses() if not a.startswith(("/api/", STREAMS))] + [DOCS]


def calls() -> list[str]:
    return [a for a in all_addresses() if a.startswith("/api/") and a != DOCS]


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_no_page_changes_anything_without_csrf_token(strict, method):
    answers = {page: getattr(strict, method)(page) for page in pages()}
    taken = {page: a.status_code for page, a in answers.items() if a.status_code != 403}
    # Those that take only GET say so, whoever asks; nothing else may be open.
    assert {page: status for page, status in taken.items() if status != 405} == {}


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_a_session_calls_nothing_of_the_api_without_csrf_token(strict, method):
    refusals = {call: getattr(strict, method)(call) for call in calls()}
    taken = {
        call: answer.status_code
        for call, answer in refusals.items()
        if answer.status_code != 401  # for tokens alone
        and (answer.status_code != 403 or "CSRF" not in answer.content.decode())
    }
    assert taken == {}


def test_a_token_is_never_asked_for_a_csrf_token(admin):
    token = issue(admin, "ERP", scopes.ALL)[1]
    client = Client(enforce_csrf_checks=True, headers={"Authorization": f"Bearer {token}"})
    asked = [call for call in calls() if "CSRF" in client.post(call).content.decode()]
    assert asked == []


def test_each_answer_has_the_headers_and_no_page_anything_inline(client, admin):
    client.force_login(admin)
    wrong = []
    for address in pages() + calls():
        answer = client.get(address)
        policy = answer.headers.get("Content-Security-Policy", "")
        if "default-src 'self'" not in policy or "unsafe" in policy or "*" in policy:
            wrong.append((address, "policy", policy))
        for name, value in {
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
        }.items():
            if answer.headers.get(name) != value:
                wrong.append((address, name, answer.headers.get(name)))
        if address not in PROBES and "no-store" not in answer.headers["Cache-Control"]:
            wrong.append((address, "kept", answer.headers["Cache-Control"]))
        if answer.headers.get("Content-Type", "").startswith("text/html"):
            text = b"".join(answer) if answer.streaming else answer.content
            if found := INLINE.search(text.decode()):
                wrong.append((address, "inline", found[0]))
    assert wrong == []


@pytest.mark.parametrize("where", ELSEWHERE)
def test_no_address_leads_to_another_host(client, admin, where):
    named = dict.fromkeys(("next", "url", "redirect", "return", "back", "to"), where)
    led = []
    for signed_in in (False, True):
        if signed_in:
            client.force_login(admin)
        for page in pages():
            headers = {"HX-Current-URL": where}
            for answer in (client.get(page, named), client.post(page, named, headers=headers)):
                for header in ("Location", "HX-Redirect", "HX-Location", "HX-Push-Url"):
                    to = answer.headers.get(header, "")
                    if urlsplit(to).scheme or to.startswith(("//", "/\\", "/\t")):
                        led.append((page, header, to))
    assert led == []


def test_a_field_that_nobody_knows_is_named_in_few_words(admin):
    token = issue(admin, "ERP", scopes.ALL)[1]
    client = Client(headers={"Authorization": f"Bearer {token}"})
    body = {f"{'x' * 1000}{n}": 0 for n in range(1_000)}
    long = []
    for call in calls():
        answer = client.post(call, body, content_type="application/json")
        if len(answer.content) > 64 * 1024:
            long.append((call, len(answer.content)))
    assert long == []

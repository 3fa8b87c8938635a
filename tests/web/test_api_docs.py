"""The API's schema and its browsable documentation, without outside hosts."""

import re

import pytest
import requests
from django.test import Client
from playwright.sync_api import Browser

from config.accounts import tokens

from .conftest import Site
from .servers import Server


@pytest.mark.django_db
def test_the_schema_needs_a_login_or_a_token(client: Client, django_user_model) -> None:
    assert client.get("/api/schema/").status_code == 401
    user = django_user_model.objects.create_user("reader")
    _, secret = tokens.issue(user, "reads", ["catalogue:read"])
    assert (
        client.get("/api/schema/", headers={"Authorization": f"Bearer {secret}"}).status_code == 200
    )
    client.force_login(user)
    answer = client.get("/api/schema/?format=json")
    assert answer.status_code == 200
    assert "/api/uploads/" in answer.json()["paths"]


@pytest.mark.django_db
def test_the_documentation_needs_a_login(client: Client) -> None:
    answer = client.get("/api/docs/")
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/login/")


def test_every_page_has_the_policy(web_server: Server, site: Site) -> None:
    for path in ("/login/", "/products/", "/api/docs/", "/nowhere/", "/healthz"):
        url, headers = f"{web_server.url}{path}", {"Cookie": site.cookie}
        answer = requests.get(url, headers=headers, allow_redirects=False, timeout=10)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=", answer.text)


@pytest.mark.browser
def test_the_documentation_is_shown_under_the_policy(
    chromium: Browser, web_server: Server, site: Site
) -> None:
    context = chromium.new_context()
    name, _, value = site.cookie.partition("=")
    context.add_cookies([{"name": name, "value": value, "url": web_server.url}])
    page = context.new_page()
    complaints: list[str] = []
    elsewhere: list[str] = []
    page.on("console", lambda line: line.type == "error" and complaints.append(line.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request",
        lambda request: (
            request.url.startswith(web_server.url)
            or request.url.startswith("data:")
            or elsewhere.append(request.url)
        ),
    )
    page.goto(f"{web_server.url}/api/docs/")
    page.get_by_text("/api/uploads/", exact=True).first.wait_for()
    page.locator(".opblock-summary").first.click()
    page.locator(".opblock-body").first.wait_for()
    context.close()
    assert complaints == []
    assert elsewhere == []

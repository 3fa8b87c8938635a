"""The API's schema and its browsable documentation, without outside hosts."""

import re

import pytest
import requests
from django.test import Client
from playwright.sync_api import Browser

from config.accounts import tokens
from config.api_schema import Generator as SchemaGenerator

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


@pytest.mark.django_db
def test_the_documentation_takes_a_token(client: Client, django_user_model) -> None:
    user = django_user_model.objects.create_user("reader")
    _, secret = tokens.issue(user, "reads", ["catalogue:read"])
    shown = client.get("/api/docs/", headers={"Authorization": f"Bearer {secret}"})
    assert shown.status_code == 200
    assert b'id="swagger-ui"' in shown.content
    client.force_login(user)
    assert client.get("/api/docs/").status_code == 200
    assert b"SwaggerUIBundle" in client.get("/api/docs/?script=").content


@pytest.mark.django_db
def test_a_bad_token_is_refused_at_the_documentation(client: Client) -> None:
    refused = client.get("/api/docs/", headers={"Authorization": "Bearer stk_wrong"})
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    assert refused.json()["error"]["code"] == "authentication_failed"
    assert client.post("/api/docs/").status_code in (302, 405)


def test_every_page_has_the_policy(web_server: Server, site: Site) -> None:
    for path in ("/login/", "/products/", "/api/docs/", "/nowhere/", "/healthz"):
        url, headers = f"{web_server.url}{path}", {"Cookie": site.cookie}
        answer = requests.get(url, headers=headers, allow_redirects=False, timeout=60)
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


@pytest.fixture(scope="module")
def schema() -> dict:
    return SchemaGenerator().get_schema(request=None, public=True)


def operations(schema: dict) -> list[tuple[str, dict]]:
    return [
        (f"{method.upper()} {path}", operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_operation_has_its_own_name_a_summary_and_a_group(schema: dict) -> None:
    found = operations(schema)
    names = [operation["operationId"] for _, operation in found]
    assert len(set(names)) == len(names) >= 30
    for where, operation in found:
        assert operation["summary"][:1].isupper(), where
        assert len(operation["summary"]) < 80, where
        assert operation["tags"] != ["Other"] and len(operation["tags"]) == 1, where
        # Not the docstring of the view, which only says where it is.
        assert not operation.get("description", "").startswith("`/api/"), where


def test_every_error_has_the_one_shape(schema: dict) -> None:
    shape = {"$ref": "#/components/schemas/Error"}
    for where, operation in operations(schema):
        answers = operation["responses"]
        errors = {status: answers[status] for status in answers if status >= "400"}
        assert {"400", "401", "403", "503"} <= set(errors), where
        assert "404" in errors or "{" not in where, where
        for status, answer in errors.items():
            assert answer["description"], (where, status)
            if not where.startswith("HEAD"):
                assert answer["content"]["application/json"]["schema"] == shape, (where, status)


def test_headers_are_described(schema: dict) -> None:
    product = schema["paths"]["/api/products/{id}/"]
    assert "ETag" in product["get"]["responses"]["200"]["headers"]
    assert "412" in product["patch"]["responses"]
    sent = {parameter["name"] for parameter in product["patch"]["parameters"]}
    assert "If-Match" in sent
    create = schema["paths"]["/api/products/"]["post"]
    assert "Idempotency-Key" in {parameter["name"] for parameter in create["parameters"]}
    assert "RateLimit-Remaining" in create["responses"]["429"]["headers"]
    assert set(schema["components"]["headers"]) >= {"Retry-After", "RateLimit-Limit"}


def test_the_introduction_says_how_to_begin(schema: dict) -> None:
    for word in ("Bearer stk_", "If-Match", "Idempotency-Key", "RateLimit-Remaining", "next"):
        assert word in schema["info"]["description"]


def test_streams_are_described(schema: dict) -> None:
    answer = schema["paths"]["/events/{channel}/"]["get"]["responses"]["200"]
    assert list(answer["content"]) == ["text/event-stream"]

"""Every address there is, asked by somebody who is nobody."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RoutePattern

pytestmark = pytest.mark.django_db

OPEN = {"/login/", "/healthz", "/readyz"}
DOCS = "/api/docs/"  # a page, so it asks for the login like one
SAMPLES = {
    "int": "1",
    "str": "imports",
    "slug": "imports",
    "path": "imports",
    "stockcode": "85123A",
    "stockname": "stock1",
    "wholenumber": "1",
    "uuid": UUID(int=1),
}


def addresses(resolver: URLResolver, before: str = "/") -> Iterator[str]:
    """An address for each pattern, its parts filled in by type."""
    for entry in resolver.url_patterns:
        assert isinstance(entry.pattern, RoutePattern), f"{entry.pattern} is not by path()"
        here = before + str(entry.pattern)
        for name, converter in entry.pattern.converters.items():
            kind = type(converter).__name__.removesuffix("Converter").lower()
            kind = {"string": "str"}.get(kind, kind)
            here = here.replace(f"<{kind}:{name}>", str(SAMPLES[kind]))
            here = here.replace(f"<{name}>", str(SAMPLES[kind]))
        if isinstance(entry, URLPattern):
            yield here
        else:
            yield from addresses(entry, here)


def all_addresses() -> list[str]:
    found = sorted(set(addresses(get_resolver())))
    assert len(found) > 20 and "/account/" in found and "/api/products/" in found
    return found


@pytest.mark.parametrize("method", ["get", "head", "post", "put", "patch", "delete"])
def test_nothing_but_login_and_health_answers_without_session_or_token(client, method):
    answered = []
    for address in set(all_addresses()) - OPEN:
        response = getattr(client, method)(address)
        if address.startswith("/api/") and address != DOCS:
            closed = response.status_code == 401
        elif address.startswith("/events/") or address == "/metrics":
            closed = response.status_code in (401, 405)
        else:
            closed = response.status_code == 302 and response.url.startswith("/login/?next=")
        if not closed:
            answered.append((address, response.status_code))
    assert answered == []


def test_a_token_without_scopes_opens_nothing(client, bearer):
    headers = bearer()
    answered = [
        (address, response.status_code)
        for address in all_addresses()
        if address.startswith("/api/") and not address.startswith(("/api/schema/", DOCS))
        for response in (
            client.get(address, headers=headers),
            client.post(address, headers=headers),
        )
        if response.status_code != 403
    ]
    assert answered == []


def test_a_token_opens_no_pages(client, bearer):
    response = client.get("/account/", headers=bearer("catalogue:write"))
    assert response.status_code == 302


def test_the_open_addresses_answer(client):
    assert set(all_addresses()) >= OPEN
    assert [client.get(address).status_code for address in sorted(OPEN)] == [200, 200, 200]

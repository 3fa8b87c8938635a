import pytest
import requests

from config.proxies import seen_through

from .servers import Server

PEER = ("10.0.0.9", 4711)


def seen(proxies: int, **headers: str | list[str]) -> tuple[str, str]:
    lines = []
    for name, values in headers.items():
        name = f"x-forwarded-{name}".encode()
        lines += [(name, v.encode()) for v in ([values] if isinstance(values, str) else values)]
    scope = {"client": PEER, "scheme": "http", "headers": lines}
    found = seen_through(scope, proxies)
    return found["client"][0], found["scheme"]


@pytest.mark.parametrize(
    ("proxies", "given", "address"),
    [
        (0, "1.2.3.4", PEER[0]),
        (1, "1.2.3.4", "1.2.3.4"),
        # What a client sends itself comes before what the proxy adds.
        (1, "6.6.6.6, 1.2.3.4", "1.2.3.4"),
        (1, ["6.6.6.6", "1.2.3.4"], "1.2.3.4"),
        (2, "6.6.6.6, 1.2.3.4,10.0.0.1", "1.2.3.4"),
        # Fewer than there are proxies: it came past one of them.
        (2, "1.2.3.4", PEER[0]),
        (1, "1.2.3.4:5678", "1.2.3.4"),
        (1, "[2001:db8::1]:443", "2001:db8::1"),
        (1, "2001:db8::1", "2001:db8::1"),
        (1, "unknown", PEER[0]),
        (1, "1.2.3.4,", PEER[0]),
        (1, "", PEER[0]),
    ],
)
def test_the_address_is_what_the_outermost_known_proxy_saw(proxies, given, address):
    assert seen(proxies, **{"for": given})[0] == address


@pytest.mark.parametrize(
    ("proxies", "given", "scheme"),
    [
        (0, "https", "http"),
        (1, "https", "https"),
        (1, "https, http", "http"),
        (1, "HTTPS", "https"),
        (1, "gopher", "http"),
    ],
)
def test_the_scheme_is_what_the_proxy_saw(proxies, given, scheme):
    assert seen(proxies, proto=given)[1] == scheme


@pytest.mark.parametrize(
    ("proxies", "expected"), [("0", ("127.0.0.1", "http")), ("1", ("1.2.3.4", "https"))]
)
def test_the_application_sees_it(proxies: str, expected: tuple[str, str]) -> None:
    given = {"X-Forwarded-For": "6.6.6.6, 1.2.3.4", "X-Forwarded-Proto": "https"}
    environment = {"TRUSTED_PROXIES": proxies, "FORWARDED_ALLOW_IPS": "*"}
    with Server("tests.web.raw_app:application", environment=environment) as server:
        found = requests.get(f"{server.url}/headers", headers=given, timeout=60).json()
    assert (found["REMOTE_ADDR"], found["scheme"]) == expected

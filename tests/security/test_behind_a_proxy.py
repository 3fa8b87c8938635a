"""Cookies, headers and addresses of the real web process with SECURE=1."""

import json
import re
from http.cookies import Morsel, SimpleCookie

import pytest
import requests

from .conftest import Secured


def cookies(answer: requests.Response) -> dict[str, Morsel]:
    """The cookies that an answer sets, with their attributes."""
    found: dict[str, Morsel] = {}
    for line in answer.raw.headers.getlist("Set-Cookie"):
        found.update(SimpleCookie(line))
    return found


def signed_in(secured: Secured, **more: str) -> tuple[requests.Response, dict[str, str]]:
    """The answer to a login, and the cookies that one has after it. `more` goes before it."""
    form = secured.ask("GET", "/login/", cookies=more)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form.text)[1]
    have = {**more, "csrftoken": cookies(form)["csrftoken"].value}
    answer = secured.ask(
        "POST",
        "/login/",
        data={"username": "demo", "password": secured.password, "csrfmiddlewaretoken": token},
        cookies=have,
        headers={"Referer": f"https://127.0.0.1:{secured.server.address[1]}/login/"},
    )
    return answer, have | {name: morsel.value for name, morsel in cookies(answer).items()}


@pytest.fixture(scope="module")
def login(secured) -> tuple[requests.Response, dict[str, str]]:
    """What `signed_in` gives, for tests that leave the session as it is."""
    return signed_in(secured)


def test_cookies_are_for_https_and_this_site_only(login):
    answer, _ = login
    assert answer.status_code == 302 and answer.headers["Location"] == "/products/"
    for name, script_reads_it in {"sessionid": False, "csrftoken": True}.items():
        cookie = cookies(answer)[name]
        assert cookie["secure"] and cookie["samesite"] == "Lax"
        assert bool(cookie["httponly"]) is not script_reads_it
        assert cookie["domain"] == "" and cookie["path"] == "/"
        assert 0 < int(cookie["max-age"]) <= 366 * 86_400


def test_a_login_takes_over_no_session_and_no_csrf_token_that_was_there_before(secured, login):
    planted = "a" * 32
    answer, have = signed_in(secured, sessionid=planted)
    assert answer.status_code == 302
    assert have["sessionid"] != planted
    assert have["sessionid"] != login[1]["sessionid"]
    assert secured.ask("GET", "/products/", cookies={"sessionid": planted}).status_code == 302


def test_a_session_is_over_for_everybody_who_has_its_cookie(secured):
    _, have = signed_in(secured)
    assert secured.ask("GET", "/account/", cookies=have).status_code == 200
    answer = secured.ask(
        "POST",
        "/logout/",
        data={"csrfmiddlewaretoken": have["csrftoken"]},
        cookies=have,
        headers={"Referer": f"https://127.0.0.1:{secured.server.address[1]}/account/"},
    )
    assert answer.status_code == 302 and cookies(answer)["sessionid"].value == ""
    assert secured.ask("GET", "/account/", cookies=have).status_code == 302
    assert secured.ask("GET", "/api/products/", cookies=have).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [{}, {"Referer": "https://evil.example/"}, {"Origin": "https://evil.example"}],
    ids=["none", "referer", "origin"],
)
def test_a_form_from_another_site_is_refused_even_with_the_right_token(secured, login, headers):
    _, have = login
    data = {"csrfmiddlewaretoken": have["csrftoken"]}
    answer = secured.ask("POST", "/logout/", data=data, cookies=have, headers=headers)
    assert answer.status_code == 403
    assert secured.ask("GET", "/account/", cookies=have).status_code == 200


@pytest.mark.parametrize("path", ["/login/", "/products/", "/api/products/", "/nowhere/"])
def test_each_answer_has_the_headers_that_browsers_obey(secured, path):
    headers = secured.ask("GET", path, headers={"Cookie": secured.cookie}).headers
    assert headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains; preload"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "no-store" in headers["Cache-Control"]
    assert "Access-Control-Allow-Origin" not in headers


def test_plain_http_leads_to_https_and_sets_no_cookie(secured):
    for path in ("/login/", "/products/", "/api/products/"):
        answer = secured.ask("GET", path, secure=False, headers={"Host": "localhost"})
        assert (
            answer.status_code == 301 and answer.headers["Location"] == f"https://localhost{path}"
        )
        assert "Set-Cookie" not in answer.headers
    assert secured.ask("GET", "/healthz", secure=False).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "localhost:80@evil"])
def test_another_host_is_refused_and_never_repeated(secured, host):
    for path, more in {"/login/": {}, "/": {}, "/api/uploads/": {"Tus-Resumable": "1.0.0"}}.items():
        for secure in (True, False):
            answer = secured.ask("GET", path, secure=secure, headers={"Host": host, **more})
            assert answer.status_code == 400, answer.text
            assert "evil" not in answer.text + json.dumps(dict(answer.headers))


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_come_by_any_address(secured, path):
    for host in ("10.0.0.7:8000", "127.0.0.1", "evil.example"):
        answer = secured.ask("GET", path, secure=False, headers={"Host": host})
        assert answer.status_code == 200, answer.text
        assert "evil" not in answer.text + json.dumps(dict(answer.headers))


def test_a_forwarded_host_counts_for_nothing(secured):
    answer = secured.api(
        "POST",
        "/api/uploads/",
        headers={
            "X-Forwarded-Host": "evil.example",
            "Tus-Resumable": "1.0.0",
            "Upload-Length": "3",
        },
    )
    assert answer.status_code == 201 and "evil" not in answer.headers["Location"]


@pytest.mark.parametrize(
    "path",
    [
        "/static/../config/settings.py",
        "/static/%2e%2e/%2e%2e/config/settings.py",
        "/static/..%2f..%2fdemo.txt",
        "/static/%2e%2e%2fdemo.txt",
        "/static/..\\demo.txt",
        "/static//etc/passwd",
        "/static/%00/../demo.txt",
        "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/imports/..%2f..%2fdemo.txt/rejects.csv",
        "/events/..%2f..%2fdemo.txt/",
        "/api/products/..%2fexport.csv",
    ],
)
def test_no_path_leads_out_of_what_is_served(secured, path):
    answer = secured.ask("GET", path, headers={"Cookie": secured.cookie})
    assert answer.status_code in (400, 404)
    for secret in (secured.token, secured.password, "SECRET_KEY", "root:"):
        assert secret not in answer.text

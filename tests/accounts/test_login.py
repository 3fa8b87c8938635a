from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from django.conf import settings as configured
from django.contrib.sessions.models import Session
from django.test import Client

from config.accounts import hashing, throttle
from tests.accounts.conftest import PASSWORD

pytestmark = pytest.mark.django_db


def try_login(client, address, password="wrong", username="ana", **data):
    data = {"username": username, "password": password, **data}
    return client.post("/login/", data, REMOTE_ADDR=address)


def test_a_right_password_leads_on_to_where_one_wanted_to_go(client, user, address):
    response = try_login(client, address, PASSWORD, next="/webhooks/")
    assert response.status_code == 302 and response.url == "/webhooks/"
    assert client.get("/webhooks/").status_code == 200


def test_next_never_leads_to_another_host(client, user, address):
    response = try_login(client, address, PASSWORD, next="https://evil.example/")
    assert response.url == "/products/"


def test_the_session_cookie_is_out_of_reach_for_scripts(client, user, address):
    try_login(client, address, PASSWORD)
    cookie = client.cookies["sessionid"]
    assert cookie["httponly"] and cookie["samesite"] == "Lax"


def test_one_who_is_signed_in_is_not_asked_again(client, user):
    client.force_login(user)
    assert client.get("/login/").status_code == 302


def test_after_ten_failures_even_the_right_password_must_wait(client, user, address):
    for _ in range(throttle.MAX_ATTEMPTS):
        response = try_login(client, address)
        assert response.status_code == 200
        assert "do not match" in response.content.decode()
    response = try_login(client, address, PASSWORD)
    assert response.status_code == 429 and response.headers["Retry-After"] == "300"
    assert "Too many failed attempts" in response.content.decode()


def test_attempts_sent_at_once_do_not_slip_through_together(address):
    with ThreadPoolExecutor(20) as threads:
        allowed = list(threads.map(lambda _: throttle.attempt("ana", address), range(100)))
    assert sum(allowed) == throttle.MAX_ATTEMPTS


def test_the_account_is_meant_whatever_its_capitals(client, user, address):
    for name in ("ana", "ANA") * 5:
        try_login(client, address, username=name)
    assert try_login(client, address, PASSWORD).status_code == 429


def test_other_addresses_and_other_accounts_are_not_held_up(client, user, address):
    for _ in range(throttle.MAX_ATTEMPTS + 1):
        try_login(client, address)
    assert try_login(client, address, username="bob").status_code == 200
    assert try_login(client, f"{address}1", PASSWORD).status_code == 302


def test_one_address_has_so_many_attempts_on_all_accounts(address, monkeypatch):
    monkeypatch.setattr(throttle, "MAX_FROM_ADDRESS", 15)
    allowed = [throttle.attempt(f"account{n % 5}", address) for n in range(20)]
    assert allowed == [True] * 15 + [False] * 5
    assert throttle.attempt("account1", f"{address}1")


def test_one_account_has_so_many_attempts_from_all_addresses(address, monkeypatch):
    monkeypatch.setattr(throttle, "MAX_ON_ACCOUNT", 15)
    allowed = [throttle.attempt("ana", f"{address}:{n}") for n in range(20)]
    assert allowed == [True] * 15 + [False] * 5
    assert throttle.attempt("bob", address)


def test_refused_attempts_lock_nobody_else_out(address):
    for _ in range(throttle.MAX_ON_ACCOUNT + throttle.MAX_FROM_ADDRESS):
        throttle.attempt("ana", address)
    assert throttle.attempt("ana", f"{address}1") and throttle.attempt("bob", address)


def test_who_signs_in_all_day_long_is_no_attacker(client, user, address):
    for _ in range(throttle.MAX_ON_ACCOUNT + 1):
        assert throttle.attempt("ana", address)
        throttle.forget("ana", address)


def test_a_success_does_not_wipe_out_the_failures_on_other_accounts(address, monkeypatch):
    monkeypatch.setattr(throttle, "MAX_FROM_ADDRESS", 5)
    for n in range(4):
        throttle.attempt(f"account{n}", address)
    throttle.attempt("own", address)
    throttle.forget("own", address)
    assert throttle.attempt("account5", address)
    assert not throttle.attempt("account6", address)


def test_a_success_starts_the_count_anew(client, user, address):
    for _ in range(2):
        for _ in range(throttle.MAX_ATTEMPTS - 1):
            try_login(client, address)
        assert try_login(client, address, PASSWORD).status_code == 302
        client.logout()


def test_without_redis_logins_go_on(client, user, address, settings, caplog):
    settings.CACHES = {
        "default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}
    }
    for _ in range(throttle.MAX_ATTEMPTS + 1):
        try_login(client, address)
    assert try_login(client, address, PASSWORD).status_code == 302
    assert "not throttled, the cache is away" in caplog.text


def test_a_login_in_a_flood_is_asked_to_come_back(client, user, address):
    with ExitStack() as flood:
        for _ in range(hashing.MAX_AT_ONCE):
            flood.enter_context(hashing.place())
        # Some wait; with no place to wait in, the answer comes at once.
        for _ in range(hashing.MAX_WAITING):
            assert hashing._places.acquire(blocking=False)
            flood.callback(hashing._places.release)
        response = try_login(client, address, PASSWORD)
        assert response.status_code == 503 and response.headers["Retry-After"] == "5"
        assert "Try again in a few seconds" in response.content.decode()
    assert try_login(client, address, PASSWORD).status_code == 302


def test_waiting_for_a_password_check_has_an_end(monkeypatch):
    monkeypatch.setattr(hashing, "WAIT_SECONDS", 0.01)
    with ExitStack() as flood:
        for _ in range(hashing.MAX_AT_ONCE):
            flood.enter_context(hashing.place())
        with pytest.raises(hashing.Busy), hashing.place():
            pass
    with hashing.place():
        pass


@pytest.mark.parametrize("key", ["a" * 31 + "\0", "A" * 32, "a" * 65, "../../etc", "ä" * 32, ""])
def test_a_made_up_session_cookie_is_nobodys(client, key):
    client.cookies[configured.SESSION_COOKIE_NAME] = key
    assert client.get("/products/").status_code == 302


@pytest.mark.parametrize("address", ["/login/", "/products/", "/api/products/", "/nowhere"])
def test_nobody_keeps_a_copy_of_a_page(client, user, address):
    for _ in range(2):
        cache_control = client.get(address).headers["Cache-Control"]
        assert "private" in cache_control and "no-store" in cache_control
        client.force_login(user)


def test_logout_takes_a_post_and_ends_the_session(client, user):
    client.force_login(user)
    assert client.get("/logout/").status_code == 405
    assert client.post("/logout/").url == "/login/"
    assert client.get("/webhooks/").status_code == 302 and not Session.objects.exists()


def test_a_new_password_signs_out_other_browsers_only(client, user):
    other = Client()
    for each in (client, other):
        each.force_login(user)
    new = "another-long-password"
    data = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    assert client.post("/account/password/", data).url == "/account/"
    assert "is changed" in client.get("/account/").content.decode()
    assert other.get("/account/").status_code == 302
    user.refresh_from_db()
    assert user.check_password(new)


def test_a_weak_password_is_refused_at_its_field(client, user):
    client.force_login(user)
    data = {"old_password": PASSWORD, "new_password1": "12345", "new_password2": "12345"}
    response = client.post("/account/password/", data)
    assert response.status_code == 200 and "too short" in response.content.decode()


def test_an_htmx_part_of_an_expired_page_sends_the_browser_to_the_login(client):
    response = client.get(
        "/operations/",
        headers={"HX-Request": "true", "HX-Current-URL": "http://testserver/products/?q=a"},
    )
    assert response.headers["HX-Redirect"] == "/login/?next=/products/%3Fq%3Da"
    assert response.content == b""

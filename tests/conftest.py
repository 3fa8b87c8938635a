"""What the tests of all areas share: static files as they are, threads, and a browser."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.conf import settings
from django.db import connections
from django.test import Client
from hypothesis import settings as hypothesis
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from tests.browsing import PATIENCE_MS

# No test asserts how fast it is: the default gives each example 200 ms.
hypothesis.register_profile("stockroom", deadline=None)
hypothesis.load_profile("stockroom")
# Playwright gives each expectation 5 s.
expect.set_options(timeout=PATIENCE_MS)

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")


@pytest.fixture(scope="session", autouse=True)
def _folder_of_static_files():
    """WhiteNoise warns of a missing one."""
    settings.STATIC_ROOT.mkdir(exist_ok=True)


@pytest.fixture(autouse=True)
def _static_files_as_they_are(settings):
    """Without hashed names: nobody ran collectstatic. `live_server` serves them itself."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}


@pytest.fixture(autouse=True)
def _passwords_hashed_quickly(settings):
    """A real hash takes a third of a second, and most tests make a user."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def workers() -> Iterator[Callable[..., Future]]:
    """`workers(function, …)`: its Future, run in a thread with a connection of its own."""

    def work(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=8) as pool:
        yield lambda function, *arguments, **options: pool.submit(
            work, function, *arguments, **options
        )


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, started once, headless and silent towards the network."""
    if not os.path.exists(CHROMIUM):
        pytest.fail(f"No browser at {CHROMIUM}: apt-get install chromium", pytrace=False)
    # Playwright's loop runs in this thread, and Django takes that for an async view.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def browser_context(chromium: Browser, live_server) -> Iterator[BrowserContext]:
    """An empty browser profile whose relative addresses lead to `live_server`."""
    context = chromium.new_context(base_url=live_server.url)
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


@pytest.fixture
def page(browser_context: BrowserContext):
    """A tab of nobody in particular."""
    return browser_context.new_page()


@pytest.fixture
def sign_in(browser_context: BrowserContext, live_server):
    """`sign_in(user)`: the browser is signed in from then on, without the login page."""

    def sign_in(user) -> None:
        client = Client()
        client.force_login(user)
        browser_context.add_cookies(
            [
                {"name": name, "value": cookie.value, "url": live_server.url}
                for name, cookie in client.cookies.items()
            ]
        )

    return sign_in

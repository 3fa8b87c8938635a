"""Endpoints, events and a running engine for the tests of webhooks."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from typing import Any

import pytest
from django.db import connections

from webhooks.engine.deliverer import Deliverer
from webhooks.models import Endpoint, Health, Secret
from webhooks.signing import new_secret

STOP_SECONDS = 30


@pytest.fixture(autouse=True)
def _receivers_on_this_machine(settings):
    settings.WEBHOOK_ALLOW_HTTP = True
    settings.WEBHOOK_PORTS = []
    settings.WEBHOOK_ALLOWED_NETWORKS = [ip_network("127.0.0.0/8")]
    settings.WEBHOOK_POLL_SECONDS = 0.2


@pytest.fixture
def make_endpoint() -> Callable[..., Endpoint]:
    """`make_endpoint(url, **columns)`: an endpoint as the service makes it, for all events."""

    def make(url: str = "http://127.0.0.1:9/", **columns: Any) -> Endpoint:
        endpoint = Endpoint.objects.create(url=url, **{"event_types": ["*"], **columns})
        Secret.objects.create(endpoint=endpoint, value=new_secret())
        Health.objects.create(endpoint=endpoint)
        # The database's own idea of the instants, which are its defaults.
        return Endpoint.objects.get(pk=endpoint.pk)

    return make


@contextmanager
def delivering() -> Iterator[Deliverer]:
    """The engine in a thread, stopped at the end; what made it crash is raised."""
    consumer, stop, crash = Deliverer(), threading.Event(), []

    def run() -> None:
        try:
            consumer.run(stop)
        except BaseException as error:
            crash.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run, name="deliverer", daemon=True)
    thread.start()
    try:
        yield consumer
    finally:
        stop.set()
        thread.join(STOP_SECONDS)
        assert not thread.is_alive(), "the engine did not stop"
        if crash:
            raise crash[0]


@pytest.fixture
def deliverer(transactional_db, settings) -> Iterator[Deliverer]:
    """The engine, running until the test's end. It sees what is committed."""
    with delivering() as consumer:
        yield consumer

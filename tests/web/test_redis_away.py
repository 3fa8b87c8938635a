"""Redis goes away under open streams and comes back: what pages are told."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis

from config import live
from config.services.valkey import Valkey

from .conftest import Site
from .event_streams import Stream, event
from .servers import Server, until


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch, valkey: Valkey) -> None:
    """`live.publish` of this process goes through the Redis of these tests."""
    url = valkey.variables()["REDIS_URL"]
    client = redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1)
    monkeypatch.setattr("django_eventstream.eventstream.redis_client", client)


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    valkey = Valkey(Path(tmp_path_factory.mktemp("valkey")))
    valkey.start()
    yield valkey
    valkey.close()


@pytest.fixture(scope="module")
def server(site: Site, valkey: Valkey) -> Iterator[Server]:
    with Server(environment={**site.environment, **valkey.variables()}) as server:
        yield server


@pytest.fixture
def stream(server: Server, site: Site, valkey: Valkey, publisher: None) -> Iterator[Stream]:
    """A page that has been open for a while."""
    with Stream(server, site.cookie) as stream:
        stream.wait_for("stream-open")
        comes_through(stream, valkey, "before")
        stream.forget()
        yield stream


def comes_through(stream: Stream, valkey: Valkey, word: str) -> None:
    client = redis.Redis.from_url(valkey.variables()["REDIS_URL"])
    with client:
        until(lambda: client.pubsub_numsub("events_channel")[0][1], "the server listens")
    live.publish("import-7", {"word": word})
    stream.wait_for(event(f'{{"word": "{word}"}}'))


def test_after_a_crash(stream: Stream, valkey: Valkey) -> None:
    valkey.kill()
    stream.wait_for("event: keep-alive")
    assert "stream-reset" not in stream.text
    valkey.start()
    stream.wait_for("event: stream-reset")
    comes_through(stream, valkey, "after a crash")


def test_after_a_cut_connection(stream: Stream, valkey: Valkey) -> None:
    with redis.Redis.from_url(valkey.variables()["REDIS_URL"]) as client:
        client.client_kill_filter(_type="pubsub")
    stream.wait_for("event: stream-reset")
    comes_through(stream, valkey, "after a cut")


def test_after_silence(server: Server, stream: Stream, valkey: Valkey) -> None:
    """As with a network that swallows packets: nothing is closed, nothing arrives."""
    assert valkey.pid is not None
    process = psutil.Process(valkey.pid)
    lines = server.log().count("live pages wait for Redis")
    process.suspend()
    try:
        until(lambda: server.log().count("live pages wait for Redis") > lines, "it is noticed")
    finally:
        process.resume()
    stream.wait_for("event: stream-reset")
    comes_through(stream, valkey, "after silence")


def test_a_page_opened_while_redis_is_away(
    server: Server, site: Site, valkey: Valkey, publisher: None
) -> None:
    valkey.kill()
    try:
        with Stream(server, site.cookie) as stream:
            stream.wait_for("stream-open")
            valkey.start()
            stream.wait_for("event: stream-reset")
            comes_through(stream, valkey, "opened early")
    finally:
        valkey.start()

"""Publishing, throttling, and what one stream does with what it is handed."""

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from django.contrib.auth.models import AnonymousUser
from django_eventstream.event import Event
from pytest_django import Settings

from config import live
from config.accounts.models import User
from config.live import publishing, throttling
from config.live.streams import Streams
from config.services.ports import LOOPBACK, Port
from config.wsgi_threads import ABORT


class FakeClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(throttling, "publish", lambda channel, snapshot: found.append(snapshot))
    return found


class TestThrottle:
    def test_it_computes_only_what_it_sends(self, sent: list) -> None:
        clock, computed = FakeClock(), []
        throttle = live.Throttle("imports", per_second=4, clock=clock)

        def state(number: int) -> Callable[[], dict[str, Any]]:
            return lambda: computed.append(number) or {"number": number}

        for number in range(1000):
            throttle.publish(state(number))
            clock.now += 0.01
        throttle.flush()

        # 10 s at four a second, and the last one.
        assert 40 <= len(sent) <= 41
        assert computed == [s["number"] for s in sent]
        assert sent[-1] == {"number": 999}

    def test_it_has_nothing_to_flush_after_sending(self, sent: list) -> None:
        throttle = live.Throttle("imports", clock=FakeClock())
        assert throttle.publish(lambda: {"number": 1})
        throttle.flush()
        assert sent == [{"number": 1}]

    def test_it_flushes_what_it_is_given_in_place_of_what_it_holds(self, sent: list) -> None:
        throttle = live.Throttle("imports", clock=FakeClock())
        throttle.publish(lambda: {"number": 1})
        assert not throttle.publish(lambda: {"number": 2})
        throttle.flush(lambda: {"number": 3})
        throttle.flush()
        assert sent == [{"number": 1}, {"number": 3}]

    def test_tasks_of_one_process_share_it(self) -> None:
        assert live.throttle("import-1") is live.throttle("import-1")
        assert live.throttle("import-1") is not live.throttle("import-2")

    def test_it_forgets_old_channels(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(throttling, "KEPT", 3)
        first = live.throttle("import-100")
        for number in range(101, 2000):
            live.throttle(f"import-{number}")
        assert live.throttle("import-100") is not first


class TestPublish:
    @pytest.fixture(autouse=True)
    def _no_outage(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(publishing, "_outage", publishing.Outage("live events"))

    @pytest.fixture
    def use(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
        return lambda client: monkeypatch.setattr(
            "django_eventstream.eventstream.redis_client", client
        )

    def test_it_sends_what_django_can_write_as_json(self, settings) -> None:
        with redis.Redis.from_url(settings.REDIS_URL) as client, client.pubsub() as pubsub:
            pubsub.subscribe("events_channel")
            assert pubsub.get_message(timeout=60)["type"] == "subscribe"
            live.publish("import-7", {"at": datetime(2026, 1, 2, tzinfo=UTC)})
            message = json.loads(pubsub.get_message(timeout=60)["data"])
        assert message["channel"] == "import-7"
        assert json.loads(message["data"]) == {"at": "2026-01-02T00:00:00Z"}

    def test_it_starts_no_thread(self) -> None:
        before = threading.active_count()
        live.publish("import-7", {})
        assert threading.active_count() == before

    def test_it_raises_nothing_and_logs_once_while_redis_is_away(
        self, use, settings, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings.LIVE_OUTAGE_SECONDS = 0
        port = Port()
        use(redis.Redis(host=LOOPBACK, port=port.number, retry=None))
        for _ in range(3):
            live.publish("import-7", {})
        port.close()
        assert [record.levelname for record in caplog.records] == ["WARNING"]

        use(redis.Redis.from_url(settings.REDIS_URL))
        caplog.set_level(logging.INFO)
        live.publish("import-7", {})
        assert "sent again" in caplog.text

    def test_it_does_not_wait_for_redis_with_each_event(self, use) -> None:
        class Slow:
            attempts = 0

            def publish(self, *_: object) -> None:
                self.attempts += 1
                raise redis.TimeoutError

        slow = Slow()
        use(slow)
        for _ in range(100):
            live.publish("import-7", {})
        assert slow.attempts == 1

    def test_it_raises_what_is_wrong_with_the_snapshot(self) -> None:
        with pytest.raises(TypeError):
            live.publish("import-7", {"what": object()})


class TestChannels:
    def test_whoever_is_signed_in_may_read_those_that_exist(self) -> None:
        manager = live.ChannelManager()
        assert manager.can_read_channel(User(), "import-7")
        assert manager.can_read_channel(User(), "imports")
        assert not manager.can_read_channel(User(), "import-")
        assert not manager.can_read_channel(User(), "import-7\n")
        assert manager.can_read_channel(User(), "orders")
        assert manager.can_read_channel(User(), "order-6f1c9f3e-55a0-4c0e-9a54-0d5b8a3d2c11")
        assert not manager.can_read_channel(User(), "order-7")
        assert not manager.can_read_channel(AnonymousUser(), "imports")
        assert not manager.can_read_channel(None, "imports")
        assert not manager.is_channel_reliable("imports")


class Viewer:
    """An ASGI client of `Streams` that reads only when it is told to."""

    def __init__(self, streams: Streams) -> None:
        self.body = b""
        self.reads = asyncio.Event()
        self.reads.set()
        self.gone = asyncio.Event()
        self.disconnected = asyncio.Event()
        scope = {"headers": [], "extensions": {ABORT: self.disconnected.set}}
        self.task = asyncio.create_task(streams(scope, self.receive, self.send))

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        await self.reads.wait()
        self.body += message.get("body", b"")

    async def wait_for(self, text: bytes) -> None:
        async with asyncio.timeout(60):
            while text not in self.body:
                await asyncio.sleep(0.01)


async def granting(scope: Any, receive: Any, send: Any) -> None:
    """In place of Django: everybody may read import-7."""
    scope["stockroom.grant"].channels = {"import-7"}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def run(test: Callable[[Streams], Coroutine[Any, Any, None]]) -> None:
    """Run `test` in an event loop of its own thread: this thread may have a browser's."""
    errors: list[BaseException] = []

    def main() -> None:
        try:
            streams = Streams(granting)
            streams._manager.redis_listener_started = True  # none is needed here
            asyncio.run(test(streams))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=main)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


class TestStream:
    def test_a_slow_viewer_is_told_to_read_again(self) -> None:
        async def test(streams: Streams) -> None:
            viewer = Viewer(streams)
            await viewer.wait_for(b"stream-open")
            viewer.reads.clear()
            for number in range(50):
                streams._manager.add_to_queues("import-7", Event("import-7", "snapshot", number))
                await asyncio.sleep(0)
            viewer.reads.set()
            await viewer.wait_for(b"event: stream-reset")
            streams._manager.add_to_queues("import-7", Event("import-7", "snapshot", "later"))
            await viewer.wait_for(b"data: later\n\n")
            viewer.gone.set()
            await viewer.task

        run(test)

    def test_a_viewer_who_does_not_read_is_disconnected_and_forgotten(
        self, settings: Settings
    ) -> None:
        settings.DOWNLOAD_IDLE_SECONDS = 0.1

        async def test(streams: Streams) -> None:
            viewer = Viewer(streams)
            await viewer.wait_for(b"stream-open")
            viewer.reads.clear()
            streams._manager.add_to_queues("import-7", Event("import-7", "snapshot", "unread"))
            async with asyncio.timeout(60):
                await viewer.task
            assert viewer.disconnected.is_set()
            assert not streams._open
            assert not streams._manager.listeners_by_channel

        run(test)

    def test_a_viewer_who_leaves_is_forgotten(self) -> None:
        async def test(streams: Streams) -> None:
            viewer = Viewer(streams)
            await viewer.wait_for(b"stream-open")
            assert streams._open
            viewer.gone.set()
            await viewer.task
            assert not streams._open
            assert not streams._manager.listeners_by_channel

        run(test)

    def test_it_ends_at_once_in_a_closing_process(self) -> None:
        async def test(streams: Streams) -> None:
            streams.close()
            viewer = Viewer(streams)
            await viewer.task
            assert b"stream-open" in viewer.body

        run(test)

"""What those who wait for orders hold in their process, and for how long."""

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import uuid4

import pytest
from django_eventstream.event import Event

from config.live.subscription import reset_all
from config.wsgi_threads import Receive, Scope, Send
from transactions.orders import waiting
from transactions.orders.waiting import Waits

ORDER = uuid4()
CHANNEL = f"order-{ORDER}"


class Office:
    """In place of Django: answers with the state of the one order."""

    def __init__(self) -> None:
        self.status = "verifying"
        self.asked = 0
        self.at_once = 0
        self.most_at_once = 0
        self.meanwhile: Callable[[], None] | None = None
        """Happens once, between the look at the order and the answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        if waiting.KEY in scope:
            scope[waiting.KEY].open = self.status == "verifying"
        status, meanwhile, self.meanwhile = self.status, self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
            await asyncio.sleep(0)
        self.at_once -= 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": status.encode()})


class Client:
    """An ASGI client of `Waits`."""

    def __init__(self, waits: Waits, query: str = "wait=25", **scope: Any) -> None:
        self.sent: list[dict[str, Any]] = []
        self.gone = asyncio.Event()
        asked = {"path": f"/api/orders/{ORDER}/", "method": "GET", **scope}
        self.task = asyncio.create_task(
            waits({**asked, "query_string": query.encode()}, self.receive, self.send)
        )

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    async def body(self) -> bytes:
        async with asyncio.timeout(60):
            await self.task
        return b"".join(message.get("body", b"") for message in self.sent)


class Room:
    """The application, and what it holds."""

    def __init__(self) -> None:
        self.office = Office()
        self.waits = Waits(self.office)
        self.manager = self.waits._manager
        self.manager.redis_listener_started = True  # none is needed here

    def client(self, *arguments: Any, **options: Any) -> Client:
        return Client(self.waits, *arguments, **options)

    def hear(self, status: str) -> None:
        data = json.dumps({"status": status})
        self.manager.add_to_queues(CHANNEL, Event(CHANNEL, "snapshot", data))  # type: ignore[arg-type]

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.005)

    @property
    def is_empty(self) -> bool:
        return not self.waits._waits and CHANNEL not in self.manager.listeners_by_channel


def run(test: Callable[[Room], Coroutine[Any, Any, None]]) -> None:
    """Run `test` in an event loop of its own thread: this thread may have a browser's."""
    errors: list[BaseException] = []

    def main() -> None:
        async def inside() -> None:
            await test(Room())

        try:
            asyncio.run(inside())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=main)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


def test_nothing_is_left_of_who_was_answered_and_of_who_left() -> None:
    async def test(room: Room) -> None:
        stays, leaves = room.client(), room.client()
        await room.until(lambda: room.office.asked == 2)
        leaves.gone.set()
        assert await leaves.body() == b"" and leaves.sent == []
        assert not room.is_empty and room.office.asked == 2
        room.office.status = "Accept"
        room.hear("Accept")
        assert await stays.body() == b"Accept"
        assert room.is_empty and len(asyncio.all_tasks()) == 1

    run(test)


def test_what_is_decided_while_it_is_looked_at_is_heard_of() -> None:
    async def test(room: Room) -> None:
        def decide() -> None:
            room.office.status = "Accept"
            room.hear("Accept")

        room.office.meanwhile = decide
        assert await room.client().body() == b"Accept"
        assert room.office.asked == 2

    run(test)


def test_steps_on_the_way_ask_nobody_and_a_reset_does() -> None:
    async def test(room: Room) -> None:
        client = room.client()
        await room.until(lambda: room.office.asked == 1)
        for _ in range(30):  # more than the library keeps at a time
            room.hear("verifying")
            await asyncio.sleep(0)
        assert room.office.asked == 1
        reset_all(room.manager)
        await room.until(lambda: room.office.asked == 2)
        assert not client.task.done()
        room.office.status = "Deny"
        reset_all(room.manager)
        assert await client.body() == b"Deny" and room.office.asked == 3

    run(test)


def test_a_strange_event_is_a_reason_to_look() -> None:
    async def test(room: Room) -> None:
        client = room.client()
        await room.until(lambda: room.office.asked == 1)
        for data in ("nonsense", "[]", "{}", "null"):
            before = room.office.asked
            room.manager.add_to_queues(CHANNEL, Event(CHANNEL, "snapshot", data))  # type: ignore[arg-type]
            await room.until(lambda before=before: room.office.asked == before + 1)
        client.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await client.task
        assert room.is_empty

    run(test)


def test_many_who_look_at_once_leave_threads_for_others(settings) -> None:
    settings.WEB_THREADS = 4

    async def test(room: Room) -> None:
        clients = [room.client() for _ in range(50)]
        await room.until(lambda: room.office.asked == 50)
        room.office.most_at_once = 0
        room.waits.close()
        assert {await client.body() for client in clients} == {b"verifying"}
        assert room.office.most_at_once == 2
        assert await room.client().body() == b"verifying"  # in a closing process nobody waits
        assert room.is_empty

    run(test)


def test_a_full_process_answers_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "MOST_WAITS", 2)

    async def test(room: Room) -> None:
        first, second = room.client(), room.client()
        await room.until(lambda: room.office.asked == 2)
        assert await room.client().body() == b"verifying"
        assert not (first.task.done() or second.task.done())
        room.waits.close()
        await asyncio.gather(first.task, second.task)

    run(test)


@pytest.mark.parametrize(
    ("query", "scope"),
    [
        ("", {}),
        ("wait=0", {}),
        ("wait=26", {}),
        ("wait=nan", {}),
        ("wait=x", {}),
        ("wait=25", {"method": "HEAD"}),
        ("wait=25", {"path": "/api/orders/"}),
        ("wait=25", {"path": f"/api/orders/{ORDER}/more/"}),
    ],
)
def test_what_is_no_wait_is_django_s_alone(query: str, scope: dict[str, str]) -> None:
    async def test(room: Room) -> None:
        assert await room.client(query, **scope).body() == b"verifying"
        assert room.office.asked == 1

    run(test)

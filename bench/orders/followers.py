"""Who waits for decisions: live streams, waiting requests, a receiver of callbacks. For
bench.orders. All in one event loop; instants are unix seconds."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from bench.orders.client import Connection

WAIT_SECONDS = 25
FINAL = ("Accept", "Deny")
LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Heard:
    """Of the orders that one way of following tells: since when it is followed, when it came."""

    followed_at: dict[UUID, float] = field(default_factory=dict)
    at: dict[UUID, float] = field(default_factory=dict)


async def stream(place: tuple[str, int], token: str, order_id: UUID, heard: Heard) -> None:
    """Follow one order by its live stream until it is decided."""
    async with Connection(*place, token) as connection:
        connection.send(
            "GET", f"/events/order-{order_id}/", headers="Accept: text/event-stream\r\n"
        )
        status, _ = await connection.read_head()
        if status != 200:
            raise SystemExit(f"the stream of an order: {status}")
        while True:
            line = await connection.reader.readline()
            now = time.time()
            if line.startswith(b"event: stream-open"):
                heard.followed_at.setdefault(order_id, now)
            elif line.startswith(b"data: {") and json.loads(line[6:]).get("status") in FINAL:
                heard.at[order_id] = now
                return
            elif not line:
                raise SystemExit("the stream of an order has ended")


async def wait(place: tuple[str, int], token: str, order_id: UUID, heard: Heard) -> None:
    """Ask for one order with `wait`, again and again until it is decided."""
    async with Connection(*place, token) as connection:
        while order_id not in heard.at:
            heard.followed_at.setdefault(order_id, time.time())
            answer = await connection.ask("GET", f"/api/orders/{order_id}/?wait={WAIT_SECONDS}")
            now = time.time()
            if answer.status != 200:
                raise SystemExit(f"a waiting request: {answer}")
            if json.loads(answer.body)["status"] in FINAL:
                heard.at[order_id] = now


@asynccontextmanager
async def receiver(heard: Heard) -> AsyncIterator[str]:
    """A receiver of callbacks that answers at once; its URL."""

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                found = LENGTH.search(head)
                body = await reader.readexactly(int(found[1]) if found else 0)
                now = time.time()
                heard.at.setdefault(UUID(json.loads(body)["data"]["order_id"]), now)
                writer.write(OK)
        except asyncio.IncompleteReadError:  # it has closed
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(receive, "127.0.0.1", 0, backlog=1024)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/decided"

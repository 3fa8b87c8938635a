"""A client of the web process: connections that are kept, requests at a steady rate."""

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple

CONNECTIONS = 32


class Answer(NamedTuple):
    status: int
    body: bytes


class Connection:
    """One that is kept from request to request."""

    def __init__(self, host: str, port: int, token: str) -> None:
        self._place = host, port
        self._head = f"HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\n"
        self.reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> "Connection":
        self.reader, self._writer = await asyncio.open_connection(*self._place)
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._writer.close()

    def send(self, method: str, path: str, body: bytes = b"", headers: str = "") -> None:
        """Send a request; `headers` are whole lines."""
        if body:
            headers += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self._writer.write(f"{method} {path} {self._head}{headers}\r\n".encode() + body)

    async def ask(self, method: str, path: str, body: bytes = b"", headers: str = "") -> Answer:
        """Send a request and read its answer."""
        self.send(method, path, body, headers)
        status, length = await self.read_head()
        return Answer(status, await self.reader.readexactly(length))

    async def read_head(self) -> tuple[int, int]:
        """Status, and length of the body, 0 where it isn't said."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        _, found, rest = head.partition(b"\r\ncontent-length:")
        return int(head[9:12]), int(rest.partition(b"\r\n")[0]) if found else 0


class Request(NamedTuple):
    method: str
    path: str
    body: bytes = b""
    headers: str = ""


class Pace:
    """So many turns a second, counted from now: who is late does not shift those behind."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._began = time.perf_counter()
        self._turns = 0

    def next(self) -> float:
        """When the next turn is, of time.perf_counter()."""
        at = self._began + self._turns / self._rate
        self._turns += 1
        return at


async def steadily(
    place: tuple[str, int],
    token: str,
    rate: float,
    seconds: float,
    make: Callable[[], Request],
    good: int,
) -> list[float]:
    """Seconds that each answer took from when its request was due.

    So a wait for one of the CONNECTIONS counts too. Raises SystemExit for an answer that is not
    `good`.
    """
    free: asyncio.Queue[Connection] = asyncio.Queue()
    connections = [Connection(*place, token) for _ in range(CONNECTIONS)]
    times: list[float] = []

    async def one(due: float, request: Request) -> None:
        connection = await free.get()
        answer = await connection.ask(*request)
        times.append(time.perf_counter() - due)
        free.put_nowait(connection)
        if answer.status != good:
            raise SystemExit(f"{request.path}: {answer.status} {answer.body[:500]!r}")

    try:
        for connection in connections:
            free.put_nowait(await connection.__aenter__())
        pace = Pace(rate)
        async with asyncio.TaskGroup() as group:
            for _ in range(int(rate * seconds)):
                due = pace.next()
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                group.create_task(one(due, make()))
    finally:
        for connection in connections:
            await connection.__aexit__()
    return times

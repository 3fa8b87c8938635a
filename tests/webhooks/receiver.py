"""A real HTTP/1.1 receiver in a thread of its own, which answers as badly as it is told to.

    with Receiver([status(500), status(200)]) as receiver:
        ...                                   # send to receiver.url
        first, second = receiver.wait(2, seconds=5)
        receiver.answer = hang()              # from the next request on

An answer is what the functions below return, a list of answers (one after the other, the last
repeats) or a dict of answers by path (404 for others); `chosen` makes one from any function.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from types import TracebackType
from typing import Self, Union

import trustme

MIB = 1024 * 1024
CLOSING_SECONDS = 60


@dataclass(frozen=True)
class Received:
    """A request as it came."""

    method: str
    path: str  # with the query
    headers: dict[str, str]  # names in lower case
    body: bytes
    at: datetime  # aware UTC, to compare with other processes and the database
    monotonic: float  # time.monotonic(), for distances


@dataclass(frozen=True)
class Exchange:
    """A request and the connection it came on. An answer that ends the connection closes `writer`,
    any other lets the next request come on it."""

    request: Received
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def until_closed(self) -> None:
        """Wait for the other side to close, or for the end of the receiver."""
        while await self.reader.read(65536):
            pass
        self.writer.close()


Answer = Callable[[Exchange], Awaitable[None]]
Answers = Union[Answer, Sequence["Answers"], Mapping[str, "Answers"]]  # noqa: UP007, it is recursive


def status(code: int = 200, body: bytes | str = b"", headers: Mapping[str, str] = {}) -> Answer:
    """An answer as it should be; content-length unless given in `headers`."""
    content = body.encode() if isinstance(body, str) else body

    async def answer(exchange: Exchange) -> None:
        await exchange.send(_head(code, {"content-length": str(len(content)), **headers}) + content)

    return answer


def slow(seconds: float, then: Answers | None = None) -> Answer:
    """`then`, by default 200, after a while."""
    late = as_answer(status(200) if then is None else then)

    async def answer(exchange: Exchange) -> None:
        await asyncio.sleep(seconds)
        await late(exchange)

    return answer


def hang() -> Answer:
    """Nothing, ever: until the other side closes the connection."""
    return Exchange.until_closed


def hang_in_body(code: int = 200, body: bytes = b"the start") -> Answer:
    """A head, the start of a body, then nothing until the other side closes."""

    async def answer(exchange: Exchange) -> None:
        await exchange.send(_head(code, {"content-length": str(len(body) + 1)}) + body)
        await exchange.until_closed()

    return answer


def reset(sent: bytes = b"") -> Answer:
    """RST, after `sent` (bytes as they go over the wire, head included)."""

    async def answer(exchange: Exchange) -> None:
        if sent:
            await exchange.send(sent)
        linger = struct.pack("ii", 1, 0)  # on, for 0 s: close() sends RST instead of FIN
        raw = exchange.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        exchange.writer.transport.abort()

    return answer


def close_early(sent: bytes = b"") -> Answer:
    """FIN, after `sent` (bytes as they go over the wire): by default without any answer."""

    async def answer(exchange: Exchange) -> None:
        await exchange.send(sent)
        exchange.writer.close()

    return answer


def garbage(data: bytes = b"220 mail.example ESMTP\r\n\r\n") -> Answer:
    """What is not HTTP."""
    return close_early(data)


def huge(size: int | None = None, code: int = 200) -> Answer:
    """A body of `size` bytes, or an endless one."""
    piece = b"x" * 65536

    async def answer(exchange: Exchange) -> None:
        headers = {} if size is None else {"content-length": str(size)}
        await exchange.send(_head(code, headers))
        left = size
        while left is None or left > 0:
            sent = piece if left is None else piece[:left]
            await exchange.send(sent)
            left = None if left is None else left - len(sent)

    return answer


def drip(seconds: float = 0.05, code: int = 200, in_head: bool = False) -> Answer:
    """A byte of the body, or of a header that never ends, each `seconds`."""

    async def answer(exchange: Exchange) -> None:
        head = _head(code, {"content-length": str(MIB)})
        await exchange.send(head[:-2] + b"x-drip: " if in_head else head)
        while True:
            await exchange.send(b"x")
            await asyncio.sleep(seconds)

    return answer


def chosen(choose: Callable[[Received], Answers]) -> Answer:
    """Whatever `choose` says for the request; it runs in the receiver's thread."""

    async def answer(exchange: Exchange) -> None:
        await as_answer(choose(exchange.request))(exchange)

    return answer


def as_answer(answers: Answers) -> Answer:
    if callable(answers):
        return answers
    if isinstance(answers, Mapping):
        paths = {path: as_answer(answer) for path, answer in answers.items()}
        return chosen(lambda request: paths.get(request.path.partition("?")[0], status(404)))
    left = [as_answer(answer) for answer in answers]
    return chosen(lambda _: left.pop(0) if len(left) > 1 else left[0])


def _head(code: int, headers: Mapping[str, str]) -> bytes:
    known = {known.value: known.phrase for known in HTTPStatus}
    lines = [f"HTTP/1.1 {code} {known.get(code, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Receiver:
    """Answers on 127.0.0.1 between `with` and its end; all attributes may be used from any thread.

    `port` 0 takes a free one; `tls` is a certificate from `trustme.CA().issue_cert(name)`, and
    `host` the name that `url` has, for which the sender's resolver must give 127.0.0.1.
    """

    def __init__(
        self,
        answer: Answers | None = None,
        *,
        tls: trustme.LeafCert | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.host = host
        self.port = port
        self.connections = 0  # accepted so far
        self.most_at_once = 0  # requests that waited for an answer at the same time
        self._in_hand = 0
        self._answer = as_answer(status(200) if answer is None else answer)
        self._tls = None if tls is None else ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if tls is not None and self._tls is not None:
            tls.configure_cert(self._tls)
        self._requests: list[Received] = []
        self._changed = threading.Condition()
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return self.address("/")

    def address(self, path: str) -> str:
        """The URL of a path, e.g. "/hook?x=1"."""
        return f"{'http' if self._tls is None else 'https'}://{self.host}:{self.port}{path}"

    @property
    def answer(self) -> Answer:
        return self._answer

    @answer.setter
    def answer(self, answers: Answers) -> None:
        self._answer = as_answer(answers)

    @property
    def requests(self) -> list[Received]:
        """All that came so far, in the order of their arrival."""
        with self._changed:
            return list(self._requests)

    def wait(self, count: int, seconds: float = 60) -> list[Received]:
        """The requests, as soon as `count` have come; AssertionError with them if they do not."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self._requests) >= count, seconds)
            found = list(self._requests)
        assert came, f"{len(found)} of {count} requests within {seconds} s: {found[-20:]}"
        return found

    def clear(self) -> None:
        """Forget the requests so far."""
        with self._changed:
            self._requests.clear()

    def __enter__(self) -> Self:
        started: Future[None] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(started)), name="receiver", daemon=True
        )
        self._thread.start()
        started.result(timeout=CLOSING_SECONDS)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all connections and the thread; the port is free afterwards."""
        if self._thread is None or not self._thread.is_alive():
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(CLOSING_SECONDS)
        assert not self._thread.is_alive(), "the receiver did not end"

    async def _serve(self, started: "Future[None]") -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            server = await asyncio.start_server(
                self._connected, "127.0.0.1", self.port, ssl=self._tls, limit=MIB, backlog=1024
            )
        except BaseException as error:
            started.set_exception(error)
            return
        self.port = server.sockets[0].getsockname()[1]
        started.set_result(None)
        await self._stop.wait()
        server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        # The other side may break the connection at any time: it is the one that is tested.
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            while not writer.is_closing():
                exchange = Exchange(await _read(reader), reader, writer)
                with self._recorded(exchange.request):
                    await self._respond(exchange)
        writer.close()
        self._writers.discard(writer)

    async def _respond(self, exchange: Exchange) -> None:
        try:
            await self._answer(exchange)
        except (OSError, EOFError):
            raise
        except Exception:  # a mistake in a test's own answer: it shows in what the sender kept
            await status(500, traceback.format_exc())(exchange)

    @contextlib.contextmanager
    def _recorded(self, request: Received) -> Iterator[None]:
        self._in_hand += 1
        self.most_at_once = max(self.most_at_once, self._in_hand)
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()
        try:
            yield
        finally:
            self._in_hand -= 1


async def _read(reader: asyncio.StreamReader) -> Received:
    """The next request, whose body must have a content-length; EOFError when there is none."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = lines[0].split(" ")
    headers: dict[str, str] = {}
    for line in filter(None, lines[1:]):
        name, _, value = line.partition(":")
        key = name.strip().lower()
        headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Received(method, path, headers, body, datetime.now(UTC), time.monotonic())

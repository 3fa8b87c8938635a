"""The way to an endpoint: resolves its host, checks each address, connects to a checked one.

httpcore asks it for the TCP connection and does TLS and HTTP/1.1 over it. The name is looked up
here, once, and no one else resolves it again: what was checked is what is connected to. TLS still
checks the certificate against the name in the URL.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Iterable
from typing import Any, Literal

import httpcore

from .addresses import Policy, resolve

NEXT_ADDRESS_SECONDS = 4.0  # after which the host's next address is tried

HEAD_BYTES = 256 * 1024  # that may come before the status; an endless row of 1xx answers ends there

Stage = Literal["resolve", "connect", "tls", "answer", "body"]


class HeadTooLong(Exception):
    """What came before the final status is more than HEAD_BYTES."""


class Connection(httpcore.AsyncNetworkBackend):
    """The network of one attempt, never used again: a kept connection may have died unnoticed,
    which would count as a failure, and each attempt's address is to be checked anew."""

    def __init__(self, policy: Policy) -> None:
        self.stage: Stage = "resolve"  # how far the attempt has come
        self.address = ""  # connected to, or tried last
        self._policy = policy
        self._network = httpcore.AnyIOBackend()
        self._stream: httpcore.AsyncNetworkStream | None = None

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Raises Refused, Unresolved, or httpcore.ConnectError of the last address."""
        *others, (_, last) = await resolve(host, port, self._policy)
        self.stage = "connect"
        for _, ip in others:
            with contextlib.suppress(httpcore.ConnectError, TimeoutError):
                async with asyncio.timeout(NEXT_ADDRESS_SECONDS):
                    return await self._connect(ip, port)
        return await self._connect(last, port)

    async def _connect(self, ip: str, port: int) -> httpcore.AsyncNetworkStream:
        self.address = ip
        self._stream = await self._network.connect_tcp(ip, port)
        return _Bounded(self._stream, self)

    async def trace(self, event: str, info: dict[str, Any]) -> None:
        """What httpcore reports of its progress (its extension `trace`)."""
        if event == "connection.start_tls.started":
            self.stage = "tls"
        elif event == "http11.send_request_headers.started":
            self.stage = "answer"
        elif event == "http11.receive_response_headers.complete":
            self.stage = "body"

    async def aclose(self) -> None:
        """Closes the socket under TLS and HTTP: httpcore leaves it open when a handshake is
        cancelled, and there is nothing left to say to the other side."""
        if self._stream is not None:
            await self._stream.aclose()


class _Bounded(httpcore.AsyncNetworkStream):
    """A stream that gives up when the head does not end: httpcore passes over 1xx answers for ever,
    and reading them keeps the loop busy."""

    def __init__(self, stream: httpcore.AsyncNetworkStream, connection: Connection) -> None:
        self._stream = stream
        self._connection = connection
        self._left = HEAD_BYTES

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = await self._stream.read(max_bytes, timeout)
        if self._connection.stage != "body":
            self._left -= len(data)
            if self._left < 0:
                raise HeadTooLong
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        encrypted = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        return _Bounded(encrypted, self._connection)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

"""The way to an endpoint: resolves its host, checks each address, connects to a checked one.

httpcore asks it for the TCP connection and does TLS and HTTP/1.1 over it. The name is looked up
here, once, and no one else resolves it again: what was checked is what is connected to. TLS still
checks the certificate against the name in the URL.
"""

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Any, Literal

import httpcore

from .addresses import Policy, resolve

NEXT_ADDRESS_SECONDS = 4.0  # after which the host's next address is tried

Stage = Literal["resolve", "connect", "tls", "answer"]


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
        return self._stream

    async def trace(self, event: str, info: dict[str, Any]) -> None:
        """What httpcore reports of its progress (its extension `trace`)."""
        if event == "connection.start_tls.started":
            self.stage = "tls"
        elif event == "http11.send_request_headers.started":
            self.stage = "answer"

    async def aclose(self) -> None:
        """Closes the socket under TLS and HTTP: httpcore leaves it open when a handshake is
        cancelled, and there is nothing left to say to the other side."""
        if self._stream is not None:
            await self._stream.aclose()

"""kafka-python's network client, with the reasons of failed connections kept and shown.

The library tries a refused password or certificate again until its time is over, then raises
"Unable to bootstrap": why is in its log only. Nor does it end the thread and sockets of a client
that could not be made, or a TLS handshake that nobody answers; an answer that comes together with
the connection's end is dropped; and a client that must not make topics makes them.
`connection.options` gives this to all clients. It overrides what is private in kafka-python 3.0.12,
pinned in requirements.txt.
"""

import ssl
import time
from typing import Any

from kafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaTimeoutError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
)
from kafka.net.compat import KafkaNetClient
from kafka.net.inet import create_connection
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector
from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport

REFUSALS = (SaslAuthenticationFailedError, UnsupportedSaslMechanismError, IllegalSaslStateError)


class Client(KafkaNetClient):  # type: ignore[misc]
    """As the library's, on the connections below."""

    def __init__(self, **configs: Any) -> None:
        net = NetworkSelector(**configs)
        super().__init__(net=net, manager=Connections(net, **configs), **configs)


class Connections(KafkaConnectionManager):  # type: ignore[misc]
    """All connections of one client; remembers why the last one to each broker failed."""

    def __init__(self, net: NetworkSelector, **configs: Any) -> None:
        super().__init__(net, **configs)
        # The library forgets to hand it on: a reader would make a topic that was just deleted.
        self.cluster.config["allow_auto_create_topics"] = configs.get(
            "allow_auto_create_topics", True
        )
        self._failures: dict[Any, BaseException] = {}

    def bootstrap(self, timeout_ms: float | None = None, refresh: bool = True) -> None:
        """Find the cluster. What can't be mended by trying again is raised at once.

        Raises the refusal of the brokers, or KafkaConnectionError from the last failure; nothing is
        left of the client then.
        """
        try:
            self._net.run(self._bootstrap_in_time, timeout_ms, refresh)
        except BaseException as error:
            failures = list(self._failures.values())  # closing would add to them
            self.close()
            self._net.close()
            if not isinstance(error, KafkaTimeoutError) or not failures:
                raise
            refusal = next(filter(is_refusal, failures), None)
            if refusal is not None:  # says more than that another broker is away
                raise refusal from None
            raise KafkaConnectionError("no broker could be reached") from failures[-1]

    async def _bootstrap_in_time(self, timeout_ms: float | None, refresh: bool) -> None:
        await self.wait_for(self.bootstrap_async(timeout_ms, refresh), timeout_ms)

    def get_connection(self, node_id: Any, *args: Any, **kwargs: Any) -> Any:
        """As the library's; while the cluster is looked for, refusals by all brokers are raised."""
        if not self.bootstrapped:
            nodes = [broker.node_id for broker in self.cluster.bootstrap_brokers()]
            refusals = [
                self._failures[node] for node in nodes if is_refusal(self._failures.get(node))
            ]
            if refusals and len(refusals) == len(nodes):
                raise refusals[0]
        return super().get_connection(node_id, *args, **kwargs)

    async def _connect(self, node: Any, conn: Any, *args: Any, **kwargs: Any) -> None:
        conn.close_future.add_errback(lambda error: self._remember(node.node_id, error))
        await super()._connect(node, conn, *args, **kwargs)

    def _remember(self, node_id: Any, error: BaseException) -> None:
        self._failures.pop(node_id, None)  # so that the last one stands at the end
        self._failures[node_id] = error

    async def _build_transport(self, node: Any, timeout_at: float | None = None) -> Any:
        sock = await create_connection(
            self._net, node.host, node.port, self.config["socket_options"], timeout_at=timeout_at
        )
        if not self.ssl_enabled:
            return PlainTransport(self._net, sock, host=node.host)
        transport = TlsTransport(
            self._net, sock, host=node.host, ssl_context=self.config["ssl_context"]
        )
        try:
            await transport.handshake_until(timeout_at)
        except (OSError, KafkaTimeoutError) as error:
            transport.close()
            raise KafkaConnectionError("TLS handshake failed") from error
        return transport


class LastWords:
    """A transport that hands on what came right before the end of the connection.

    The library drops it: "wrong password", for one, where the broker hangs up at once.
    """

    def _sock_recv(self) -> tuple[bytes, BaseException | None]:
        received, error = super()._sock_recv()  # type: ignore[misc]
        return received, None if received else error  # the next read meets the end again


class PlainTransport(LastWords, KafkaTCPTransport):  # type: ignore[misc]
    """An unencrypted connection."""


class TlsTransport(LastWords, KafkaSSLTransport):  # type: ignore[misc]
    """TLS whose handshake ends in time, with an answer or without."""

    async def handshake_until(self, deadline: float | None) -> None:
        """Raises SSLError, OSError; KafkaTimeoutError at `deadline` (monotonic seconds)."""
        while deadline is None or time.monotonic() < deadline:
            try:
                self._sock.do_handshake()
                return
            except ssl.SSLWantReadError:
                await self._net.wait_read(self._sock, deadline)
            except ssl.SSLWantWriteError:
                await self._net.wait_write(self._sock, deadline)
        raise KafkaTimeoutError("TLS handshake timed out")


def is_refusal(error: BaseException | None) -> bool:
    """Whether credentials or certificates are the reason, so that only a person can help."""
    reason = tls_reason(error)
    return isinstance(error, REFUSALS) or (
        reason is not None
        and not isinstance(reason, (ssl.SSLEOFError, ssl.SSLZeroReturnError))
        and reason.reason != "UNEXPECTED_EOF_WHILE_READING"
    )


def tls_reason(error: BaseException | None) -> ssl.SSLError | None:
    """The TLS library's error among the causes of `error`, None where there is none."""
    found = None if error is None else root_of(error)
    return found if isinstance(found, ssl.SSLError) else None


def root_of(error: BaseException) -> BaseException:
    """The first cause of `error`. The library wraps errors by giving them as an argument."""
    inner = error.args[0] if error.args else None
    cause = error.__cause__ or (inner if isinstance(inner, BaseException) else None)
    return error if cause is None else root_of(cause)

"""One attempt over HTTP: sends a request, gives back what came of it. Called by the deliverer.

Uses no proxy from the environment, no cookies, no redirects, no compression and no connection
twice.
"""

import asyncio
import codecs
import logging
import ssl
import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, cast

import httpcore

from .addresses import Policy, Refused, Target, Unresolved, check_url
from .connection import HEAD_BYTES, Connection, HeadTooLong

logger = logging.getLogger(__name__)

BODY_SECONDS = 2.0  # for the body after the head: it decides nothing
MAX_HEADERS = 50
MAX_HEADER_CHARACTERS = 500

LATE = {
    "resolve": "The name did not resolve",
    "connect": "No connection",
    "tls": "No TLS handshake",
    "answer": "No answer",
    "body": "No answer",
}


@dataclass(frozen=True)
class Request:
    url: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """`status_code` or, where no status came, `error` in plain words.

    `headers` have lower-case names; `body` is its start, `truncated` says that it went on, broke
    off or was too slow. `duration_ms` is the time until the status or the failure, from the
    look-up of the name on. No text holds NUL, which PostgreSQL can't keep.
    """

    status_code: int | None = None
    error: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    truncated: bool = False
    address: str = ""
    duration_ms: int = 0


class Sender:
    """Sends any number of requests at once, each within `timeout_seconds` in all.

    TLS trusts the system's and certifi's authorities; SSL_CERT_FILE names a file with others.
    """

    def __init__(self, policy: Policy, timeout_seconds: float, response_bytes: int) -> None:
        self._policy = policy
        self._timeout_seconds = timeout_seconds
        self._response_bytes = response_bytes

    async def __aenter__(self) -> Self:
        self._tls = await asyncio.to_thread(httpcore.default_ssl_context)  # reads large files
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing is left to close: each attempt ends its connection."""

    async def send(self, request: Request) -> Answer:
        """What came of the request. Raises nothing but CancelledError."""
        started = time.monotonic()
        connection = Connection(self._policy)

        def answer(**values: Any) -> Answer:
            return Answer(address=connection.address, duration_ms=duration_ms, **values)

        try:
            try:
                async with asyncio.timeout(self._timeout_seconds) as limit:
                    response = await self._head(request, connection)
            except Exception as error:
                duration_ms = _milliseconds_since(started)
                if limit.expired():
                    late = LATE[connection.stage]
                    return answer(error=f"{late} within {self._timeout_seconds:g} s.")
                return answer(error=_words(error, connection) or _unexpected(request, error))
            duration_ms = _milliseconds_since(started)
            body_ends = asyncio.get_running_loop().time() + BODY_SECONDS
            body, truncated = await self._body(response, min(body_ends, cast(float, limit.when())))
            return answer(
                status_code=response.status,
                headers=_headers(response.headers),
                body=body,
                truncated=truncated,
            )
        finally:
            await connection.aclose()

    async def _head(self, request: Request, connection: Connection) -> httpcore.Response:
        target = check_url(request.url, self._policy)
        scheme, host = target.scheme.encode(), target.host.encode()
        http = httpcore.AsyncHTTPConnection(
            httpcore.Origin(scheme, host, target.port),
            ssl_context=self._tls,
            network_backend=connection,
        )
        return await http.handle_async_request(
            httpcore.Request(
                "POST",
                httpcore.URL(scheme=scheme, host=host, port=target.port, target=target.path),
                headers=_request_headers(target, request),
                content=request.body,
                extensions={"trace": connection.trace},
            )
        )

    async def _body(self, response: httpcore.Response, ends_at: float) -> tuple[str, bool]:
        """The start of the body and whether it was cut, until `ends_at` (the loop's clock)."""
        body = bytearray()
        truncated = True
        try:
            async with asyncio.timeout_at(ends_at):
                async with aclosing(cast(Any, aiter(cast(Any, response.stream)))) as pieces:
                    async for piece in pieces:
                        body += piece
                        if len(body) > self._response_bytes:
                            break
                    else:
                        truncated = False
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError):
            pass  # the status has come: it stands
        except Exception:
            logger.exception("body of an answer with status %s", response.status)
        # Not final: drops a character that was cut in its middle.
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text = decoder.decode(bytes(body[: self._response_bytes]), final=not truncated)
        return text.replace("\0", "\ufffd"), truncated


def _request_headers(target: Target, request: Request) -> list[tuple[bytes, bytes]]:
    own = {
        "host": target.host_header,
        "accept": "*/*",
        "accept-encoding": "identity",  # what is kept of the answer is to be read
        "connection": "close",
        "content-length": str(len(request.body)),
    }
    given = {name.lower(): value for name, value in request.headers.items()}
    headers = own | {name: value for name, value in given.items() if name not in own}
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def _headers(pairs: list[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs[:MAX_HEADERS]:
        name, value = (
            raw.decode("latin-1").replace("\0", "\ufffd") for raw in (raw_name, raw_value)
        )
        name = name.lower()[:MAX_HEADER_CHARACTERS]
        joined = f"{headers[name]}, {value}" if name in headers else value
        headers[name] = joined[:MAX_HEADER_CHARACTERS]
    return headers


def _words(error: Exception, connection: Connection) -> str:
    """What happened, for people; "" for what nobody thought of."""
    for cause in _causes(error):
        match cause:
            case Refused() | Unresolved():
                return str(cause)
            case HeadTooLong():
                return f"The head of the answer is longer than {HEAD_BYTES // 1024} KB."
            case ssl.SSLCertVerificationError():
                return f"The certificate is not accepted: {cause.verify_message.rstrip('.')}."
            case ssl.SSLError():
                return f"TLS failed: {(cause.reason or 'no reason').lower().replace('_', ' ')}."
            case ConnectionRefusedError():
                return "Connection refused."
            case ConnectionResetError() | BrokenPipeError():
                return "Connection reset."
            case httpcore.RemoteProtocolError() if "without sending" in str(cause):
                return "Connection closed without an answer."
            case httpcore.RemoteProtocolError():
                # h11 puts the offending bytes after a colon.
                return f"The answer is not HTTP: {str(cause).partition(':')[0]}."
            case httpcore.LocalProtocolError():
                return f"The request can't be sent: {str(cause).partition(':')[0]}."
            case OSError(strerror=str(strerror)):
                return f"No connection: {strerror}."
    if isinstance(error, httpcore.NetworkError):
        tls = " during the TLS handshake" if connection.stage == "tls" else ""
        return f"Connection closed{tls}."
    return ""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _unexpected(request: Request, error: Exception) -> str:
    # Without the URL, which may hold the receiver's token.
    logger.error("attempt for %s failed", request.headers.get("webhook-id"), exc_info=error)
    return f"Stockroom itself failed: {type(error).__name__}."


def _milliseconds_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)

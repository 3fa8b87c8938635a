"""What a connection may cost before and after its request, on the real server."""

import resource
import socket
from collections.abc import Iterator

import pytest

from config.web_worker import HEAD_BYTES, HEAD_FIELDS

from .servers import Server, read_head

GET = b"GET /page HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    environment = {"REQUEST_HEAD_SECONDS": "1"}
    # Kept open for longer than the test waits: who closes is not the keep-alive.
    arguments = ("-k", "config.web_worker.WebWorker", "--keep-alive", "120")
    with Server(
        "tests.web.raw_app:application", environment=environment, arguments=arguments
    ) as server:
        yield server


def status_of(server: Server, *parts: bytes) -> int:
    connection = server.connect()
    try:
        for part in parts:
            connection.sendall(part)
    except OSError:
        pass  # answered already
    return read_head(connection)[0]


def is_closed(connection: socket.socket) -> bool:
    """Whether the server closes it, without a word, while its client waits."""
    connection.settimeout(60)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize(
    "head",
    [
        GET + b"X-Long: " + b"x" * HEAD_BYTES + b"\r\n\r\n",
        GET + b"X-Long: " + b"x" * HEAD_BYTES,
        b"GET /" + b"x" * HEAD_BYTES + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        GET + b"X: y\r\n" * HEAD_FIELDS + b"\r\n",
    ],
    ids=["long field", "endless field", "long address", "many fields"],
)
def test_it_refuses_a_head_that_is_too_large(server: Server, head: bytes) -> None:
    assert status_of(server, head) == 431


def test_it_takes_a_head_that_is_just_not_too_large(server: Server) -> None:
    long = b"X-Long: " + b"x" * (HEAD_BYTES - 1000) + b"\r\n"
    assert status_of(server, GET + long + b"\r\n") == 200
    assert status_of(server, GET + b"X: y\r\n" * (HEAD_FIELDS - 1) + b"\r\n") == 200


def test_it_takes_a_head_in_pieces(server: Server) -> None:
    assert status_of(server, *(bytes([byte]) for byte in GET + b"\r\n")) == 200


def test_it_takes_no_endless_end_of_a_chunked_body(server: Server) -> None:
    head = GET.replace(b"GET", b"POST") + b"Transfer-Encoding: chunked\r\n\r\n"
    trailer = b"1\r\nx\r\n0\r\nX: "
    assert status_of(server, head, trailer, *[b"x" * HEAD_BYTES] * 8) == 431


@pytest.mark.parametrize("sent", [b"", b"GET /pa", GET, b"\r\n"])
def test_it_waits_for_a_head_not_for_ever(server: Server, sent: bytes) -> None:
    connection = server.connect()
    connection.sendall(sent)
    assert is_closed(connection)


def test_it_waits_for_a_further_head_not_for_ever(server: Server) -> None:
    connection = server.connect()
    connection.sendall(GET + b"\r\n" + GET)
    assert read_head(connection)[0] == 200
    assert connection.recv(6) == b"a page"
    assert is_closed(connection)


def test_it_waits_for_a_refused_body_not_for_ever(server: Server) -> None:
    connection = server.connect()
    connection.sendall(b"POST /form HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\n")
    status, headers = read_head(connection)
    assert status == 413
    connection.recv(int(headers["content-length"]), socket.MSG_WAITALL)
    connection.sendall(b"x")
    assert is_closed(connection)


def test_it_leaves_an_idle_connection_to_the_keep_alive(server: Server) -> None:
    connection = server.connect()
    for _ in range(2):
        connection.sendall(GET + b"\r\n")
        assert read_head(connection)[0] == 200
        assert connection.recv(6) == b"a page"
        connection.settimeout(2)  # twice what a head may take
        with pytest.raises(TimeoutError):
            connection.recv(1)


def test_it_may_have_as_many_connections_as_the_system_allows(server: Server) -> None:
    soft, hard = server.worker.rlimit(resource.RLIMIT_NOFILE)
    assert soft == hard

"""What happens between a client's socket and the WSGI application, on the real server."""

import json
import os
import select
import signal
import socket
from collections.abc import Iterator

import pytest
import requests

from config.asgi import UPLOADS_WAITING

from .raw_app import FILE_BYTES, PAGE_THREADS, TRANSFER_THREADS
from .servers import Server, read_head, until

MIB = 2**20
SECONDS = 30.0  # for any answer, on a machine that does much else
IDLE_SECONDS = 1.0
# What the server may hold of a body that nobody has read: uvicorn's buffer and one read of its
# socket. Lost when the client is cut off; it sends these bytes again.
HELD_BYTES = MIB // 2


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    environment = {
        "UPLOAD_IDLE_SECONDS": str(IDLE_SECONDS),
        "UPLOAD_MAX_BYTES": str(100 * MIB),
        "LOG_LEVEL": "DEBUG",
        "DOWNLOAD_IDLE_SECONDS": "1",
        "REQUEST_BODY_SECONDS": "2",
    }
    with Server("tests.web.raw_app:application", environment=environment) as server:
        yield server


def received(server: Server) -> dict:
    return requests.get(f"{server.url}/received", timeout=SECONDS).json()


def begin_upload(
    server: Server, size: int, *, path: str = "/api/uploads/1/", method: str = "PATCH"
) -> socket.socket:
    connection = server.connect()
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n"
    connection.sendall(head.encode())
    return connection


def get_a_page(server: Server) -> None:
    assert requests.get(f"{server.url}/page", timeout=SECONDS).text == "a page"


def test_it_keeps_what_came_of_a_cut_upload(server: Server) -> None:
    sent = os.urandom(5 * MIB + 12_345)
    connection = begin_upload(server, 50 * MIB)
    connection.sendall(sent)
    until(lambda: received(server)["bytes"] >= 4 * MIB, "most of it is read")
    connection.close()

    until(lambda: received(server)["ended"], "the application sees the end")
    got = received(server)
    assert len(sent) - HELD_BYTES <= got["bytes"] <= len(sent)


def test_it_ends_an_upload_that_falls_silent(server: Server) -> None:
    connection = begin_upload(server, 50 * MIB)
    connection.sendall(b"x" * MIB)

    # The application answers with what it has, and the connection is not used again: what its
    # client still sends would be taken for the next request.
    status, headers = read_head(connection)
    assert (status, headers["connection"]) == (200, "close")
    assert received(server) == {**received(server), "bytes": MIB, "ended": True}


def test_it_takes_a_whole_upload_in_order(server: Server) -> None:
    data = os.urandom(20 * MIB)
    answer = requests.patch(f"{server.url}/api/uploads/1/", data=data, timeout=SECONDS)
    assert answer.text == "stored"
    blocks = [data[n : n + MIB] for n in range(0, len(data), MIB)]
    digest = sum(sum(block[:: 2**10]) for block in blocks)
    assert received(server) == {"bytes": len(data), "ended": True, "digest": digest}


@pytest.fixture
def held(server: Server) -> Iterator[str]:
    """Path of uploads that the application does not read before the test is over."""
    requests.get(f"{server.url}/hold", timeout=SECONDS)
    yield "/api/uploads/1/?wait"
    requests.get(f"{server.url}/go-on", timeout=SECONDS)


def test_it_does_not_read_ahead_of_the_application(server: Server, held: str) -> None:
    before = server.worker.memory_info().rss
    connection = begin_upload(server, 90 * MIB, path=held)
    connection.settimeout(0.5)
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < 90 * MIB:
            sent += connection.send(b"x" * 2**16)

    # The rest waits in the client: the kernel's buffers are full, and the process has grown by
    # less than what one thread reads.
    assert sent < 20 * MIB
    assert server.worker.memory_info().rss - before < 8 * MIB
    connection.close()


def test_slow_uploads_leave_pages_their_threads(server: Server, held: str) -> None:
    enough = max(TRANSFER_THREADS, PAGE_THREADS) + 3
    uploads = [begin_upload(server, MIB, path=held) for _ in range(enough)]
    get_a_page(server)
    for upload in uploads:
        upload.close()


def test_slow_forms_hold_no_thread(server: Server) -> None:
    forms = [begin_upload(server, 100, path="/form") for _ in range(PAGE_THREADS + 3)]
    get_a_page(server)
    # Their patience ends as well.
    for form in forms:
        assert read_head(form)[0] == 408


def test_slow_large_forms_hold_no_thread_of_uploads(server: Server) -> None:
    forms = [begin_upload(server, MIB, path="/login/") for _ in range(TRANSFER_THREADS + 3)]
    answer = requests.patch(f"{server.url}/api/uploads/1/", data=b"x" * MIB, timeout=SECONDS)
    assert answer.text == "stored"
    for form in forms:
        status, headers = read_head(form)
        assert (status, headers["connection"]) == (408, "close")


def test_a_form_must_be_whole_in_time_however_steadily_it_comes(server: Server) -> None:
    form = begin_upload(server, MIB, path="/form")
    assert drip(form, 4096) == 408


def test_it_takes_a_large_form(server: Server) -> None:
    data = os.urandom(MIB + 1)
    assert requests.post(f"{server.url}/body", data=data, timeout=SECONDS).content == data


def test_an_upload_that_only_trickles_is_ended_and_kept(server: Server) -> None:
    upload = begin_upload(server, MIB)
    assert drip(upload, 10) == 200
    assert received(server)["ended"] and 10 <= received(server)["bytes"] < 2**10


def drip(connection: socket.socket, size: int) -> int:
    """Send `size` bytes again and again until there is an answer; its status."""
    connection.settimeout(0.1)
    for _ in range(200):
        connection.sendall(b"x" * size)
        try:
            connection.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            continue
        connection.settimeout(SECONDS)
        return read_head(connection)[0]
    raise AssertionError("it was never answered")


def test_more_uploads_than_may_wait_are_told_to_come_back(server: Server, held: str) -> None:
    uploads = [
        begin_upload(server, MIB, path=held) for _ in range(TRANSFER_THREADS + UPLOADS_WAITING)
    ]
    uploads.append(begin_upload(server, MIB, path=held))
    (refused, *_), _, _ = select.select(uploads, [], [], SECONDS)
    status, headers = read_head(refused)
    assert (status, headers["retry-after"]) == (503, "5")
    for upload in uploads:
        upload.close()


def test_downloads_leave_uploads_their_threads(server: Server) -> None:
    readers = [ask(server, "/endless.csv") for _ in range(TRANSFER_THREADS + 5)]
    answer = requests.patch(f"{server.url}/api/uploads/1/", data=b"x" * MIB, timeout=SECONDS)
    assert answer.text == "stored"
    for reader in readers:
        reader.close()


@pytest.mark.parametrize(
    "kind",
    [
        "application/x-www-form-urlencoded; charset=zlib",
        "application/json; charset=utf-7",
        "text/plain; Charset='idna'",
        "multipart/form-data; boundary*=nothing''x",
    ],
)
def test_it_takes_text_in_no_strange_charset(server: Server, kind: str) -> None:
    headers = {"Content-Type": kind}
    assert (
        requests.post(f"{server.url}/body", b"x", headers=headers, timeout=SECONDS).status_code
        == 400
    )


@pytest.mark.parametrize(
    "kind", ["text/plain", 'text/plain; charset="UTF-8"', "a/b; boundary=x; charset=ISO-8859-1"]
)
def test_it_takes_text_in_usual_charsets(server: Server, kind: str) -> None:
    headers = {"Content-Type": kind}
    assert requests.post(f"{server.url}/body", b"x", headers=headers, timeout=SECONDS).text == "x"


@pytest.mark.parametrize(
    "path",
    [
        "/form",
        "/api/imports/7/",
        "/api/imports/7/repeat/",
        "/api/imports/7/approve/",
        "/api/imports/7/cancel/",
        "/api/uploads/",
        "/api/uploads/7/",
        "/api/stocksync/jobs/7/repeat/",
    ],
)
def test_it_takes_no_large_body_where_no_file_is_sent(server: Server, path: str) -> None:
    assert read_head(begin_upload(server, 3 * MIB, path=path, method="POST"))[0] == 413


def test_it_refuses_a_body_that_is_too_large_before_it_is_sent(server: Server) -> None:
    upload = begin_upload(server, 200 * MIB)
    status, headers = read_head(upload)
    assert status == 413
    error = json.loads(upload.recv(int(headers["content-length"])))["error"]
    assert error["code"] == "too_large"


def test_it_takes_a_small_body_in_chunks(server: Server) -> None:
    answer = requests.post(f"{server.url}/body", data=iter([b"one ", b"two"]), timeout=SECONDS)
    assert answer.text == "one two"


def test_it_asks_for_the_length_of_a_large_body_in_chunks(server: Server) -> None:
    chunks = iter([b"x" * 2**16] * 2)
    answer = requests.patch(f"{server.url}/api/uploads/1/", data=chunks, timeout=SECONDS)
    assert answer.status_code == 411


def test_it_lets_no_header_pass_for_another(server: Server) -> None:
    given = {"X_Forwarded_For": "1.2.3.4", "X-Real": "yes"}
    seen = requests.get(f"{server.url}/headers", headers=given, timeout=SECONDS).json()
    assert "HTTP_X_FORWARDED_FOR" not in seen
    assert seen["HTTP_X_REAL"] == "yes"


def test_a_broken_response_costs_no_thread(server: Server) -> None:
    for _ in range(PAGE_THREADS + 1):
        with pytest.raises(requests.RequestException):
            requests.get(f"{server.url}/broken", timeout=SECONDS)
    get_a_page(server)


def test_a_response_that_breaks_off_does_not_look_whole(server: Server) -> None:
    answer = requests.get(f"{server.url}/breaks-off.csv", stream=True, timeout=SECONDS)
    assert answer.status_code == 200
    lines = answer.iter_content(None)
    assert next(lines) == b"a line\r\n"
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        next(lines)
    get_a_page(server)


def test_it_stops_producing_for_a_client_who_left(server: Server) -> None:
    connection = server.connect()
    connection.sendall(b"GET /endless.csv HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert read_head(connection)[0] == 200
    until(lambda: received(server)["bytes"] > MIB // 4, "it is being produced")
    connection.close()
    until(lambda: received(server)["ended"], "it is ended")


def test_a_slow_reader_is_waited_for_and_holds_no_page(server: Server) -> None:
    readers = []
    for _ in range(TRANSFER_THREADS + 1):
        reader = server.connect()
        reader.sendall(b"GET /endless.csv HTTP/1.1\r\nHost: localhost\r\n\r\n")
        readers.append(reader)
    assert read_head(readers[0])[0] == 200
    before = server.worker.memory_info().rss
    get_a_page(server)
    for reader in readers:
        reader.close()
    assert server.worker.memory_info().rss - before < 16 * MIB


def ask(server: Server, path: str) -> socket.socket:
    """A client that asks and does not read."""
    connection = server.connect()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**12)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return connection


@pytest.mark.parametrize("path", ["/static/large", "/large", "/endless.csv"])
def test_who_does_not_read_is_disconnected_and_holds_no_page(server: Server, path: str) -> None:
    readers = [ask(server, path) for _ in range(PAGE_THREADS + 3)]
    get_a_page(server)
    for reader in readers:
        until(lambda reader=reader: not server.is_connected(reader), "it is disconnected")
        reader.close()
    assert "without completing" not in server.log()
    get_a_page(server)


@pytest.mark.parametrize("path", ["/static/large", "/large"])
def test_it_sends_all_of_a_large_response(server: Server, path: str) -> None:
    answer = requests.get(f"{server.url}{path}", timeout=SECONDS)
    assert len(answer.content) == FILE_BYTES
    assert requests.head(f"{server.url}{path}", timeout=SECONDS).status_code == 200


def test_a_thread_keeps_its_context(server: Server) -> None:
    """Django keeps caches, and with them their connections, in context variables."""
    answers = [
        requests.get(f"{server.url}/context", timeout=SECONDS).text.split() for _ in range(10)
    ]
    by_thread = {name: [int(n) for owner, n in answers if owner == name] for name, _ in answers}
    assert len(by_thread) <= PAGE_THREADS
    for counts in by_thread.values():
        assert counts == list(range(1, len(counts) + 1))


@pytest.mark.parametrize("given", ["abc-123", "0af7651916cd43dd8448eb211c80319c"])
def test_it_keeps_the_request_id_it_is_given(server: Server, given: str) -> None:
    answer = requests.get(f"{server.url}/page", headers={"X-Request-ID": given}, timeout=SECONDS)
    assert answer.headers["X-Request-ID"] == given
    until(lambda: f"[{given}] GET /page 200 6 B" in server.log(), "it is logged")


@pytest.mark.parametrize("given", ["", "with space", "x" * 101])
def test_it_gives_a_request_an_id(server: Server, given: str) -> None:
    answer = requests.get(f"{server.url}/page", headers={"X-Request-ID": given}, timeout=SECONDS)
    assert answer.headers["X-Request-ID"] not in ("", given)


def test_the_log_shows_the_path_as_it_was_sent(server: Server) -> None:
    requests.get(f"{server.url}/a%0AINFO%20forged", timeout=SECONDS)
    until(lambda: "GET /a%0AINFO%20forged 200" in server.log(), "it is logged")


def test_it_takes_bytes_beyond_ascii_in_an_address(server: Server) -> None:
    for target in (b"/page?q=\xe9\xff", b"/p\xe9"):
        connection = server.connect()
        connection.sendall(b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert read_head(connection)[0] in (200, 400)


def test_it_closes_the_connection_of_an_old_client(server: Server) -> None:
    """HTTP/1.0 with keep-alive, as ab sends it: the client is not left to wait."""
    connection = server.connect()
    connection.sendall(b"GET /page HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
    status, headers = read_head(connection)
    assert (status, headers["connection"]) == (200, "close")
    assert connection.recv(100) == b"a page"
    assert connection.recv(100) == b""


def test_it_has_no_websockets(server: Server) -> None:
    connection = server.connect()
    connection.sendall(
        b"GET /page HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    assert read_head(connection)[0] in (200, 400, 403)


def test_it_stops_in_the_middle_of_an_upload() -> None:
    with Server("tests.web.raw_app:application") as server:
        connection = begin_upload(server, 50 * MIB)
        connection.sendall(b"x" * MIB)
        until(lambda: received(server)["bytes"] == MIB, "it is read")
        os.kill(server.process.pid, signal.SIGTERM)

        status, headers = read_head(connection)
        assert (status, headers["connection"]) == (200, "close")
        assert server.exit_code() == 0

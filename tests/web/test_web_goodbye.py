"""What becomes of connections when their web process ends, on the real server."""

import signal

from .servers import Server, read_head

GET = b"GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n"
# A slow machine may be later than the grace is long; without it no try could ever succeed.
TRIES = 10


def test_a_connection_without_a_request_is_served_once_more() -> None:
    arguments = ("-k", "config.web_worker.WebWorker", "--keep-alive", "60")
    with Server("tests.web.raw_app:application", arguments=arguments) as server:
        assert any(answered_after_a_reload(server) for _ in range(TRIES)), server.log()


def answered_after_a_reload(server: Server) -> bool:
    """Whether a request is answered that comes after its process has begun to end."""
    with server.connect() as unused, server.connect() as used:
        used.sendall(GET)
        assert read_head(used)[0] == 200  # `unused` came before it: it is accepted too
        assert used.recv(6) == b"a page"
        server.process.send_signal(signal.SIGHUP)
        assert used.recv(1) == b""  # the process ends
        try:
            unused.sendall(GET)
            status, headers = read_head(unused)
        except (AssertionError, ConnectionError):
            return False
        assert status == 200
        assert headers["connection"] == "close"
        return True

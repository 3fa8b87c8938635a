"""Live streams through the real web process."""

import os
import signal
import socket
import threading
from contextlib import ExitStack

import pytest
import requests

from config import live

from .conftest import Site
from .event_streams import Stream, event
from .servers import Server, until

WEB_THREADS = 8
VIEWERS = 200
LARGE = {"rows": "x" * 2**17}  # more than a server holds for a viewer


def get_pages(server: Server, site: Site) -> None:
    """Give the threads for pages something to do, all at once."""

    def get() -> None:
        for _ in range(10):
            headers = {"Cookie": site.cookie}
            assert requests.get(f"{server.url}/account/", headers=headers, timeout=60).ok

    threads = [threading.Thread(target=get) for _ in range(2 * WEB_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_200_viewers_cost_no_connection_and_no_thread(web_server: Server, site: Site) -> None:
    until(
        lambda: get_pages(web_server, site) or site.connections() == WEB_THREADS,
        "each thread for pages has its connection, and ended servers have none",
    )
    connections, threads = WEB_THREADS, web_server.worker.num_threads()

    with ExitStack() as stack:
        streams = [stack.enter_context(Stream(web_server, site.cookie)) for _ in range(VIEWERS)]
        for stream in streams:
            stream.wait_for("stream-open")
        assert site.connections() == connections
        assert web_server.worker.num_threads() == threads
        get_pages(web_server, site)

        live.publish("import-7", {"rows": 200})
        for stream in streams:
            stream.wait_for(event('{"rows": 200}'))
        assert site.connections() == connections
        assert web_server.worker.num_threads() == threads


def test_a_stream_is_not_held_back_and_kept_alive(web_server: Server, site: Site) -> None:
    with Stream(web_server, site.cookie) as stream:
        stream.wait_for("stream-open")
        head = stream.text.lower()
        assert "content-type: text/event-stream" in head
        assert "x-accel-buffering: no" in head
        assert "cache-control: no-cache, no-transform" in head
        assert "retry: 2000\n" in head
        stream.forget()
        stream.wait_for("event: keep-alive")


def test_a_stream_carries_its_own_channel_alone(web_server: Server, site: Site) -> None:
    with Stream(web_server, site.cookie) as stream, Stream(web_server, site.cookie, "imports") as _:
        stream.wait_for("stream-open")
        live.publish("imports", {"other": 1})
        live.publish("import-77", {"other": 2})
        live.publish("import-7", {"own": 'ü "\n'}, event="note")
        stream.wait_for('event: note\ndata: {"own": "\\u00fc \\"\\n"}\n\n')
        assert "other" not in stream.text


@pytest.mark.parametrize(
    ("channel", "cookie", "status"),
    [("import-7", "", 401), ("nothing", None, 404), ("import-7%0d%0ax", None, 404)],
)
def test_a_stream_is_refused(
    web_server: Server, site: Site, channel: str, cookie: str | None, status: int
) -> None:
    url = f"{web_server.url}/events/{channel}/"
    headers = {"Cookie": site.cookie if cookie is None else cookie}
    answer = requests.get(url, headers=headers, allow_redirects=False, timeout=60)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def test_viewers_who_leave_are_forgotten(web_server: Server, site: Site) -> None:
    before = web_server.worker.num_fds()
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(Stream(web_server, site.cookie)).wait_for("stream-open")
        assert web_server.worker.num_fds() >= before + 20
    until(lambda: web_server.worker.num_fds() <= before, "their sockets are closed")


def test_a_viewer_who_does_not_read_is_disconnected(site: Site) -> None:
    environment = {**site.environment, "DOWNLOAD_IDLE_SECONDS": "1"}
    with (
        Server(environment=environment) as server,
        Stream(server, site.cookie, "imports") as reader,
        Stream(server, site.cookie) as silent,
    ):
        silent.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**12)
        reader.wait_for("stream-open")
        until(lambda: server.is_connected(silent.connection), "both are connected")

        def is_over() -> bool:
            live.publish("import-7", LARGE)
            return not server.is_connected(silent.connection)

        until(is_over, "who does not read is disconnected")
        live.publish("imports", {"rows": 1})
        reader.wait_for(event('{"rows": 1}'))
        assert "Traceback" not in server.log()
        assert "without completing" not in server.log()


def test_streams_end_with_the_process(site: Site) -> None:
    with Server(environment=site.environment) as server, ExitStack() as stack:
        streams = [stack.enter_context(Stream(server, site.cookie)) for _ in range(50)]
        for stream in streams:
            stream.wait_for("stream-open")
        os.kill(server.process.pid, signal.SIGTERM)

        # Less than the graceful time-out of 120 s, and not by cutting connections.
        assert server.exit_code() == 0
        for stream in streams:
            assert stream.read().endswith("\r\n0\r\n\r\n")
        assert "Traceback" not in server.log()


def test_streams_end_from_time_to_time(site: Site) -> None:
    """So that somebody who was locked out does not go on to watch."""
    environment = {**site.environment, "LIVE_STREAM_SECONDS": "1", "LIVE_KEEP_ALIVE_SECONDS": "0.2"}
    with Server(environment=environment) as server, Stream(server, site.cookie) as stream:
        stream.wait_for("\r\n0\r\n\r\n")

"""Attempts against a real receiver that answers well, badly or not at all."""

import asyncio
import contextlib
import datetime
import json
import logging
import socket
import threading
from collections.abc import Iterator
from ipaddress import ip_network

import psutil
import pytest
import trustme

from tests.services.waiting import finished
from tests.webhooks import receiver as answers
from tests.webhooks.names import known_names
from tests.webhooks.receiver import Exchange, Receiver, status
from webhooks.engine import connection, sender
from webhooks.engine.addresses import Policy, check_at_save
from webhooks.engine.sender import Answer, Request, Sender

LOCAL = Policy(allow_http=True, ports=frozenset(), networks=(ip_network("127.0.0.0/8"),))
PUBLIC = Policy(allow_http=True, ports=frozenset())
KEPT = 100  # bytes of an answer


@pytest.fixture
def names(monkeypatch):
    return known_names(monkeypatch)


def send(
    url: str, policy: Policy = LOCAL, *, seconds: float = 60, headers: dict[str, str] | None = None
) -> Answer:
    async def attempt() -> Answer:
        async with Sender(policy, timeout_seconds=seconds, response_bytes=KEPT) as to:
            return await to.send(Request(url, headers or {}, b'{"a":1}'))

    return finished(attempt())


def test_the_receiver_gets_the_request_as_given():
    given = {"Webhook-Id": "evt_1", "X-Name": "Zoë", "Host": "evil", "Content-Length": "0"}
    with Receiver(status(200, "fine", {"X-Seen": "yes"})) as receiver:
        answer = send(receiver.address("/a%20b?c=%2F&d"), headers=given)
        (request,) = receiver.requests
    assert (request.method, request.path) == ("POST", "/a%20b?c=%2F&d")
    assert request.body == b'{"a":1}'
    assert request.headers == {
        "host": f"127.0.0.1:{receiver.port}",
        "accept": "*/*",
        "accept-encoding": "identity",
        "connection": "close",
        "content-length": "7",
        "webhook-id": "evt_1",
        "x-name": "Zoë",
    }
    assert (answer.status_code, answer.error, answer.body) == (200, "", "fine")
    assert answer.headers == {"content-length": "4", "x-seen": "yes"}
    assert (answer.truncated, answer.address) == (False, "127.0.0.1")
    assert 0 <= answer.duration_ms < 60_000


@pytest.mark.parametrize("code", [200, 201, 204, 304, 400, 404, 410, 500, 503, 599, 999])
def test_any_status_is_an_answer(code: int):
    with Receiver(status(code)) as receiver:
        answer = send(receiver.url)
    assert (answer.status_code, answer.error) == (code, "")


def test_retry_after_is_among_the_headers():
    with Receiver(status(429, headers={"Retry-After": "120"})) as receiver:
        assert send(receiver.url).headers["retry-after"] == "120"


def test_hints_before_the_answer_are_passed_over():
    early = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"
    with Receiver(answers.close_early(early)) as receiver:
        assert send(receiver.url).status_code == 204


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(code: int):
    with Receiver() as private:
        with Receiver(status(code, headers={"location": private.url})) as receiver:
            answer = send(receiver.url)
        assert (answer.status_code, answer.error) == (code, "")
        assert answer.headers["location"] == private.url
        assert (len(receiver.requests), private.connections) == (1, 0)


def test_each_attempt_has_its_own_connection():
    async def thrice(url: str) -> None:
        async with Sender(LOCAL, timeout_seconds=60, response_bytes=KEPT) as to:
            for _ in range(3):
                assert (await to.send(Request(url, {}, b""))).status_code == 200

    with Receiver() as receiver:
        finished(thrice(receiver.url))
        assert receiver.connections == 3


def test_proxies_of_the_environment_are_not_used(monkeypatch):
    with Receiver() as proxy, Receiver() as receiver:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert send(receiver.url).status_code == 200
        assert proxy.connections == 0


# What is kept of an answer


def test_the_start_of_a_long_body_is_kept():
    with Receiver(status(200, "ab" * 1000)) as receiver:
        answer = send(receiver.url)
    assert (answer.body, answer.truncated) == ("ab" * 50, True)


def test_a_body_of_just_the_length_is_whole():
    with Receiver(status(200, "a" * KEPT)) as receiver:
        answer = send(receiver.url)
    assert (answer.body, answer.truncated) == ("a" * KEPT, False)


def test_an_endless_body_is_left():
    with Receiver(answers.huge()) as receiver:
        answer = send(receiver.url)
    assert (answer.status_code, answer.body, answer.truncated) == (200, "x" * KEPT, True)


@pytest.mark.parametrize(
    "sent, kept",
    [
        (b"a\0b", "a\ufffdb"),
        (b"\xff\xfea", "\ufffd\ufffda"),
        ("é".encode("latin-1"), "\ufffd"),
        ("Zoë 🛒".encode(), "Zoë 🛒"),
        (b"a" * (KEPT - 1) + "ë and more".encode(), "a" * (KEPT - 1)),  # cut within ë
    ],
)
def test_any_bytes_become_text_that_the_database_keeps(sent: bytes, kept: str):
    with Receiver(status(200, sent)) as receiver:
        assert send(receiver.url).body == kept


def test_headers_are_bounded():
    many = {f"x-{number}": "v" for number in range(100)}
    with Receiver(status(200, headers={"x-long": "é" * 5000, **many})) as receiver:
        answer = send(receiver.url)
    assert len(answer.headers) == 50
    assert answer.headers["x-long"] == "é" * 500
    assert "\0" not in json.dumps(answer.headers)


def test_a_header_that_comes_twice_is_joined():
    twice = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\ncontent-length: 0\r\n\r\n"
    with Receiver(answers.close_early(twice)) as receiver:
        assert send(receiver.url).headers["x-a"] == "1, 2"


@pytest.mark.parametrize(
    "answer",
    [
        answers.hang_in_body(200, b"the start"),
        answers.reset(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nthe start"),
        answers.close_early(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nthe start"),
        answers.close_early(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nthe start\r\nnot a size"
        ),
    ],
    ids=["hangs", "reset", "closed", "malformed"],
)
def test_a_status_stands_whatever_happens_to_the_body(answer: answers.Answer, monkeypatch):
    monkeypatch.setattr(sender, "BODY_SECONDS", 0.3)
    with Receiver(answer) as receiver:
        found = send(receiver.url)
    assert (found.status_code, found.error, found.truncated) == (200, "", True)
    assert found.body in ("the start", "")  # a RST may overtake what was sent before it


def test_a_dripping_body_has_the_rest_of_the_time_at_most(monkeypatch):
    monkeypatch.setattr(sender, "BODY_SECONDS", 3600)
    with Receiver(answers.drip(0.01)) as receiver:
        found = send(receiver.url, seconds=3)
    assert (found.status_code, found.truncated) == (200, True)


# No status


@pytest.mark.parametrize(
    "answer, error",
    [
        (answers.reset(), "Connection reset."),
        (answers.close_early(), "Connection closed without an answer."),
        (answers.close_early(b"HTTP/1.1 200 O"), "Connection closed without an answer."),
        (answers.garbage(), "The answer is not HTTP: illegal status line."),
        (answers.garbage(b"\x00\xff\x16\x03\r\n\r\n"), "The answer is not HTTP"),
        (answers.close_early(b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n"), "The answer is not HTTP"),
        (status(200, headers={"x": "a" * 200_000}), "The answer is not HTTP: Receive buffer"),
        (status(200, headers={"content-length": "many"}), "The answer is not HTTP"),
    ],
)
def test_a_bad_answer_is_told_in_words(answer: answers.Answer, error: str):
    with Receiver(answer) as receiver:
        found = send(receiver.url)
    assert (found.status_code, found.address) == (None, "127.0.0.1")
    assert found.error.startswith(error)


@pytest.mark.parametrize(
    "answer",
    [answers.hang(), answers.slow(30), answers.drip(0.01, in_head=True)],
    ids=["hangs", "slow", "drips"],
)
def test_an_answer_that_takes_too_long_is_not_waited_for(answer: answers.Answer):
    with Receiver(answer) as receiver:
        found = send(receiver.url, seconds=1.5)  # a connection is made in it
    assert (found.status_code, found.error) == (None, "No answer within 1.5 s.")
    assert found.duration_ms >= 1500


def test_a_slow_answer_in_time_is_an_answer():
    with Receiver(answers.slow(0.1)) as receiver:
        found = send(receiver.url)
    assert found.status_code == 200
    assert found.duration_ms >= 100


def test_nobody_listens():
    with Receiver() as receiver:
        pass
    found = send(receiver.url)
    assert (found.error, found.address) == ("Connection refused.", "127.0.0.1")


@contextlib.contextmanager
def never_accepting(ip: str, port: int = 0) -> Iterator[int]:
    """A port whose queue is full: the kernel lets further SYNs wait, so no connection is made."""
    with contextlib.ExitStack() as sockets:
        server = sockets.enter_context(socket.create_server((ip, port), backlog=0))
        taken: int = server.getsockname()[1]
        for _ in range(4):
            filler = sockets.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex((ip, taken))
        yield taken


def test_a_connection_that_is_not_made_is_not_waited_for():
    with never_accepting("127.0.0.1") as port:
        found = send(f"http://127.0.0.1:{port}/", seconds=0.4)
    assert found.error == "No connection within 0.4 s."


def test_the_next_address_is_tried_where_one_refuses(names):
    with Receiver() as receiver:
        names["hooks.example"] = ["127.0.0.2", "127.0.0.1"]
        found = send(f"http://hooks.example:{receiver.port}/")
        assert (found.status_code, found.address) == (200, "127.0.0.1")
        (request,) = receiver.requests
        assert request.headers["host"] == f"hooks.example:{receiver.port}"


def test_the_next_address_is_tried_where_one_is_silent(names, monkeypatch):
    monkeypatch.setattr(connection, "NEXT_ADDRESS_SECONDS", 0.3)
    names["hooks.example"] = ["127.0.0.2", "127.0.0.1"]
    with Receiver() as receiver, never_accepting("127.0.0.2", receiver.port):
        found = send(f"http://hooks.example:{receiver.port}/")
    assert (found.status_code, found.address) == (200, "127.0.0.1")


def test_the_last_address_tells_what_happened(names):
    names["hooks.example"] = ["127.0.0.2", "127.0.0.1"]
    with Receiver() as receiver:
        pass
    found = send(f"http://hooks.example:{receiver.port}/")
    assert (found.error, found.address) == ("Connection refused.", "127.0.0.1")


def test_a_name_that_does_not_resolve(names):
    names["hooks.example"] = []
    found = send("http://hooks.example/")
    assert found.error == "hooks.example does not resolve: Name or service not known."
    assert found.address == ""


def test_a_name_server_that_hangs_is_not_waited_for(monkeypatch):
    answered = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [answered.wait(30)][1:])
    try:
        found = send("http://hooks.example/", seconds=0.4)
    finally:
        answered.set()
    assert found.error == "The name did not resolve within 0.4 s."


def test_a_mistake_of_ours_is_an_answer_and_a_traceback(caplog):
    with Receiver() as receiver:
        found = send(receiver.url, headers={"webhook-id": "evt_7", "x-name": "日本"})
    assert found.error == "Stockroom itself failed: UnicodeEncodeError."
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "evt_7" in record.message
    assert record.exc_info is not None


def test_a_header_that_http_does_not_allow_is_not_sent():
    with Receiver() as receiver:
        found = send(receiver.url, headers={"x-name": "a\r\nx-injected: b"})
        assert found.error.startswith("The request can't be sent")
        assert receiver.requests == []


def test_cancelling_is_passed_on():
    async def cancelled(url: str) -> None:
        async with Sender(LOCAL, timeout_seconds=60, response_bytes=KEPT) as to:
            attempt = asyncio.create_task(to.send(Request(url, {}, b"")))
            await asyncio.to_thread(receiver.wait, 1)
            attempt.cancel()
            with pytest.raises(asyncio.CancelledError):
                await attempt

    with Receiver(answers.hang()) as receiver:
        finished(cancelled(receiver.url))


# The guard


@pytest.mark.parametrize(
    "host", ["localhost", "localhost.", "127.0.0.1", "[::ffff:127.0.0.1]", "127.1", "2130706433"]
)
def test_no_connection_is_made_to_a_refused_address(host: str):
    with Receiver() as receiver:
        found = send(f"http://{host}:{receiver.port}/", PUBLIC)
        assert receiver.connections == 0
    assert (found.status_code, found.address) == (None, "")
    assert "not a public address" in found.error or "not an IPv4 address" in found.error


def test_a_name_that_changes_after_its_check_leads_nowhere(names):
    names["rebinds.example"] = ["8.8.8.8"]
    with Receiver() as receiver:
        url = f"http://rebinds.example:{receiver.port}/"
        check_at_save(url, PUBLIC)
        names["rebinds.example"] = ["127.0.0.1"]
        found = send(url, PUBLIC)
        assert (receiver.requests, receiver.connections) == ([], 0)
    assert found.error == "rebinds.example: 127.0.0.1 is not a public address (loopback)."


def test_a_name_is_looked_up_once_for_check_and_connection(monkeypatch):
    """A name server can't give a good address to the check and a bad one to the connection."""
    asked = []
    real = socket.getaddrinfo

    def getaddrinfo(host, *args, **kwargs):
        if host != "rebinds.example":
            return real(host, *args, **kwargs)
        asked.append(host)
        return real("127.0.0.1" if len(asked) == 1 else "127.0.0.9", *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with Receiver() as receiver:
        found = send(f"http://rebinds.example:{receiver.port}/")
    assert (found.status_code, found.address, len(asked)) == (200, "127.0.0.1", 1)


def test_one_bad_address_among_good_ones_is_enough_to_refuse(names):
    names["two.example"] = ["127.0.0.1", "10.0.0.1"]
    with Receiver() as receiver:
        found = send(f"http://two.example:{receiver.port}/")
        assert receiver.connections == 0
    assert found.error == "two.example: 10.0.0.1 is not a public address (private network)."


@pytest.mark.parametrize(
    "url, error",
    [
        ("https://user:pw@127.0.0.1:{port}/", "user name or password"),
        ("http://127.0.0.1:{port}/", "must begin with https://"),
        ("https://127.0.0.1:{port}/", "is not permitted"),
    ],
)
def test_the_url_is_checked_again_before_each_attempt(url: str, error: str):
    strict = Policy(networks=LOCAL.networks)
    with Receiver() as receiver:
        found = send(url.format(port=receiver.port), strict)
        assert receiver.connections == 0
    assert error in found.error


# TLS


@pytest.fixture
def authority(monkeypatch, tmp_path, names):
    """An authority that is trusted, and a name for its certificates that leads to this machine."""
    names["hooks.example"] = ["127.0.0.1"]
    trusted = trustme.CA()
    trusted.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return trusted


def test_a_good_certificate_is_accepted(authority):
    with Receiver(tls=authority.issue_cert("hooks.example"), host="hooks.example") as receiver:
        found = send(receiver.address("/hook"))
        (request,) = receiver.requests
    assert (found.status_code, found.error, found.address) == (200, "", "127.0.0.1")
    assert request.headers["host"] == f"hooks.example:{receiver.port}"


def test_a_final_dot_does_not_disturb_the_certificate(authority):
    with Receiver(tls=authority.issue_cert("hooks.example"), host="hooks.example.") as receiver:
        assert send(receiver.url).status_code == 200


def test_a_certificate_for_an_address_is_accepted(authority):
    with Receiver(tls=authority.issue_cert("127.0.0.1")) as receiver:
        assert send(receiver.url).status_code == 200


def test_bad_certificates_are_refused(authority):
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    bad = {
        "unable to get local issuer certificate": trustme.CA().issue_cert("hooks.example"),
        "Hostname mismatch": authority.issue_cert("other.example"),
        "IP address mismatch": authority.issue_cert("127.0.0.2"),
        "certificate has expired": authority.issue_cert("hooks.example", not_after=past),
    }
    for reason, certificate in bad.items():
        host = "127.0.0.1" if reason.startswith("IP") else "hooks.example"
        with Receiver(tls=certificate, host=host) as receiver:
            found = send(receiver.url)
            assert receiver.requests == []
        assert found.status_code is None
        assert found.error.startswith(f"The certificate is not accepted: {reason}"), found.error
        assert found.error.endswith(".") and not found.error.endswith("..")


@contextlib.contextmanager
def replying(reply: bytes) -> Iterator[str]:
    """The https URL of a server that says `reply` to whatever comes, and closes."""

    def serve() -> None:
        accepted, _ = server.accept()
        with accepted:
            accepted.recv(65536)
            accepted.sendall(reply)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"https://127.0.0.1:{server.getsockname()[1]}/"
        thread.join()


@pytest.mark.parametrize(
    "reply, error",
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "TLS failed: wrong version number."),
        (b"\x15\x03\x03\x00\x02\x02\x28", "TLS failed: "),  # the alert handshake_failure
        (b"", "Connection closed during the TLS handshake."),
    ],
)
def test_no_tls_where_it_should_be(reply: bytes, error: str):
    with replying(reply) as url:
        assert send(url).error.startswith(error)


def test_handshakes_that_hang_leave_no_sockets():
    """httpcore does not close the socket of a handshake that is cancelled."""
    own = psutil.Process()

    async def attempts(url: str) -> None:
        async with Sender(LOCAL, timeout_seconds=1.5, response_bytes=KEPT) as to:
            before = own.num_fds()
            found = await asyncio.gather(*(to.send(Request(url, {}, b"")) for _ in range(10)))
            assert "No TLS handshake within 1.5 s." in {answer.error for answer in found}
            await asyncio.sleep(0)  # transports close their sockets in the loop's next round
            assert own.num_fds() <= before

    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent:
        finished(attempts(f"https://127.0.0.1:{silent.getsockname()[1]}/"))


# Many at once


def test_a_quick_endpoint_is_answered_beside_two_hundred_that_hang():
    async def all_at_once(hanging: Receiver, quick: Receiver) -> None:
        async with Sender(LOCAL, timeout_seconds=60, response_bytes=KEPT) as to:
            stuck = [
                asyncio.create_task(to.send(Request(hanging.url, {}, b""))) for _ in range(200)
            ]
            await asyncio.to_thread(hanging.wait, 200)
            answer = await to.send(Request(quick.url, {}, b""))
            assert answer.status_code == 200
            assert not any(task.done() for task in stuck)
            for task in stuck:
                task.cancel()
            await asyncio.gather(*stuck, return_exceptions=True)

    with Receiver(answers.hang()) as hanging, Receiver() as quick:
        finished(all_at_once(hanging, quick))
        assert hanging.most_at_once == 200


@pytest.mark.parametrize("code", [100, 103])
def test_an_endless_row_of_interim_answers_is_given_up(code: int):
    interim = f"HTTP/1.1 {code} Wait\r\nx-more: {'x' * 1000}\r\n\r\n".encode()

    async def flood(exchange: Exchange) -> None:
        while True:
            await exchange.send(interim * 20)

    with Receiver(flood) as receiver:
        answer = send(receiver.url)
    assert answer.status_code is None
    assert answer.error == "The head of the answer is longer than 256 KB."


def test_a_long_body_after_an_interim_answer_is_an_answer():
    async def early_hint(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n")
        await answers.huge(600_000)(exchange)

    with Receiver(early_hint) as receiver:
        answer = send(receiver.url)
    assert (answer.status_code, answer.truncated) == (200, True)

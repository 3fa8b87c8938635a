"""The receiver of the webhook tests must itself be worth trusting."""

import socket
import ssl
import threading
from http.client import HTTPConnection, HTTPException, HTTPSConnection

import pytest
import trustme

from tests.webhooks import receiver as answers
from tests.webhooks.receiver import Receiver, status


def post(receiver: Receiver, path: str = "/", body: bytes = b"hello") -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", receiver.port, timeout=60)
    try:
        connection.request("POST", path, body, {"X-Name": "Ana"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_it_keeps_what_came():
    with Receiver() as receiver:
        assert post(receiver, "/hook?a=1") == (200, b"")
        (request,) = receiver.wait(1)
    assert (request.method, request.path, request.body) == ("POST", "/hook?a=1", b"hello")
    assert request.headers["x-name"] == "Ana"


def test_answers_come_in_order_and_the_last_repeats():
    with Receiver([status(500), status(200, "fine")]) as receiver:
        assert [post(receiver) for _ in range(3)] == [(500, b""), (200, b"fine"), (200, b"fine")]


def test_answers_by_path_can_be_switched():
    with Receiver({"/a": status(201), "/b": [status(500), status(202)]}) as receiver:
        assert [post(receiver, path)[0] for path in ("/a", "/b?x", "/b", "/c")] == [
            *(201, 500, 202, 404)
        ]
        receiver.answer = answers.chosen(lambda request: status(200, request.path))
        assert post(receiver, "/c") == (200, b"/c")


def test_several_requests_come_on_one_connection():
    with Receiver() as receiver:
        connection = HTTPConnection("127.0.0.1", receiver.port, timeout=60)
        for _ in range(3):
            connection.request("POST", "/", b"x")
            assert connection.getresponse().read() == b""
        connection.close()
        assert (len(receiver.requests), receiver.connections) == (3, 1)


@pytest.mark.parametrize(
    "answer, error",
    [
        (answers.reset(), ConnectionResetError),
        (answers.close_early(), HTTPException),
        (answers.garbage(), HTTPException),
        (answers.hang(), TimeoutError),
        (answers.hang_in_body(), TimeoutError),
        (answers.drip(60, in_head=True), TimeoutError),
    ],
)
def test_it_can_misbehave(answer: answers.Answer, error: type[Exception]):
    with Receiver(answer) as receiver:
        connection = HTTPConnection("127.0.0.1", receiver.port, timeout=60)
        connection.request("POST", "/", b"x")
        receiver.wait(1)
        assert connection.sock is not None
        connection.sock.settimeout(0.3 if error is TimeoutError else 60)
        with pytest.raises(error):
            connection.getresponse().read()
        connection.close()


def test_a_huge_body_has_its_size():
    with Receiver(answers.huge(200_001)) as receiver:
        assert post(receiver) == (200, b"x" * 200_001)


def test_a_slow_answer_comes():
    with Receiver(answers.slow(0.05, status(503))) as receiver:
        assert post(receiver)[0] == 503


def test_it_says_what_came_when_too_little_came():
    with Receiver() as receiver:
        post(receiver, "/only-one")
        with pytest.raises(AssertionError, match=r"1 of 2 requests within 0.05 s: .*only-one"):
            receiver.wait(2, seconds=0.05)


def test_a_mistake_in_an_answer_shows():
    with Receiver(answers.chosen(lambda request: {}[request.path])) as receiver:
        code, body = post(receiver, "/lost")
    assert (code, b"KeyError: '/lost'" in body) == (500, True)


def test_it_speaks_tls_for_a_name():
    authority = trustme.CA()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with Receiver(tls=authority.issue_cert("localhost"), host="localhost") as receiver:
        assert receiver.url == f"https://localhost:{receiver.port}/"
        connection = HTTPSConnection("localhost", receiver.port, timeout=60, context=context)
        connection.request("POST", "/", b"x")
        assert connection.getresponse().status == 200
        connection.close()


def test_hundreds_hang_at_once_and_none_is_left_behind():
    threads = set(threading.enumerate())
    with Receiver(answers.hang()) as receiver:
        sockets = [socket.create_connection(("127.0.0.1", receiver.port)) for _ in range(300)]
        for each in sockets:
            each.sendall(b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n")
        receiver.wait(300)
        assert receiver.most_at_once == 300
    assert all(each.recv(1) == b"" for each in sockets)
    for each in sockets:
        each.close()
    assert set(threading.enumerate()) <= threads


def test_it_comes_back_on_its_port():
    with Receiver() as receiver:
        port = receiver.port
        post(receiver)
    with pytest.raises(ConnectionRefusedError):
        post(receiver)
    with Receiver(port=port) as again:
        assert post(again)[0] == 200

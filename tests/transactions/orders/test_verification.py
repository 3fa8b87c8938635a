"""What comes of a verification: simulated, or asked of a real service, good, bad or silent."""

import asyncio
import json
import logging
import socket
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from tests.services.waiting import finished
from tests.transactions.orders.verifier import REFUSAL, VERIFIED, VerifierService, says
from tests.webhooks.names import known_names
from tests.webhooks.receiver import Exchange, Receiver, close_early, status
from transactions.models import Reason
from transactions.orders.verification import (
    AskedVerifier,
    Outcome,
    Simulation,
    Verifier,
    outcome_of,
)
from transactions.orders.verification_connection import Answer

TOKEN = "s3cret-of-the-operator"
NOT_HTTP = "The verifier's answer is not HTTP."
NOT_JSON = "The verifier's answer is not JSON."
NOT_UNDERSTOOD = 'The verifier\'s answer is not {"verified": true or false}.'


def asked(url: str, user: str = "user1", *, token: str = TOKEN, seconds: float = 10) -> Outcome:
    """What comes of one question."""

    async def ask() -> Outcome:
        async with AskedVerifier(url, token, seconds) as verifier:
            return await verifier.verify(user, uuid4())

    return finished(ask())


def failure(detail: str) -> Outcome:
    return Outcome(False, Reason.VERIFICATION_FAILED.value, detail)


# The question


def test_the_service_is_asked_as_the_docs_say() -> None:
    order_id = uuid4()

    async def ask(url: str) -> Outcome:
        async with AskedVerifier(url, TOKEN, 10) as verifier:
            return await verifier.verify("user7", order_id)

    with VerifierService() as service:
        assert finished(ask(service.address("/check%20it?of=stockroom"))) == Outcome(True)
        (request,) = service.requests
    assert (request.method, request.path) == ("POST", "/check%20it?of=stockroom")
    assert json.loads(request.body) == {"user": "user7", "order_id": str(order_id)}
    assert request.headers == {
        "host": f"127.0.0.1:{service.port}",
        "content-type": "application/json",
        "accept": "application/json",
        "accept-encoding": "identity",
        "authorization": f"Bearer {TOKEN}",
        "content-length": str(len(request.body)),
    }


def test_no_token_is_sent_where_there_is_none() -> None:
    with VerifierService() as service:
        assert asked(service.url, token="").verified
        assert "authorization" not in service.requests[0].headers


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as proxy, VerifierService() as service:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert asked(service.url).verified
        assert proxy.connections == 0


# The answer


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        ("verified", Outcome(True)),
        ("refused", Outcome(False, "verification_refused", REFUSAL)),
        ("500", failure("The verifier answered with status 500.")),
        ("403", failure("The verifier answered with status 403.")),
        ("text", failure(NOT_JSON)),
        ("garbage", failure(NOT_HTTP)),
        ("huge", failure("The verifier's answer is longer than 64 KB.")),
        ("closes", failure("The verifier closed the connection without an answer.")),
        ("breaks", failure("The verifier closed the connection within its answer.")),
        ("resets", failure("The connection to the verifier broke.")),
        ("redirects", failure("The verifier answered with status 307.")),
    ],
)
def test_each_answer_has_its_outcome(kind: str, outcome: Outcome) -> None:
    with VerifierService() as service:
        assert asked(service.url, f"user1-{kind}") == outcome
        assert len(service.requests) == 1


@pytest.mark.parametrize("kind", ["hangs", "halfway", "drips", "headless"])
def test_a_service_that_takes_too_long_has_stalled(kind: str) -> None:
    with VerifierService() as service:
        outcome = asked(service.url, f"user1-{kind}", seconds=1.5)
        service.wait(1)
    assert outcome == Outcome(False, "verification_stalled", "No answer within 1.5 s.")


def test_a_service_that_takes_no_connection_has_stalled() -> None:
    with socket.socket() as deaf, socket.socket() as first:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        first.connect(deaf.getsockname())  # all that the system takes for it
        outcome = asked(f"http://127.0.0.1:{deaf.getsockname()[1]}/", seconds=0.5)
    assert outcome.reason == Reason.VERIFICATION_STALLED


YES = b'{"verified": true}'
HINT = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "outcome"),
    [
        (CHUNKED + b"9\r\n" + YES[:9] + b"\r\n9\r\n" + YES[9:] + b"\r\n0\r\n\r\n", Outcome(True)),
        (
            CHUNKED + b"9\r\n" + YES[:9],
            failure("The verifier closed the connection within its answer."),
        ),
        (b"HTTP/1.1 200 OK\r\n\r\n" + YES, Outcome(True)),  # ends with the connection
        (b"HTTP/1.0 200 OK\r\n\r\n" + YES, Outcome(True)),
        (HINT + HINT + b"HTTP/1.1 200 OK\r\ncontent-length: 18\r\n\r\n" + YES, Outcome(True)),
        (HINT, failure("The verifier closed the connection without an answer.")),
        (HINT * 5_000, failure(NOT_HTTP)),
        (b"HTTP/1.1 200 OK\r\nx: " + b"a" * 70_000, failure(NOT_HTTP)),
        (b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n" + YES, failure(NOT_HTTP)),
        (b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", failure(NOT_HTTP)),
        (b"HTTP/1.1 200 OK\r\n\r\n" + YES + b" " * (65_536 - 18), Outcome(True)),
        (
            b"HTTP/1.1 200 OK\r\n\r\n" + YES + b" " * (65_537 - 18),
            failure("The verifier's answer is longer than 64 KB."),
        ),
    ],
)
def test_http_in_all_its_forms(sent: bytes, outcome: Outcome) -> None:
    with VerifierService({"user1": close_early(sent)}) as service:
        assert asked(service.url) == outcome


def test_a_status_decides_without_its_body() -> None:
    """Which never ends here: it is no stalled verification."""

    async def endless(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 503 Busy\r\ncontent-length: 5\r\n\r\n")
        await exchange.until_closed()

    with VerifierService({"user1": endless}) as service:
        assert asked(service.url) == failure("The verifier answered with status 503.")


def test_nobody_there(unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}/"
    assert asked(url) == failure("The verifier refused the connection.")


def test_a_name_without_address(monkeypatch: pytest.MonkeyPatch) -> None:
    known_names(monkeypatch)["verifier.internal"] = []
    outcome = asked("http://verifier.internal/")
    assert outcome == failure("The verifier's name does not resolve.")


def test_the_next_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    known_names(monkeypatch)["verifier.internal"] = ["127.0.0.2", "127.0.0.1"]
    with VerifierService(host="verifier.internal") as service:
        assert asked(service.url).verified
        assert service.requests[0].headers["host"] == f"verifier.internal:{service.port}"


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (b'{"verified": true}', Outcome(True)),
        (b' {"since": [1, {"a": null}], "verified": true, "reason": "known"} ', Outcome(True)),
        (b'{"verified": false}', Outcome(False, "verification_refused", "")),
        (b'{"verified": false, "reason": null}', Outcome(False, "verification_refused", "")),
        (b'{"verified": false, "reason": "no"}', Outcome(False, "verification_refused", "no")),
        (b"", failure(NOT_JSON)),
        (b"true", failure(NOT_UNDERSTOOD)),
        (b"null", failure(NOT_UNDERSTOOD)),
        (b'[{"verified": true}]', failure(NOT_UNDERSTOOD)),
        (b"{}", failure(NOT_UNDERSTOOD)),
        (b'{"Verified": true}', failure(NOT_UNDERSTOOD)),
        (b'{"verified": null}', failure(NOT_UNDERSTOOD)),
        (b'{"verified": 1}', failure(NOT_UNDERSTOOD)),
        (b'{"verified": "true"}', failure(NOT_UNDERSTOOD)),
        (b'{"verified": true, "reason": 5}', failure(NOT_UNDERSTOOD)),
        (b'{"verified": false, "reason": ["no"]}', failure(NOT_UNDERSTOOD)),
        (b'{"verified": true, "verified": false}', failure(NOT_JSON)),
        (b'{"verified": true} {"verified": true}', failure(NOT_JSON)),
        (b'{"verified": true, "share": NaN}', failure(NOT_JSON)),
        (b"{'verified': true}", failure(NOT_JSON)),
        (b'{"verified": true, "a": "\xff"}', failure(NOT_JSON)),
        (b'\xef\xbb\xbf{"verified": true}', failure(NOT_JSON)),
        ('{"verified": true}'.encode("utf-16"), failure(NOT_JSON)),
        (b'{"verified": true, "a": ' + b"[" * 30_000, failure(NOT_JSON)),
    ],
)
def test_only_a_clear_yes_verifies(body: bytes, outcome: Outcome) -> None:
    assert outcome_of(Answer(200, body)) == outcome


@pytest.mark.parametrize("code", [201, 202, 204, 301, 302, 307, 400, 404, 429, 500, 503])
def test_a_yes_with_another_status_is_none(code: int) -> None:
    answer = Answer(code, b'{"verified": true}')
    assert outcome_of(answer) == failure(f"The verifier answered with status {code}.")


@pytest.mark.parametrize(
    ("reason", "detail"),
    [
        ("  two\r\n lines\t", "two lines"),
        ("a\x00b\x1b[31m\x7f\x85\ud800c", "ab[31m c"),
        ("Zoë 🛒", "Zoë 🛒"),
        ("é" * 200, "é" * 200),
        ("é" * 201, "é" * 199 + "…"),
        (f"token {TOKEN}!", "token …!"),
        (f"token {TOKEN[:5]}\x00{TOKEN[5:]}!", "token …!"),
        ("x" * 190 + TOKEN, "x" * 190 + "…"),
    ],
)
def test_a_reason_is_bounded_clean_and_without_the_token(reason: str, detail: str) -> None:
    answer = Answer(200, json.dumps({"verified": False, "reason": reason}).encode())
    assert outcome_of(answer, TOKEN) == Outcome(False, "verification_refused", detail)


def test_the_log_has_no_token_and_a_line_for_many_failures(
    caplog: pytest.LogCaptureFixture, unused_tcp_port: int
) -> None:
    async def ask() -> list[Outcome]:
        url = f"http://127.0.0.1:{unused_tcp_port}/"
        async with AskedVerifier(url, TOKEN, 10) as verifier:
            return [await verifier.verify("user1", uuid4()) for _ in range(20)]

    with caplog.at_level(logging.INFO, "transactions.orders"):
        outcomes = finished(ask())
    assert len(caplog.records) == 1 and "refused" in caplog.text
    assert TOKEN not in caplog.text + repr(outcomes)


# The simulation


def simulated(lowest: float, highest: float, timeout: float) -> Outcome:
    async def run() -> Outcome:
        async with Simulation(lowest, highest, timeout) as verifier:
            return await verifier.verify("user1", uuid4())

    return finished(run())


def test_only_more_than_the_time_out_is_stalled() -> None:
    """Specification, step 5: "any duration over 60 second"."""
    assert simulated(0.05, 0.05, 0.05) == Outcome(True)
    late = Outcome(False, "verification_stalled", "No answer within 0.05 s.")
    assert simulated(0.051, 0.06, 0.05) == late


def test_whole_bounds_give_whole_seconds_both_included() -> None:
    simulation = Simulation(1.0, 3.0, 60)
    assert {simulation._seconds() for _ in range(500)} == {1, 2, 3}
    between = Simulation(0.5, 0.75, 60)
    drawn = {between._seconds() for _ in range(500)}
    assert len(drawn) > 100 and 0.5 <= min(drawn) < max(drawn) <= 0.75


def test_a_cancelled_verification_raises_and_nothing_else_does() -> None:
    async def cancelled() -> bool:
        async with Simulation(100, 100, 60) as verifier:
            task = asyncio.create_task(verifier.verify("user1", uuid4()))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            return task.cancelled()

    assert finished(cancelled())


def test_what_nobody_thought_of_is_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Simulation):
        async def _outcome(self, user: str, order_id: UUID) -> Outcome:
            raise ZeroDivisionError

    async def run() -> Outcome:
        return await Broken(1, 1, 1).verify("user1", uuid4())

    assert finished(run()) == failure("Stockroom itself failed.")
    assert "ZeroDivisionError" in caplog.text


# The settings


def test_the_settings_say_who_verifies(settings: Settings) -> None:
    settings.VERIFIER_URL = None
    assert isinstance(Verifier.from_settings(), Simulation)
    settings.VERIFIER_TIMEOUT_SECONDS = 10
    settings.VERIFIER_TOKEN = TOKEN

    async def ask() -> Outcome:
        async with Verifier.from_settings() as verifier:
            return await verifier.verify("user1", uuid4())

    with VerifierService({"user1": [status(503), VERIFIED, says({"verified": False})]}) as service:
        settings.VERIFIER_URL = service.url
        reasons = [finished(ask()).reason for _ in range(3)]
        assert reasons == ["verification_failed", "", "verification_refused"]
        assert service.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VERIFIER_URL", "http://"),
        ("VERIFIER_URL", "http:verifier"),
        ("VERIFIER_URL", "http://verifier:port/"),
        ("VERIFIER_URL", "http://verifier:99999/"),
        ("VERIFIER_URL", "http://verifier:0/"),
        ("VERIFIER_URL", "http://[::1/"),
        ("VERIFIER_URL", "http://ana:hidden@verifier/"),
        ("VERIFIER_URL", "http://verifier/a b"),
        ("VERIFIER_URL", "http://verifier/\r\nx"),
        ("VERIFIER_URL", "http://prüfer/"),
        ("VERIFIER_TOKEN", "hidden\r\nhost: x"),
        ("VERIFIER_TOKEN", "hidden word"),
        ("VERIFIER_TOKEN", "hiddén"),
    ],
)
def test_what_cannot_be_used_stops_the_start(settings: Any, name: str, value: str) -> None:
    settings.VERIFIER_URL = "http://verifier/"
    setattr(settings, name, value)
    with pytest.raises(ImproperlyConfigured, match=name) as raised:
        Verifier.from_settings()
    assert "hid" not in str(raised.value)

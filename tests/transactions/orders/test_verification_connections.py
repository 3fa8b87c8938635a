"""Connections to the verifier: kept while they are good, closed at once when they are not."""

import asyncio
import datetime
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
import trustme

from tests.services.waiting import finished
from tests.transactions.orders.verifier import VERIFIED, VerifierService
from tests.webhooks.names import known_names
from tests.webhooks.receiver import Exchange, reset, slow
from transactions.models import Reason
from transactions.orders import verification_connection, verification_http
from transactions.orders.verification import AskedVerifier, Outcome
from transactions.orders.verification_connection import SPARE_FILES, room_for

MANY = 2_000


def open_to(port: int) -> int:
    """This process's sockets that lead to the service, in whatever state."""
    found = psutil.Process().net_connections("tcp")
    return sum(bool(each.raddr) and each.raddr.port == port for each in found)


async def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        await asyncio.sleep(0.02)


async def ask(verifier: AskedVerifier, *users: str) -> list[Outcome]:
    """All at once."""
    return await asyncio.gather(*(verifier.verify(user, uuid4()) for user in users))


# Kept connections


def test_a_connection_is_used_again() -> None:
    async def run() -> None:
        async with AskedVerifier(service.url, "", 10) as verifier:
            for kind in ("verified", "refused", "text", "verified"):
                await verifier.verify(f"user1-{kind}", uuid4())
            assert service.connections == 1
            # As many as there are questions at the same time, and no more.
            users = [f"user{number}" for number in range(30)]
            for _ in range(3):
                assert all(outcome.verified for outcome in await ask(verifier, *users))
            assert service.connections <= 30
        await until(lambda: open_to(service.port) == 0)

    with VerifierService({"user0": slow(0.3, VERIFIED)}) as service:
        finished(run())


@pytest.mark.parametrize("kind", ["500", "huge", "garbage", "breaks", "redirects"])
def test_one_with_an_unread_rest_is_not(kind: str) -> None:
    async def run() -> None:
        async with AskedVerifier(service.url, "", 10) as verifier:
            assert not (await verifier.verify(f"user1-{kind}", uuid4())).verified
            assert (await verifier.verify("user2", uuid4())).verified
            assert service.connections == 2

    with VerifierService() as service:
        finished(run())


def test_one_with_a_second_answer_is_not() -> None:
    """It would be taken for that of the next order."""
    yes = b'HTTP/1.1 200 OK\r\ncontent-length: 18\r\n\r\n{"verified": true}'

    async def answer(exchange: Exchange) -> None:
        await exchange.send(yes + yes)
        await exchange.until_closed()

    async def run() -> None:
        async with AskedVerifier(service.url, "", 10) as verifier:
            assert (await verifier.verify("user1", uuid4())).verified
            assert not (await verifier.verify("user2-refused", uuid4())).verified
            assert service.connections == 2

    with VerifierService({"user1": answer}) as service:
        finished(run())


def test_one_that_dies_while_it_is_used_again_is_replaced() -> None:
    """A verifier that was started anew must deny nobody's order."""

    async def run() -> None:
        async with AskedVerifier(service.url, "", 10) as verifier:
            assert (await verifier.verify("user1", uuid4())).verified
            assert (await verifier.verify("user1", uuid4())).verified
            assert service.connections == 2 and len(service.requests) == 3

    with VerifierService({"user1": [VERIFIED, reset(), VERIFIED]}) as service:
        finished(run())


def test_a_service_that_was_started_anew_is_asked_again() -> None:
    async def run(port: int) -> None:
        async with AskedVerifier(f"http://127.0.0.1:{port}/", "", 10) as verifier:
            for _ in range(2):
                with VerifierService(port=port) as service:
                    users = [f"user{number}" for number in range(10)]
                    assert all(outcome.verified for outcome in await ask(verifier, *users))
                    assert len(service.requests) == 10

    with VerifierService() as first:
        pass
    finished(run(first.port))


def test_a_new_connection_that_breaks_is_not_tried_again() -> None:
    async def run() -> None:
        async with AskedVerifier(service.url, "", 10) as verifier:
            outcome = await verifier.verify("user1-resets", uuid4())
            assert outcome.reason == Reason.VERIFICATION_FAILED
            assert len(service.requests) == 1

    with VerifierService() as service:
        finished(run())


def test_what_is_not_used_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (verification_connection, verification_http):
        monkeypatch.setattr(module, "IDLE_SECONDS", 0.2)

    async def run() -> None:
        async with AskedVerifier(service.url, "", 10) as verifier:
            assert all(outcome.verified for outcome in await ask(verifier, *20 * ["user1"]))
            await until(lambda: open_to(service.port) == 0)

    with VerifierService() as service:
        finished(run())


# Cut off


@pytest.mark.parametrize("kind", ["hangs", "halfway"])
def test_calls_that_stall_leave_no_socket(kind: str) -> None:
    users = [f"user{number}-{kind}" for number in range(200)]

    async def run() -> None:
        async with AskedVerifier(service.url, "", 1.5) as verifier:
            outcomes = await ask(verifier, *users)
            assert {each.reason for each in outcomes} == {"verification_stalled"}
            await until(lambda: open_to(service.port) == 0)

    with VerifierService() as service:
        finished(run())
        assert len(service.requests) > 0


def test_thousands_that_are_cancelled_leave_nothing() -> None:
    """No socket, no task."""
    room_for(3 * MANY)  # both ends are in this process
    users = [f"user{number}-hangs" for number in range(MANY)]

    async def run() -> None:
        files = psutil.Process().num_fds()
        async with AskedVerifier(service.url, "", 600) as verifier:
            tasks = [asyncio.create_task(verifier.verify(user, uuid4())) for user in users]
            await until(lambda: len(service.requests) == MANY, 300)
            assert open_to(service.port) == MANY
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            assert all(task.cancelled() for task in tasks)
            await until(lambda: open_to(service.port) == 0)
            assert len(asyncio.all_tasks()) == 2  # this one, and what closes idle connections
        await until(lambda: psutil.Process().num_fds() <= files + 5)

    with VerifierService() as service:
        finished(run())


def test_a_look_up_that_hangs_holds_up_no_other_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its calls stall; what else the process has its threads do goes on."""
    names = known_names(monkeypatch)
    released = asyncio.Event()

    class Slow(list[str]):
        def __bool__(self) -> bool:
            asyncio.run_coroutine_threadsafe(released.wait(), loop).result(60)
            return True

    async def run() -> None:
        nonlocal loop
        loop = asyncio.get_running_loop()
        names["verifier.internal"] = Slow(["127.0.0.1"])
        async with AskedVerifier(service.url, "", 0.3) as verifier:
            outcomes = await ask(verifier, *100 * ["user1"])
            assert {each.reason for each in outcomes} == {"verification_stalled"}
            assert await asyncio.to_thread(lambda: 7) == 7
            released.set()
            names["verifier.internal"] = ["127.0.0.1"]
            verifier._timeout_seconds = 10
            assert (await verifier.verify("user1", uuid4())).verified

    loop: asyncio.AbstractEventLoop
    with VerifierService(host="verifier.internal") as service:
        finished(run())


# TLS


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> trustme.CA:
    """The one that is trusted."""
    trusted = trustme.CA()
    trusted.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    known_names(monkeypatch)["verifier.example"] = ["127.0.0.1"]
    return trusted


def asked(service: VerifierService) -> list[Outcome]:
    """Two, one after the other."""

    async def run() -> list[Outcome]:
        async with AskedVerifier(service.url, "token", 10) as verifier:
            return [await verifier.verify("user1", uuid4()) for _ in range(2)]

    return finished(run())


def test_a_good_certificate_is_accepted(authority: trustme.CA) -> None:
    certificate = authority.issue_cert("verifier.example")
    with VerifierService(tls=certificate, host="verifier.example") as service:
        assert asked(service) == 2 * [Outcome(True)]
        assert service.connections == 1


@pytest.mark.parametrize("fault", ["authority", "name", "expired"])
def test_a_bad_one_is_told_no_user(authority: trustme.CA, fault: str) -> None:
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    certificate = {
        "authority": lambda: trustme.CA().issue_cert("verifier.example"),
        "name": lambda: authority.issue_cert("other.example"),
        "expired": lambda: authority.issue_cert("verifier.example", not_after=past),
    }[fault]()
    detail = "The verifier's certificate is not accepted."
    with VerifierService(tls=certificate, host="verifier.example") as service:
        assert {outcome.detail for outcome in asked(service)} == {detail}
        assert service.requests == []


def test_a_service_without_tls_is_told_no_user(authority: trustme.CA) -> None:
    async def run(port: int) -> Outcome:
        async with AskedVerifier(f"https://verifier.example:{port}/", "", 10) as verifier:
            return await verifier.verify("user1", uuid4())

    async def answer(exchange: Exchange) -> None:
        raise AssertionError("a request came")

    with VerifierService({"user1": answer}) as service:
        assert finished(run(service.port)).reason in (
            Reason.VERIFICATION_FAILED,
            Reason.VERIFICATION_STALLED,
        )
        assert service.requests == []


def test_a_handshake_that_stalls_leaves_no_socket(authority: trustme.CA) -> None:
    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    async def run() -> None:
        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with AskedVerifier(f"https://verifier.example:{port}/", "", 0.5) as verifier:
            outcomes = await ask(verifier, *10 * ["user1"])
            assert {each.reason for each in outcomes} == {"verification_stalled"}
            await until(lambda: open_to(port) == 0)
        for writer in writers:
            writer.transport.abort()
        server.close()

    writers: list[asyncio.StreamWriter] = []
    finished(run())


# Open files

ROOM = """
import json, resource, sys
from transactions.orders.verification_connection import room_for
soft, hard, wanted = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
print(json.dumps([room_for(wanted), *resource.getrlimit(resource.RLIMIT_NOFILE)]))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "room", "raised"),
    [
        (256, 4096, 1_000, 1_000, 1_000 + SPARE_FILES),
        (256, 1024, 1_000, 1024 - SPARE_FILES, 1024),
        (2048, 4096, 1_000, 1_000, 2048),
        (100, 100, 1_000, 1, 100),
    ],
)
def test_the_limit_of_open_files_is_raised_as_far_as_needed(
    soft: int, hard: int, wanted: int, room: int, raised: int
) -> None:
    numbers = map(str, (soft, hard, wanted))
    done = subprocess.run(
        [sys.executable, "-c", ROOM, *numbers], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [room, raised, hard]
    assert ("verifications at once instead of 1000" in done.stderr) == (room < wanted)


def test_the_verifier_says_how_many_there_is_room_for() -> None:
    verifier = AskedVerifier("http://127.0.0.1/", "", 10)
    assert verifier.room(10) == 10
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        assert verifier.room(hard) == hard - SPARE_FILES

"""How several web processes share the connections, on the real server."""

import copy
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psutil
import pytest

from config.web_accepting import Loads
from tests.services.waiting import freeze

from .servers import Server, read_head, until

GET = b"GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n"
PAGE = len(b"a page")
# Connections stay, without a request too: the tests count them.
ENVIRONMENT = {"REQUEST_HEAD_SECONDS": "300"}
ARGUMENTS = ("-k", "config.web_worker.WebWorker", "--keep-alive", "300", "--timeout", "300")
AHEAD = 10
# By chance the one ahead would take as many as the other. On a slow machine the other may be late
# for some, since nobody waits for long.
FEW, TRIES = 3, 3


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(
        "tests.web.raw_app:application", environment=ENVIRONMENT, arguments=ARGUMENTS, workers=2
    ) as server:
        until(lambda: started(server) == 2, "both processes serve")
        yield server


@pytest.fixture
def clients(server: Server) -> Iterator[ExitStack]:
    until(lambda: held(server).total() == 0, "those of the test before are closed")
    with ExitStack() as stack:
        yield stack


def started(server: Server) -> int:
    """Processes that have begun to serve so far."""
    return server.log().count("Application startup complete")


def held(server: Server) -> Counter[int]:
    """Connections of clients that each process has, by its pid."""
    found: Counter[int] = Counter()
    for process in server.worker_processes():
        try:
            ends = process.net_connections(kind="tcp")
        except psutil.NoSuchProcess:
            continue
        ends = [end for end in ends if end.status == psutil.CONN_ESTABLISHED]
        found[process.pid] = sum(end.laddr == server.address for end in ends)
    return found


def connect(server: Server, clients: ExitStack, number: int) -> list[socket.socket]:
    return [clients.enter_context(server.connect()) for _ in range(number)]


def assert_answered(connection: socket.socket) -> None:
    connection.sendall(GET)
    assert read_head(connection)[0] == 200
    assert len(connection.recv(PAGE, socket.MSG_WAITALL)) == PAGE


def caught_up(server: Server, clients: ExitStack, ahead: psutil.Process) -> int:
    """Connections that `ahead` takes until the other has as many as it has now."""
    before = held(server)[ahead.pid]
    while min(held(server).values()) < before:
        total = held(server).total()
        connect(server, clients, 1)
        until(lambda total=total: held(server).total() > total, "it is taken")
    return held(server)[ahead.pid] - before


def until_it_takes_one(server: Server, clients: ExitStack, ahead: psutil.Process) -> int:
    """Connections that the other takes before `ahead` takes one more."""
    before = held(server)
    while held(server)[ahead.pid] == before[ahead.pid]:
        total = held(server).total()
        connect(server, clients, 1)
        until(lambda total=total: held(server).total() > total, "it is taken")
    return held(server).total() - before.total() - 1


def ten(server: Server, clients: ExitStack) -> None:
    connect(server, clients, AHEAD)


def one_stood_still(
    server: Server,
    clients: ExitStack,
    which: int,
    make: Callable[[Server, ExitStack], None] = ten,
) -> psutil.Process:
    """The process that took ten connections meanwhile."""
    processes = server.worker_processes()
    frozen, other = processes[which], processes[1 - which]
    freeze(frozen.pid)
    try:
        make(server, clients)
        until(lambda: held(server).total() == AHEAD, "all are taken")
    finally:
        frozen.send_signal(signal.SIGCONT)
    return other


def one_was_killed(server: Server, clients: ExitStack, which: int) -> psutil.Process:
    """The process that has ten connections, beside one that has begun after another's end."""
    before = started(server)
    ahead = one_stood_still(server, clients, which)
    (killed,) = (each for each in server.worker_processes() if each.pid != ahead.pid)
    killed.kill()
    until(
        lambda: started(server) > before and killed.pid not in held(server),
        "there is another in its place",
    )
    return ahead


# Left to the kernel, on an idle machine it is always the same one that takes them.
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("make_uneven", [one_stood_still, one_was_killed])
def test_the_one_with_fewer_takes_them(server, make_uneven, which):
    taken = []
    for _ in range(TRIES):
        with ExitStack() as clients:
            ahead = make_uneven(server, clients, which)
            taken.append(caught_up(server, clients, ahead))
        until(lambda: held(server).total() == 0, "all are closed")
        if taken[-1] <= FEW:
            return
    raise AssertionError(f"it took as many as these beside {AHEAD}: {taken}\n{server.log()}")


def test_live_pages_weigh_little(server):
    before_it = []
    for _ in range(TRIES):
        with ExitStack() as clients:
            ahead = one_stood_still(server, clients, 0, to_live_pages)
            before_it.append(until_it_takes_one(server, clients, ahead))
        until(lambda: held(server).total() == 0, "all are closed")
        if before_it[-1] <= FEW:
            return
    raise AssertionError(f"the other took so many first: {before_it}\n{server.log()}")


def to_live_pages(server: Server, clients: ExitStack) -> None:
    """The last that was asked for is a stream; that there is none here makes no difference."""
    for connection in connect(server, clients, AHEAD):
        connection.sendall(GET.replace(b"/page", b"/events/none/"))
        assert read_head(connection)[0] == 200


def test_one_that_stands_still_keeps_nobody_waiting(server, clients):
    connect(server, clients, 20)
    until(lambda: held(server).total() == 20, "all are taken")
    for connection in connect(server, clients, 4):
        assert_answered(connection)
    frozen, other = server.worker_processes()
    freeze(frozen.pid)
    try:
        before = held(server)
        for connection in connect(server, clients, 20):
            assert_answered(connection)
        assert held(server) - before == Counter({other.pid: 20})
    finally:
        frozen.send_signal(signal.SIGCONT)


def test_without_files_they_say_so_and_go_on_when_there_are_some(server, clients):
    (kept,) = connect(server, clients, 1)
    assert_answered(kept)
    processes = server.worker_processes()
    _, most = processes[0].rlimit(psutil.RLIMIT_NOFILE)
    for process in processes:
        process.rlimit(psutil.RLIMIT_NOFILE, (3, most))
    try:
        (late,) = connect(server, clients, 1)
        until(lambda: "No connection is taken" in server.log(), "they say so")
        assert_answered(kept)
    finally:
        for process in processes:
            process.rlimit(psutil.RLIMIT_NOFILE, (most, most))
    assert_answered(late)


@pytest.fixture
def loads() -> Callable[[], Loads]:
    """Makes what one process has of the memory that all share."""
    shared = Loads()

    def of_a_process() -> Loads:
        made = copy.copy(shared)
        assert made._shared is shared._shared
        return made

    return of_a_process


def test_loads_are_those_of_others_that_are_there(loads):
    one, two, three = loads(), loads(), loads()
    assert one.least_but(1) is None
    one.tell(1, 3)
    assert one.least_but(1) is None
    two.tell(2, 7.5)
    three.tell(3, 5)
    assert one.least_but(1) == 5
    assert two.least_but(2) == 3
    three.leave(3)
    assert one.least_but(1) == 7.5


def test_two_that_have_taken_the_same_place_part(loads):
    one, two = loads(), loads()
    one.tell(1, 3)
    two._mine = one._mine
    two._write(time.monotonic(), 5.0, 2)  # at the same moment
    one.tell(1, 3)
    two.tell(2, 5)
    assert (one.least_but(1), two.least_but(2)) == (5, 3)


def test_places_are_used_again_and_never_end(loads):
    stays = loads()
    stays.tell(1, 3)
    for number in range(2, 2 * Loads.SLOTS):
        comes = loads()
        comes.tell(number, 9)
        assert (stays.least_but(1), comes.least_but(number)) == (9, 3)
        comes.leave(number)
        stays.tell(1, 3)


def test_what_was_told_long_ago_does_not_count(loads, monkeypatch):
    one = loads()
    one.tell(1, 3)
    monkeypatch.setattr("config.web_accepting.FRESH_SECONDS", -1.0)
    assert one.least_but(2) is None

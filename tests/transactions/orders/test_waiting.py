"""GET /api/orders/<order_id>/?wait=…: held back by the real web process until the decision."""

import hashlib
import json
import os
import signal
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
import redis
import requests

from config.live import publishing
from config.outage import Outage
from config.services.engine import Engine
from tests.web.conftest import Site, new_site
from tests.web.event_streams import Stream
from tests.web.servers import Server, until
from transactions.models import Order
from transactions.orders import live

from .desk import Asking, Desk

WEB_THREADS = 8
WAITS = 200
PATIENT = "tests.transactions.orders.patient_web:application"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with new_site("orders", tmp_path_factory.mktemp("orders")) as site:
        yield site


@pytest.fixture(scope="module")
def server(site: Site) -> Iterator[Server]:
    with Server(PATIENT, environment=site.environment) as server:
        yield server


@pytest.fixture
def desk(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(live, "_teller", live.Teller())
    monkeypatch.setattr(publishing, "_outage", Outage("live events"))
    desk = Desk(site.database_url)
    yield desk
    desk.close()


@pytest.fixture
def token(desk: Desk) -> Callable[..., str]:
    """`token(scope, trading user, …)`: a new token's secret."""

    def issue(scope: str, *trading_users: str) -> str:
        secret = f"stk_{uuid.uuid4().hex}"
        desk.execute(
            "INSERT INTO accounts_apitoken (owner_id, name, prefix, digest, scopes, trading_users,"
            " created_at) SELECT id, 'waiting', 'stk_', %s, %s, %s, now()"
            " FROM accounts_user LIMIT 1",
            *(hashlib.sha256(secret.encode()).hexdigest(), [scope], list(trading_users)),
        )
        return secret

    return issue


def path(order: Order, wait: object = 25) -> str:
    return f"/api/orders/{order.order_id}/?wait={wait}"


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def state(asking: Asking) -> dict[str, Any]:
    response, body = asking.answer()
    assert response.status == 200, body
    assert response.headers["Content-Type"] == "application/json"
    return json.loads(body)


@pytest.fixture
def waits(server: Server, site: Site) -> Iterator[Callable[..., Asking]]:
    """`waits(order)`: a request that waits, by who is signed in or with `headers`."""
    with ExitStack() as stack:
        yield lambda order, wait=25, headers=None, **options: stack.enter_context(
            Asking(server, path(order, wait), headers or {"Cookie": site.cookie}, **options)
        )


def get_pages(server: Server, site: Site) -> None:
    """Give the threads for pages something to do, all at once; what came before is begun then."""

    def get(_: int) -> None:
        for _ in range(2):
            headers = {"Cookie": site.cookie}
            assert requests.get(f"{server.url}/account/", headers=headers, timeout=60).ok

    with ThreadPoolExecutor(2 * WEB_THREADS) as pool:
        list(pool.map(get, range(2 * WEB_THREADS)))


def connections(server: Server) -> int:
    """Those of clients that the process has accepted and not closed yet."""
    found = server.worker.net_connections("tcp")
    return sum(each.laddr[:] == server.address and bool(each.raddr) for each in found)


def test_all_who_wait_are_answered_when_it_is_decided(
    server: Server, site: Site, desk: Desk, waits, token
) -> None:
    order, other = desk.place(), desk.place()
    first, second = waits(order), waits(order, headers=bearer(token("orders:read", "user1")))
    third = waits(other)
    get_pages(server, site)
    assert not (first.answered or second.answered)
    desk.decide(order)
    for each in (first, second):
        found = state(each)
        assert (found["order_id"], found["status"]) == (str(order.order_id), "Accept")
    assert not third.answered


def test_what_is_decided_at_any_moment_is_heard_of(desk: Desk, waits) -> None:
    """Also between the answer of Django and the waiting."""
    for _ in range(30):
        order = desk.place()
        asking = waits(order)
        desk.decide(order, "Deny")
        assert state(asking)["status"] == "Deny"


def test_a_step_on_the_way_answers_nobody(server: Server, site: Site, desk: Desk, waits) -> None:
    order = desk.place()
    asking = waits(order)
    with Stream(server, site.cookie, f"order-{order.order_id}") as stream:
        stream.wait_for("stream-open")
        desk.move(order, "verified")
        live.tell([order])
        stream.wait_for('"status": "verified"')
        get_pages(server, site)
        assert not asking.answered
        desk.decide(order)
        stream.wait_for('"amount": "900719925474099310"')
    assert state(asking)["status"] == "Accept"


def test_at_the_end_of_the_wait_the_state_is_told(desk: Desk, waits) -> None:
    order = desk.place()
    asking = waits(order, 0.5)
    assert state(asking)["status"] == "verifying"


def test_a_wait_that_ends_tells_what_nobody_has_told(desk: Desk, waits) -> None:
    order = desk.place()
    asking = waits(order, 3)
    desk.move(order, "Accept")
    assert state(asking)["status"] == "Accept"


@pytest.mark.parametrize(("status", "wait"), [("Accept", 25), ("Deny", 25), ("received", 0)])
def test_where_there_is_nothing_to_wait_for(desk: Desk, waits, status: str, wait: int) -> None:
    assert state(waits(desk.place(status=status), wait))["status"] == status


def test_only_a_get_waits(desk: Desk, waits) -> None:
    order = desk.place()
    assert waits(order, method="HEAD").answer()[0].status == 200
    assert waits(order, method="DELETE").answer()[0].status in (403, 405)


@pytest.mark.parametrize("wait", ["-1", "25.1", "nan", "inf", "x", ""])
def test_a_wrong_wait_is_refused(desk: Desk, waits, wait: str) -> None:
    response, body = waits(desk.place(), wait).answer()
    assert response.status == 400
    assert json.loads(body)["error"]["fields"]["wait"]


def test_nobody_waits_for_what_they_may_not_see(desk: Desk, waits, token) -> None:
    order, unknown = desk.place("user2"), Order(order_id=uuid.uuid4())

    def status(order: Order, headers: dict[str, str]) -> int:
        response, body = waits(order, headers=headers).answer()
        assert json.loads(body)["error"]["message"]
        return response.status

    assert status(order, {"Cookie": "none=1"}) == 401
    assert status(order, bearer("stk_unknown")) == 401
    assert status(order, bearer(token("catalogue:read", "*"))) == 403
    assert status(order, bearer(token("orders:read", "user1"))) == 404
    assert status(unknown, bearer(token("orders:read", "*"))) == 404


def test_who_may_not_see_it_any_more_is_not_told(
    server: Server, site: Site, desk: Desk, waits, token
) -> None:
    order, secret = desk.place(), token("orders:read", "user1")
    asking = waits(order, headers=bearer(secret))
    get_pages(server, site)
    desk.execute("UPDATE accounts_apitoken SET revoked_at = now()")
    desk.decide(order)
    response, body = asking.answer()
    assert response.status == 401 and b"Accept" not in body


def test_a_wait_counts_as_one_request(desk: Desk, waits, token) -> None:
    order, headers = desk.place(), bearer(token("orders:read", "*"))

    def left(wait: object) -> int:
        response, _ = waits(order, wait, headers).answer()
        return int(response.headers["RateLimit-Remaining"])

    before = left(0)
    waits(order, 0.2, headers).answer()
    assert left(0) == before - 2


def test_200_waits_cost_no_connection_and_no_thread(
    server: Server, site: Site, desk: Desk, waits
) -> None:
    ours = 1  # the desk's
    until(
        lambda: get_pages(server, site) or site.connections() == WEB_THREADS + ours,
        "each thread for pages has its connection, and ended servers have none",
    )
    threads = server.worker.num_threads()
    orders = [desk.place() for _ in range(WAITS)]
    askings = [waits(order) for order in orders]
    until(lambda: connections(server) >= WAITS, "all have come")
    get_pages(server, site)
    assert not any(asking.answered for asking in askings)
    assert site.connections() == WEB_THREADS + ours
    assert server.worker.num_threads() == threads
    for order in orders:
        desk.move(order, "Accept")
    live.tell(orders)
    assert {state(asking)["status"] for asking in askings} == {"Accept"}
    assert site.connections() == WEB_THREADS + ours
    assert server.worker.num_threads() == threads


def test_who_leaves_is_forgotten(server: Server, site: Site, desk: Desk, waits) -> None:
    order = desk.place()
    until(lambda: not connections(server), "those of other tests are closed")
    askings = [waits(order) for _ in range(20)]
    stays = waits(order)
    until(lambda: connections(server) == 21, "all have come")
    get_pages(server, site)
    for asking in askings:
        asking.leave()
    until(lambda: connections(server) == 1, "their sockets are closed")
    desk.decide(order)
    assert state(stays)["status"] == "Accept"
    assert "Traceback" not in server.log()


def test_redis_is_away_for_a_while(
    site: Site, desk: Desk, own_valkey: Callable[[], Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    valkey = own_valkey()
    url = valkey.variables()["REDIS_URL"]
    client = redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1)
    monkeypatch.setattr("django_eventstream.eventstream.redis_client", client)
    headers = {"Cookie": site.cookie}
    decided, open_still = desk.place(), desk.place()
    with (
        Server(PATIENT, environment={**site.environment, **valkey.variables()}) as server,
        Asking(server, path(decided), headers) as first,
        Asking(server, path(open_still), headers) as second,
    ):
        until(lambda: client.pubsub_numsub("events_channel")[0][1], "the server listens")
        get_pages(server, site)
        valkey.kill()
        until(lambda: "live pages wait for Redis" in server.log(), "it is noticed")
        desk.move(decided, "Accept")
        assert not (first.answered or second.answered)
        valkey.start()
        assert state(first)["status"] == "Accept"
        assert not second.answered
        desk.decide(open_still)
        assert state(second)["status"] == "Accept"
    client.close()


def test_the_end_of_the_process_answers_all(site: Site, desk: Desk) -> None:
    orders = [desk.place() for _ in range(50)]
    with Server(PATIENT, environment=site.environment) as server, ExitStack() as stack:
        askings = [
            stack.enter_context(Asking(server, path(order), {"Cookie": site.cookie}))
            for order in orders
        ]
        get_pages(server, site)
        assert not any(asking.answered for asking in askings)
        os.kill(server.process.pid, signal.SIGTERM)
        assert {state(asking)["status"] for asking in askings} == {"verifying"}
        # Far less than the graceful time-out of 30 s.
        assert server.exit_code(seconds=25) == 0
        assert "Traceback" not in server.log()

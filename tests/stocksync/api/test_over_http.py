"""The API through the real web process, with a real worker: what a client on the network sees."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from hashlib import sha256
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg2
import pytest
import requests

from stocksync.engine.synchronizer import Synchronizer
from tests.running import Running
from tests.services.waiting import until
from tests.web.test_token_streams import TokenStream

from .syncing import JOBS, as_lines, created, updated

CHILDREN = 300
# Above what the server collects of a body before a thread reads it, and an output of more than one
# block of the database.
EVENTS = as_lines(
    created(1, None, 1, 1),
    *(created(n, 1, n, 1) for n in range(2, CHILDREN)),
    *(updated(1, 1000 + n, 5 + n) for n in range(200)),
    "nonsense" * 5_000,
)
SMALL = as_lines(created(1, None, 1, 1))


@pytest.fixture
def ask(running_stockroom: Running) -> Callable[..., requests.Response]:
    """`ask("get", path, …)`: a request with the demo account's token."""

    def ask(method: str, path: str, **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {running_stockroom.token}", **more.pop("headers", {})}
        address = path if "://" in path else f"{running_stockroom.address}{path}"
        return requests.request(method, address, headers=headers, timeout=30, **more)

    return ask


def ended(ask: Callable[..., requests.Response], job: dict[str, Any]) -> dict[str, Any]:
    """The job's state once it has ended."""

    def state() -> dict[str, Any] | None:
        shown = ask("get", job["url"]).json()
        return shown if shown["ended"] else None

    found = until(state, 90)
    assert found is not None
    return found


def expected(data: bytes, clock: str) -> tuple[bytes, bytes]:
    """Output and rejects."""
    engine = Synchronizer(clock=clock)
    engine.feed(data)
    engine.finish()
    return engine.take_output() + b"".join(engine.summary()), engine.take_rejects()


@pytest.mark.parametrize("order", [1, -1], ids=["fields before the file", "fields after it"])
def test_a_file_goes_up_and_its_output_comes_back(ask, order):
    parts = [("clock", (None, "global")), ("file", ("e.txt", EVENTS))][::order]

    answer = ask("post", JOBS, files=parts)

    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == answer.json()["url"]
    job = ended(ask, answer.json())
    assert (job["state"], job["clock"], job["size_bytes"]) == ("done", "global", len(EVENTS))
    output, rejects = expected(EVENTS, "global")
    assert len(output) > 2**20
    for url, data in ((job["output_url"], output), (job["rejects_url"], rejects)):
        there = ask("get", url)
        assert there.content == data
        assert there.headers["Content-Length"] == str(len(data))
        assert there.headers["Content-Type"] == "application/x-ndjson"
        head = ask("head", url)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["Content-Length"] == str(len(data))
        known = {"If-None-Match": there.headers["ETag"]}
        assert ask("get", url, headers=known).status_code == 304
    assert ask("get", job["summary_url"]).json()["counts"] == job["counts"]


def test_a_small_form_comes_in_chunks_and_a_large_one_needs_a_length(ask):
    for data, status in ((SMALL, 202), (EVENTS, 411)):
        whole = requests.Request("POST", "http://x/", files={"file": ("e.txt", data)}).prepare()
        headers = {"Content-Type": whole.headers["Content-Type"]}
        chunks = (whole.body[at : at + 1000] for at in range(0, len(whole.body), 1000))
        assert ask("post", JOBS, data=chunks, headers=headers).status_code == status


def test_an_upload_that_is_cut_makes_no_job_and_leaves_nothing(ask, running_stockroom):
    before = newest(ask), stored(running_stockroom)
    whole = requests.Request("POST", "http://x/", files={"file": ("e.txt", EVENTS * 10)}).prepare()
    head = (
        f"POST {JOBS} HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {running_stockroom.token}\r\n"
        f"Content-Type: {whole.headers['Content-Type']}\r\n"
        f"Content-Length: {len(whole.body)}\r\n\r\n"
    )
    where = urlsplit(running_stockroom.address)
    with closing(socket.create_connection((where.hostname, where.port), timeout=30)) as connection:
        connection.sendall(head.encode() + whole.body[: len(whole.body) // 2])
        until(lambda: stored(running_stockroom) > before[1], 60)
    until(lambda: stored(running_stockroom) == before[1], 60)
    assert newest(ask) == before[0]


def newest(ask: Callable[..., requests.Response]) -> list[int]:
    rows = ask("get", JOBS, params={"page_size": 1}).json()["results"]
    return [row["id"] for row in rows]


def stored(stockroom: Running) -> int:
    """How many files there are whose bytes belong to no job."""
    with database(stockroom) as cursor:
        cursor.execute(
            "SELECT count(*) FROM stocksync_storedfile f WHERE NOT EXISTS (SELECT FROM"
            " stocksync_syncjob j WHERE f.id IN (j.events_id, j.output_id, j.rejects_id,"
            " j.checkpoint_state_id))"
        )
        (found,) = cursor.fetchone()
    return found


@contextmanager
def database(stockroom: Running) -> Iterator[Any]:
    """A cursor; what it did is committed."""
    with closing(psycopg2.connect(stockroom.stack.environment["DATABASE_URL"])) as connection:
        with connection, connection.cursor() as cursor:
            yield cursor


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(ask, running_stockroom):
    where = urlsplit(running_stockroom.address)
    with closing(socket.create_connection((where.hostname, where.port), timeout=30)) as connection:
        head = f"POST {JOBS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {2**40}\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(2**16).startswith(b"HTTP/1.1 413 ")


def test_a_job_is_followed_live_to_its_end(ask, running_stockroom):
    first = ended(ask, ask("post", JOBS, files={"file": ("e.txt", EVENTS)}).json())
    site = urlsplit(running_stockroom.address)
    server: Any = SimpleNamespace(
        connect=lambda: socket.create_connection((site.hostname, site.port), timeout=30)
    )
    # What is sent before the server has subscribed to Redis is lost; so is all of a quick job.
    for _ in range(10):
        (last,) = newest(ask)
        with TokenStream(server, running_stockroom.token, f"stocksync-{last + 1}") as stream:
            stream.wait_for("stream-open")
            again = ask("post", f"{JOBS}{first['id']}/repeat/", json={"clock": "tree"}).json()
            assert again["id"] == last + 1
            shown = ended(ask, again)
            with suppress(AssertionError):
                stream.wait_for('"state": "done"', seconds=2)
                break
    told = json.loads(stream.text.rsplit("event: snapshot\ndata: ", 1)[1].split("\n")[0])
    # The address has instants to the microsecond, and URLs.
    same = [name for name in told if not name.endswith("_at")]
    assert {name: told[name] for name in same} == {name: shown[name] for name in same}
    assert told["counts"]["applied"] > 0


@pytest.mark.parametrize(("scope", "status"), [("stocksync:read", 200), ("catalogue:read", 403)])
def test_a_stream_is_for_tokens_of_its_area(ask, running_stockroom, scope, status):
    secret = f"stk_{uuid4()}"
    with database(running_stockroom) as cursor:
        cursor.execute(
            "INSERT INTO accounts_apitoken (owner_id, name, prefix, digest, scopes, trading_users,"
            " created_at) SELECT id, 'x', 'stk_', %s, %s, '{}', now() FROM accounts_user LIMIT 1",
            [sha256(secret.encode()).hexdigest(), [scope]],
        )
    headers = {"Authorization": f"Bearer {secret}"}
    path = "/events/stocksync-7/"
    with closing(ask("get", path, headers=headers, stream=True)) as answer:
        assert answer.status_code == status

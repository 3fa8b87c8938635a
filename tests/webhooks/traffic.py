"""Edits of a running Stockroom at a steady pace, and receivers that check all they get.

Used by test_running.py, the soak and bench/. The database is read beside it: what was to come.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import requests
from standardwebhooks import Webhook, WebhookVerificationError

from bench.import_beside import Latencies
from tests.products.imports.import_oracle import Stored
from tests.products.imports.stack import SECONDS, RunningStockroom
from tests.services.waiting import until

from .receiver import Answers, Received, Receiver, as_answer, chosen, hang, slow, status

THREADS = 4
PRODUCTS = 10 * THREADS
ANSWERS: dict[str, Answers] = {
    "quick": status(200),
    "middling": slow(0.02, status(202)),
    "slow": slow(0.1),
    "hangs": hang(),
    "fails": status(500),
}
HEALTHY = ("quick", "middling", "slow")

EVENTS = """
SELECT 'evt_' || replace(id::text, '-', ''), occurred_at, data->'product'->>'name'
FROM webhooks_event WHERE data->'product'->>'name' LIKE %s ORDER BY occurred_at
"""
UNDELIVERED = """
SELECT count(*) * %s - (
    SELECT count(*) FROM webhooks_delivery WHERE endpoint_id = ANY(%s) AND state = 'succeeded'
) FROM webhooks_event WHERE data->'product'->>'name' LIKE %s
"""
ATTEMPTS = """
SELECT 'evt_' || replace(d.event_id::text, '-', ''), count(*),
    count(*) FILTER (WHERE a.state = 'succeeded')
FROM webhooks_attempt a JOIN webhooks_delivery d ON d.id = a.delivery_id
WHERE d.endpoint_id = %s GROUP BY 1
"""


@dataclass(frozen=True)
class Told:
    """An event as the database has it."""

    webhook_id: str
    at: datetime  # when the transaction of its edit began
    name: str


class Watched:
    """An endpoint and the receiver behind it, which verifies each message before it answers."""

    def __init__(self, stockroom: RunningStockroom, name: str, receiver: Receiver) -> None:
        self.name = name
        self.receiver = receiver
        self.refused: list[str] = []
        """What `standardwebhooks` did not accept, and why."""
        made = stockroom.request(
            "POST",
            "/api/webhooks/endpoints/",
            json={"url": receiver.address("/hook"), "event_types": ["*"], "description": name},
        ).json()
        self.id: int = made["id"]
        self.api_url: str = made["api_url"]
        self._webhook = Webhook(made["secret"])

    def answers(self, answers: Answers) -> None:
        """What a message gets whose signature is right; others get 400."""
        wanted = as_answer(answers)

        def choose(request: Received) -> Answers:
            try:
                self._webhook.verify(request.body, request.headers)
            except WebhookVerificationError as error:
                self.refused.append(f"{error}: {request}")
                return status(400)
            return wanted

        self.receiver.answer = chosen(choose)

    def received(self) -> dict[str, list[Received]]:
        """By webhook-id, in the order of arrival."""
        found: dict[str, list[Received]] = defaultdict(list)
        for request in self.receiver.requests:
            found[request.headers["webhook-id"]].append(request)
        return found


@contextmanager
def watching(
    stockroom: RunningStockroom, answers: Mapping[str, Answers] = ANSWERS
) -> Iterator[dict[str, Watched]]:
    """An endpoint for all events for each of `answers`, by its name; deleted in the end."""
    with ExitStack() as stack:
        found = {}
        for name, given in answers.items():
            found[name] = Watched(stockroom, name, stack.enter_context(Receiver()))
            found[name].answers(given)
        yield found
        for watched in found.values():
            stockroom.request("DELETE", watched.api_url)


def products(stockroom: RunningStockroom) -> list[int]:
    """The ids of a new catalogue of products that no import touches."""
    rows = [Stored(f"by-hand-{n}", "By hand", "", active=True) for n in range(PRODUCTS)]
    stockroom.set_catalogue({row.sku: row for row in rows})
    return [pk for (pk,) in stockroom.query("SELECT id FROM products_product ORDER BY id")]


def paced(work: Callable[[int], Any], numbers: range, per_second: float) -> list[float]:
    """Call `work` with each number when its time has come, or as soon after that as it goes.

    Numbers that are equal modulo THREADS come one after the other, in the same thread. Returns the
    seconds that each took.
    """
    began = time.monotonic()

    def run(first: int) -> list[float]:
        took = []
        for done in range(first, len(numbers), THREADS):
            time.sleep(max(0.0, began + done / per_second - time.monotonic()))
            asked = time.monotonic()
            work(numbers[done])
            took.append(time.monotonic() - asked)
        return took

    with ThreadPoolExecutor(THREADS) as pool:
        return [one for took in pool.map(run, range(THREADS)) for one in took]


def edit(
    stockroom: RunningStockroom,
    ids: Sequence[int],
    numbers: range,
    per_second: float,
    name: str = "edit",
) -> Latencies:
    """Rename products to `edit N` through the API; returns how long that took each time.

    An edit is repeated until it is answered with 200. What is so already is no change, so each
    makes exactly one event, however often it was sent.
    """

    def rename(number: int) -> None:
        until(lambda: _renamed(stockroom, ids[number % len(ids)], f"{name} {number}"), SECONDS)

    return Latencies("answers to edits", paced(rename, numbers, per_second))


def _renamed(stockroom: RunningStockroom, pk: int, name: str) -> bool:
    try:
        stockroom.request("PATCH", f"/api/products/{pk}/", json={"name": name})
    except requests.HTTPError as error:
        # A part of the server is away.
        if error.response.status_code != 503:
            raise AssertionError(error.response.text) from error
        return False
    except (
        requests.ConnectionError,
        requests.Timeout,
        requests.exceptions.ChunkedEncodingError,
    ):
        return False
    return True


def told(stockroom: RunningStockroom, name: str = "edit") -> list[Told]:
    """All events of edits under this name, the oldest first."""
    return [Told(*row) for row in stockroom.query(EVENTS, f"{name} %")]


def undelivered(stockroom: RunningStockroom, watched: Sequence[Watched], name: str = "edit") -> int:
    """How many deliveries of these events to these endpoints have not succeeded yet."""
    ids = [one.id for one in watched]
    return stockroom.query(UNDELIVERED, len(ids), ids, f"{name} %")[0][0]


def check_received(stockroom: RunningStockroom, watched: Watched, events: Sequence[Told]) -> int:
    """All of `events` and nothing else came, and what came twice is explained by an attempt each.

    Returns how many requests came more than once.
    """
    received = watched.received()
    assert set(received) == {event.webhook_id for event in events}
    assert watched.refused == []
    attempts = {
        webhook_id: (made, succeeded)
        for webhook_id, made, succeeded in stockroom.query(ATTEMPTS, watched.id)
    }
    for webhook_id, requests_of_one in received.items():
        made, succeeded = attempts[webhook_id]
        assert succeeded <= len(requests_of_one) <= made, (watched.name, webhook_id)
        assert len({request.body for request in requests_of_one}) == 1
    return sum(len(requests_of_one) - 1 for requests_of_one in received.values())


def first_attempts(watched: Watched, events: Sequence[Told]) -> Latencies:
    """Seconds from the beginning of each edit's transaction to its first request here."""
    received = watched.received()
    return Latencies(
        f"to {watched.name}",
        [
            (received[event.webhook_id][0].at - event.at).total_seconds()
            for event in events
            if event.webhook_id in received
        ],
    )

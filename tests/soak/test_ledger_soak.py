"""The ledger at real minutes: 20,000 messages with ids and 20,000 without while it is killed."""

import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import psycopg2
import pytest

from config.services.engine import Engine
from tests.services.waiting import until
from tests.transactions.ledger import oracle
from tests.transactions.ledger.stage import LedgerStage, body, fresh_database, make_tables

pytestmark = pytest.mark.soak

MESSAGES = 40_000  # half of them with ids
SECONDS = 240.0
KILL_EVERY_SECONDS = (3.0, 12.0)
SEED = 20261122
SAMPLE = len(oracle.SAMPLE_TRANSACTIONS)
# By the specification; what this test itself takes to look is not the ledger's.
TOLERANCE_SECONDS = 1.0
# What is there so long before the minute is in its balances.
BEFORE_SECONDS = 0.05


@pytest.fixture
def stage(
    own_postgres: Callable[[], Engine],
    own_rabbitmq: Callable[[], Engine],
    own_valkey: Callable[[], Engine],
    tmp_path: Path,
) -> Iterator[LedgerStage]:
    url = fresh_database(own_postgres().variables()["DATABASE_URL"])
    connection = psycopg2.connect(url)
    make_tables(connection)
    connection.close()
    made = LedgerStage(
        url,
        own_rabbitmq().variables()["AMQP_URL"],
        own_valkey().variables()["KEYDB_URL"],
        tmp_path,
    )
    made.queue.declare()
    yield made
    made.close()


class Minutes:
    """Looks at the tables right before each real minute, and at KeyDB after its tolerance.

    All amounts are positive: a right balance lies between the sums before and after it.
    """

    def __init__(self, stage: LedgerStage) -> None:
        self.seen: dict[int, dict[str, str]] = {}
        self.before: dict[int, dict[str, str]] = {}
        self.after: dict[int, dict[str, str]] = {}
        self._stage = stage
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            while True:
                minute = (int(time.time()) // 60 + 1) * 60
                if self._stopping.wait(minute - BEFORE_SECONDS - time.time()):
                    return
                before = self._stage.right_balances()
                in_time = time.time() < minute
                if self._stopping.wait(minute + TOLERANCE_SECONDS - time.time()):
                    return
                self.seen[minute] = self._stage.balances()
                self.after[minute] = self._stage.right_balances()
                if in_time:  # else this process had no turn
                    self.before[minute] = before
        except BaseException as error:
            self._failure = error


def spared(now: float) -> bool:
    """Around each second minute nothing is killed, or few would be reached on a slow machine."""
    return not 2 < now % 120 < 105


def test_balances_at_real_minutes_while_it_is_killed(stage: LedgerStage) -> None:
    rng = random.Random(SEED)
    minutes = Minutes(stage)
    process = stage.start(LEDGER_BATCH="100")
    minutes.start()
    kills = sent = 0
    began = time.monotonic()
    next_kill = began + 10
    try:
        while sent < MESSAGES:
            due = int((time.monotonic() - began) / SECONDS * MESSAGES)
            portion = range(sent, min(MESSAGES, max(due, sent + 1)))
            ids = [f"id{n}" if n % 4 < 2 else None for n in portion]
            stage.queue.send(*(body(1 + n % 2, n) for n in portion), ids=ids)
            with_ids = [(n, id_) for n, id_ in zip(portion, ids, strict=True) if id_ is not None]
            again = rng.sample(with_ids, len(with_ids) // 10)
            stage.queue.send(*(body(1 + n % 2, n) for n, _ in again), ids=[id_ for _, id_ in again])
            sent = portion.stop
            if time.monotonic() > next_kill and not spared(time.time()):
                stage.kill(process)
                kills += 1
                process = stage.start(LEDGER_BATCH="100")
                next_kill = time.monotonic() + rng.uniform(*KILL_EVERY_SECONDS)
            minutes._stopping.wait(0.02)
        stage.wait_for_rows(SAMPLE + MESSAGES, 120)
        minute, lateness, failure = stage.wait_for_minute()
        assert (failure, lateness <= TOLERANCE_SECONDS) == ("", True)
        until(lambda: int(minute.timestamp()) in minutes.seen, 10)
    finally:
        minutes.stop()
    assert kills >= 10

    found = sorted(int(value) for _, value in stage.transactions()[SAMPLE:])
    assert found == list(range(MESSAGES))
    assert minutes.seen[int(minute.timestamp())] == stage.right_balances()

    runs = stage.query(
        "SELECT extract(epoch FROM minute)::bigint, lateness_seconds, failure"
        " FROM stockroom_ledger.runs ORDER BY minute"
    )
    reached = 0
    for at, lateness, failure in runs:
        assert failure == ""
        assert 0 <= lateness <= TOLERANCE_SECONDS
        if at in minutes.seen:
            reached += 1
            kept = stage.query(
                "SELECT key, trim_scale(balance)::text FROM stockroom_ledger.balances"
                " WHERE minute = to_timestamp(%s)",
                at,
            )
            assert minutes.seen[at] == dict(kept)
            for key, balance in minutes.seen[at].items():
                assert float(balance) <= float(minutes.after[at][key])
                if at in minutes.before:
                    assert float(minutes.before[at][key]) <= float(balance)
    assert reached >= 2
    print(f"{kills} kills, {reached} minutes reached of {len(minutes.seen)}")
    # No balance changes but at a minute that was reached.
    shown = [minutes.seen[at] for at in sorted(minutes.seen)]
    written = {at for at, _, _ in runs}
    for at, (before, after) in zip(sorted(minutes.seen)[1:], pairwise(shown), strict=True):
        assert at in written or before == after
    process.send(signal.SIGTERM)
    assert process.exit_code() == 0

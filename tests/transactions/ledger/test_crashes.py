"""Each message once, at whatever step of the intake its process is killed."""

import itertools
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from config.services.engine import Engine
from tests.transactions.ledger.lives import Lives
from tests.transactions.ledger.stage import Queue, body, make_tables

SEED = 20261122
# More than one life has, of this many messages.
MOST_STEPS = 120
MESSAGES = 5


@pytest.fixture
def database(connection: Any) -> Any:
    make_tables(connection, sample=False)
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO initial_data (provider_name, initial_value) VALUES ('Visa', 1000)"
        )
    return connection


@pytest.fixture
def queue(rabbitmq: Engine) -> Iterator[Queue]:
    made = Queue(rabbitmq.variables()["AMQP_URL"], "crashes")
    made.declare()
    yield made
    made.delete_all()
    made.close()


@pytest.fixture
def lives(queue: Queue, database: Any, database_url: str) -> Callable[[int], Lives]:
    """`lives(batch)`, with no rows and nothing in the queue."""

    def make(batch: int) -> Lives:
        clear(database)
        return Lives(queue.url, queue.name, database_url, batch=batch)

    return make


def clear(connection: Any) -> None:
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE historical_transactions, stockroom_ledger.inbox, stockroom_ledger.rejects"
            " RESTART IDENTITY"
        )


def amounts(connection: Any) -> list[int]:
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT transaction_value FROM historical_transactions ORDER BY id")
        return [int(value) for (value,) in cursor.fetchall()]


def reasons(connection: Any) -> list[str]:
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT reason FROM stockroom_ledger.rejects ORDER BY id")
        return [reason for (reason,) in cursor.fetchall()]


@pytest.mark.parametrize("ids", [False, True], ids=["without ids", "with ids"])
def test_a_kill_at_every_step(
    lives: Callable[[int], Lives], queue: Queue, database: Any, ids: bool
) -> None:
    """Equal messages, in batches of two, and what is refused among them."""
    wrong = {}
    for kill_at in range(1, MOST_STEPS):
        run = lives(2)
        names = [f"{kill_at}-{number}" if ids else None for number in range(MESSAGES + 1)]
        queue.send(*MESSAGES * [body(1, 600)], b"no json", ids=names)
        killed = not run.live(kill_at)
        assert run.live()
        if amounts(database) != MESSAGES * [600] or reasons(database) != ["not_json"]:
            wrong[kill_at] = amounts(database), reasons(database)
        if not killed:
            break
    else:
        pytest.fail("it never ended")
    assert wrong == {}


@pytest.mark.parametrize(
    "pairs",
    [pytest.param(20, id="some"), pytest.param(None, id="all", marks=pytest.mark.soak)],
)
def test_two_kills_at_any_two_steps(
    lives: Callable[[int], Lives], queue: Queue, database: Any, pairs: int | None
) -> None:
    """The second one while the next message, which looks like the first, is on its way."""
    steps = range(8, 40)
    chosen = list(itertools.product(steps, steps))
    if pairs is not None:
        chosen = random.Random(SEED).sample(chosen, pairs)
    wrong = {}
    for kills in chosen:
        run = lives(2)
        for kill_at in kills:
            queue.send(body())
            run.live(kill_at)
        assert run.live()
        if amounts(database) != [600, 600]:
            wrong[kills] = amounts(database)
    assert wrong == {}


def test_a_batch_of_before_that_is_larger_than_those_of_now(
    lives: Callable[[int], Lives], queue: Queue, database: Any
) -> None:
    """LEDGER_BATCH was lowered between a crash after the commit and the next start."""
    came_again = 0
    for kill_at in range(10, 30):
        run = lives(6)
        queue.send(*(body(1, number) for number in range(6)))
        run.live(kill_at)
        came_again += len(amounts(database)) == 6 and queue.waiting() == 6
        run.batch = 2
        assert run.live()
        assert amounts(database) == list(range(6)), kill_at
    assert came_again


def test_equal_messages_and_kills_at_random(
    lives: Callable[[int], Lives], queue: Queue, database: Any
) -> None:
    rng = random.Random(SEED)
    run = lives(3)
    wanted = []
    for _ in range(30):
        sent = [rng.choice([1, 1, 2]) for _ in range(rng.randrange(8))]
        queue.send(*(body(1, value) for value in sent))
        wanted += sent
        run.live(rng.randrange(1, 60))
    assert run.live()
    assert amounts(database) == wanted

"""Performance by real Celery workers (prefork) and functions that fail, overrun and kill."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import redis
from celery.schedules import crontab
from django.conf import settings as project
from pytest_django import Settings

from config.celery import app
from config.services.spawn import kill_tree
from streaming.prices import minute as minutes
from streaming.prices import tasks
from streaming.prices.stocks import Stock
from tests.consumers.processes import Process, alive
from tests.services.waiting import until

from . import calculating, functions
from .calculating import Prices

# Two that share a broker share its messages: the one that serves many tests has its own.
BROKER, STRICT_BROKER = 12, 14
SECONDS = 120.0  # for anything that has to happen, on a machine that does much else
TWO, THREE, FOUR = ("-c", "2"), ("-c", "3"), ("-c", "4")


class Worker:
    """A worker of the queue `performance`, as config/services/processes.py starts it."""

    def __init__(
        self, folder: Path, address: str, *options: str, broker: int = BROKER, **environment: str
    ) -> None:
        self.broker = f"{address.rpartition('/')[0]}/{broker}"
        self.process = Process(
            [
                *("-m", "celery", "-A", "config.celery", "worker", "-Q", "performance"),
                *("--pool", "prefork", "-O", "fair", "--without-gossip", "--without-mingle"),
                *options,
            ],
            {
                "REDIS_URL": self.broker,
                "PRICES_REDIS_URL": calculating.url(address),
                "PRICES_PERFORMANCE": "tests.streaming.prices.functions.by_price",
                "PRICES_PERFORMANCE_SECONDS": "45",
                "CELERY_SKIP_CHECKS": "1",
                **environment,
            },
            folder / f"worker{len(list(folder.iterdir()))}.log",
        )

    def signal(self, number: signal.Signals) -> None:
        """To the worker and all its children."""
        for each in alive(self.process):
            each.send_signal(number)

    def kill(self) -> None:
        kill_tree(self.process.child)


@contextmanager
def working(
    folder: Path, *options: str, broker: int = BROKER, **environment: str
) -> Iterator[Worker]:
    address = os.environ["PRICES_REDIS_URL"]
    worker = Worker(folder, address, *options, broker=broker, **environment)
    try:
        wait_for_words(worker, "ready.")
        yield worker
    finally:
        worker.kill()


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """One whose calculations may take 3 seconds: enough for the others on a busy machine."""
    folder = tmp_path_factory.mktemp("strict")
    limit = {"PRICES_PERFORMANCE_SECONDS": "3"}
    with working(folder, *TWO, broker=STRICT_BROKER, **limit) as worker:
        yield worker


@pytest.fixture
def prices(settings: Settings) -> Iterator[Prices]:
    address = calculating.url(settings.PRICES_REDIS_URL)
    settings.PRICES_REDIS_URL = address
    prices = Prices(address)
    yield prices
    prices.close()


def ask(worker: Worker, minute: int) -> None:
    """What beat sends, but for the minute."""
    with app.connection_for_write(worker.broker) as connection:
        tasks.ask.apply_async((minute,), connection=connection)


def stock(prices: Prices, name: str) -> Stock:
    found = prices.store.stock(name)
    assert found is not None
    return found


def calls(prices: Prices, price: int) -> list[int]:
    """The processes that the function was called in with this price."""
    found = [each.split() for each in prices.client.lrange(functions.CALLS, 0, -1)]
    return [int(pid) for called_with, pid in found if called_with == str(price)]


def wait(worker: Worker, condition: Callable[[], object]) -> None:
    try:
        until(condition, SECONDS)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{worker.process.log}") from None


def wait_for_words(worker: Worker, words: str) -> None:
    wait(worker, lambda: words in worker.process.log)


def wait_for_call(worker: Worker, prices: Prices, price: int, times: int = 1) -> list[int]:
    wait(worker, lambda: len(calls(prices, price)) >= times)
    return calls(prices, price)


def wait_for_result(worker: Worker, prices: Prices, name: str, result: int) -> None:
    wait(worker, lambda: stock(prices, name).performance == str(result))


def wait_for_failure(worker: Worker, prices: Prices, name: str, words: str) -> None:
    wait(worker, lambda: words in prices.failure(name))


def release(prices: Prices, count: int = 1) -> None:
    prices.client.rpush(functions.RELEASE, *["go"] * count)


def test_only_what_has_changed_is_calculated_and_written(strict: Worker, prices: Prices) -> None:
    prices.apply([("stock1", 100), ("stock2", 200), ("stock3", "0.25")])
    ask(strict, prices.next_minute())
    wait_for_result(strict, prices, "stock1", 200)
    wait_for_result(strict, prices, "stock2", 400)
    wait(strict, lambda: stock(prices, "stock3").performance == "0.5")

    prices.add("stock2", *range(201, 371))
    number = prices.next_minute()
    ask(strict, number)
    ask(strict, number)
    wait_for_result(strict, prices, "stock2", 740)

    made = prices.client.lrange(functions.CALLS, 0, -1)
    assert sorted(each.split()[0] for each in made) == ["0.25", "100", "200", "370"]
    assert prices.value("stock2")["price"] == [200, *range(201, 371)]
    assert prices.value("stock2")["performance"] == 740


@pytest.mark.parametrize(
    ("price", "words"),
    [
        (functions.RAISES, "ValueError: no use for 10 at all ?"),
        (functions.NAN, "The function gave nan, which is no finite number."),
        (functions.TEXT, "The function gave 'much', which is no number."),
        (functions.EXITS, "SystemExit: 3"),
        (functions.SLEEPS, "The calculation took longer than 3 s."),
    ],
)
def test_a_failure_is_told_once_a_minute_and_harms_no_other(
    strict: Worker, prices: Prices, price: int, words: str
) -> None:
    before = {each.pid for each in alive(strict.process)}
    prices.apply([("stock1", price), ("stock2", 100)])
    for turn in (1, 2):
        ask(strict, prices.next_minute())
        wait(strict, lambda turn=turn: len(calls(prices, price)) == turn)
        wait_for_failure(strict, prices, "stock1", words)
        wait_for_result(strict, prices, "stock2", 200)

    prices.add("stock1", 300)
    ask(strict, prices.next_minute())

    wait_for_result(strict, prices, "stock1", 600)
    assert prices.failure("stock1") == ""
    if price != functions.SLEEPS:  # on a busy machine it may hear of its end too late
        assert {each.pid for each in alive(strict.process)} == before, "no process was lost"
    assert len(calls(prices, price)) == 2


@pytest.mark.parametrize("price", [functions.DEAF, functions.DIES])
def test_a_process_that_is_ended_costs_its_calculation_alone(
    strict: Worker, prices: Prices, price: int
) -> None:
    """By itself, or by Celery since it does not hear that its time is over."""
    prices.add("stock1", price)
    ask(strict, prices.next_minute())
    (pid,) = wait_for_call(strict, prices, price)
    wait(strict, lambda: not psutil.pid_exists(pid))

    prices.add("stock2", 100)
    ask(strict, prices.next_minute())  # the message that came again begins nothing in between
    wait_for_result(strict, prices, "stock2", 200)
    wait_for_call(strict, prices, price, times=2)

    assert "did not finish" in prices.failure("stock1")
    assert len(calls(prices, price)) == 2
    prices.add("stock1", 300)
    ask(strict, prices.next_minute())
    wait_for_result(strict, prices, "stock1", 600)
    assert prices.failure("stock1") == ""
    assert strict.process.child.poll() is None


def test_a_killed_process_of_the_pool_is_made_up_for_in_the_next_minute(
    prices: Prices, tmp_path: Path
) -> None:
    with working(tmp_path, *TWO) as worker:
        prices.add("stock1", functions.HELD)
        ask(worker, prices.next_minute())
        (pid,) = wait_for_call(worker, prices, functions.HELD)
        os.kill(pid, signal.SIGKILL)
        wait(worker, lambda: not psutil.pid_exists(pid))
        release(prices)

        ask(worker, prices.next_minute())

        wait_for_result(worker, prices, "stock1", 2 * functions.HELD)
        pids = calls(prices, functions.HELD)
        assert len(pids) == 2
        assert pids[0] != pids[1]


def test_each_has_a_process_of_its_own_and_waits_behind_none(
    prices: Prices, tmp_path: Path
) -> None:
    with working(tmp_path, *FOUR) as worker:
        prices.apply([(f"stock{number}", functions.HELD) for number in range(1, 4)])
        prices.apply([(f"stock{number}", 100) for number in range(4, 21)])

        ask(worker, prices.next_minute())

        # Three of four processes are held; all that remains is done by the fourth.
        for number in range(4, 21):
            wait_for_result(worker, prices, f"stock{number}", 200)
        assert len(set(wait_for_call(worker, prices, functions.HELD, times=3))) == 3
        release(prices, 3)
        for number in range(1, 4):
            wait_for_result(worker, prices, f"stock{number}", 2 * functions.HELD)


def test_rows_that_come_while_it_is_calculated_stay(prices: Prices, tmp_path: Path) -> None:
    with working(tmp_path, *TWO) as worker:
        prices.add("stock1", functions.HELD)
        ask(worker, prices.next_minute())
        wait_for_call(worker, prices, functions.HELD)
        prices.add("stock1", 100, "", 200)
        prices.add("stock2", 300)
        release(prices)
        wait_for_result(worker, prices, "stock1", 2 * functions.HELD)
        assert prices.value("stock1")["price"] == [functions.HELD, 100, "", 200]

        ask(worker, prices.next_minute())

        wait_for_result(worker, prices, "stock1", 400)
        wait_for_result(worker, prices, "stock2", 600)
        assert calls(prices, 100) == []


def test_the_whole_worker_killed_is_made_up_for_by_the_next(prices: Prices, tmp_path: Path) -> None:
    with working(tmp_path, *TWO) as worker:
        prices.apply([(f"stock{number}", functions.HELD) for number in range(1, 6)])
        ask(worker, prices.next_minute())
        wait_for_call(worker, prices, functions.HELD, times=2)
        worker.kill()
    assert alive(worker.process) == []
    prices.add("stock1", 100)
    release(prices, 10)

    with working(tmp_path, *TWO) as worker:
        ask(worker, prices.next_minute())

        wait_for_result(worker, prices, "stock1", 200)
        for number in range(2, 6):
            wait_for_result(worker, prices, f"stock{number}", 2 * functions.HELD)
        assert [prices.failure(f"stock{number}") for number in range(1, 6)] == [""] * 5


def test_a_frozen_worker_that_comes_back_changes_nothing(prices: Prices, tmp_path: Path) -> None:
    with working(tmp_path, *TWO, "-n", "frozen@%h") as frozen:
        prices.add("stock1", functions.HELD)
        ask(frozen, prices.next_minute())
        (pid,) = wait_for_call(frozen, prices, functions.HELD)
        frozen.signal(signal.SIGSTOP)
        prices.add("stock1", 100)
        release(prices)

        with working(tmp_path, *TWO, "-n", "other@%h") as other:
            ask(other, prices.next_minute())
            wait_for_result(other, prices, "stock1", 200)
            before = prices.client.get("stock1")
            frozen.signal(signal.SIGCONT)

            wait_for_words(frozen, "too late")

            assert prices.client.get("stock1") == before
            assert stock(prices, "stock1").calculated_price == "100"
            assert prices.failure("stock1") == ""
            assert calls(prices, functions.HELD) == [pid]


def test_a_stopped_worker_ends_what_it_has_begun(prices: Prices, tmp_path: Path) -> None:
    with working(tmp_path, *TWO) as worker:
        prices.add("stock1", functions.HELD)
        ask(worker, prices.next_minute())
        wait_for_call(worker, prices, functions.HELD)
        worker.process.send(signal.SIGTERM)
        wait_for_words(worker, "Warm shutdown")
        release(prices)

        assert worker.process.exit_code(SECONDS) == 0, worker.process.log

    assert prices.value("stock1")["performance"] == 2 * functions.HELD


def test_a_message_that_comes_again_begins_nothing(strict: Worker, prices: Prices) -> None:
    prices.add("stock1", 100)
    number = prices.next_minute()
    ask(strict, number)
    wait_for_result(strict, prices, "stock1", 200)
    with app.connection_for_write(strict.broker) as connection:
        for _ in range(5):
            tasks.calculate.apply_async(("stock1", "100", number), connection=connection)
    prices.add("stock2", 300)
    ask(strict, prices.next_minute())
    wait_for_result(strict, prices, "stock2", 600)
    wait(strict, lambda: not queued(strict.broker))

    assert len(calls(prices, 100)) == 1


def queued(broker: str) -> list[dict]:
    """Messages of the queue, the oldest first."""
    with redis.Redis.from_url(broker) as client:
        return [json.loads(each) for each in reversed(client.lrange("performance", 0, -1))]


def test_messages_say_when_it_is_too_late_to_begin(prices: Prices, settings: Settings) -> None:
    settings.PRICES_PERFORMANCE_SECONDS = 10.0
    prices.apply([("stock1", 100), ("stock2", 200)])
    number = prices.next_minute()
    broker = redis.Redis.from_url(settings.REDIS_URL)
    broker.delete("performance")

    tasks.ask(number)
    tasks.ask(number)
    tasks.ask(1)

    found = queued(settings.REDIS_URL)
    broker.delete("performance")
    broker.close()
    assert [each["headers"]["argsrepr"] for each in found] == [
        f"('stock1', '100', {number})",
        f"('stock2', '200', {number})",
    ]
    latest = minutes.last_start(number)
    assert latest == (number + 1) * 60 - 10
    for each in found:
        assert minutes.datetime.fromisoformat(each["headers"]["expires"]).timestamp() == latest


def test_a_calculation_has_its_own_limits_within_those_of_all_tasks() -> None:
    soft, hard = tasks.calculate.soft_time_limit, tasks.calculate.time_limit

    assert soft == project.PRICES_PERFORMANCE_SECONDS
    assert hard == soft + tasks.GRACE_SECONDS
    assert app.conf.task_soft_time_limit > 45 + tasks.GRACE_SECONDS


def test_beat_asks_each_full_minute_and_only_as_long_as_there_is_time() -> None:
    entry = app.conf.beat_schedule["ask-for-performance"]

    assert entry["task"] == tasks.ask.name == "streaming.prices.tasks.ask"
    assert entry["schedule"] == crontab()
    assert entry["options"] == {
        "queue": "performance",
        "expires": 60 - project.PRICES_PERFORMANCE_SECONDS,
    }

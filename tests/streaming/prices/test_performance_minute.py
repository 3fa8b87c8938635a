"""Minutes of performance on a real Valkey, in this process: what is asked for, once, and kept."""

import json
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from pytest_django import Settings

from streaming.prices import minute
from streaming.prices.calculations import Asked
from streaming.prices.stocks import Stock
from streaming.prices.store import Store
from tests.services.waiting import until

from . import calculating, functions
from .calculating import Prices

NOW = 1_800_000_000.0 + 30.0


@pytest.fixture
def prices(settings: Settings) -> Iterator[Prices]:
    settings.PRICES_REDIS_URL = calculating.url(settings.PRICES_REDIS_URL)
    settings.PRICES_PERFORMANCE = "tests.streaming.prices.functions.hooked"
    prices = Prices(settings.PRICES_REDIS_URL)
    yield prices
    prices.close()


Calls = list[int | float]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Prices the function was called with; it doubles them."""
    made: Calls = []

    def double(price: int | float) -> int | float:
        made.append(price)
        return price * 2

    monkeypatch.setattr(functions, "hook", double)
    return made


def run(prices: Prices) -> list[Asked]:
    """A whole minute: what was asked for, all of it calculated."""
    asked = prices.ask()
    for each in asked:
        minute.calculate(prices.store, each, time.time())
    return asked


# What is calculated


def test_170_prices_between_two_minutes_cause_one_calculation(prices: Prices, calls: Calls) -> None:
    prices.add("stock1", 5)
    run(prices)
    for price in range(100, 270):
        prices.add("stock1", price)

    run(prices)

    assert calls == [5, 269]
    assert prices.value("stock1")["performance"] == 538


def test_no_change_causes_none(prices: Prices, calls: Calls) -> None:
    prices.add("stock1", 5)
    run(prices)

    assert run(prices) == []
    prices.add("stock1", 5, 5, 5)
    assert run(prices) == []
    assert calls == [5]


def test_a_change_that_is_taken_back_is_none(prices: Prices, calls: Calls) -> None:
    prices.add("stock1", 5)
    run(prices)
    prices.add("stock1", 6)
    prices.add("stock1", 5)

    assert run(prices) == []
    assert calls == [5]


def test_rows_without_a_price_cause_none(prices: Prices, calls: Calls) -> None:
    prices.add("stock1", "", "")
    assert run(prices) == []
    prices.add("stock1", 5, "", "")
    run(prices)
    prices.add("stock1", "")

    assert run(prices) == []
    assert calls == [5]


def test_only_the_stocks_that_changed_are_calculated(prices: Prices, calls: Calls) -> None:
    prices.apply([("stock1", 1), ("stock2", 2), ("stock3", 3)])
    run(prices)
    calls.clear()
    prices.add("stock2", 4)

    assert [each.stock for each in run(prices)] == ["stock2"]
    assert calls == [4]


def test_zero_and_fractions_are_prices(prices: Prices, calls: Calls) -> None:
    prices.apply([("stock1", 0), ("stock2", "12.5")])

    run(prices)

    assert [(each, type(each)) for each in calls] == [(0, int), (12.5, float)]
    assert prices.value("stock2")["performance"] == 25.0
    assert run(prices) == []


def test_the_result_is_all_that_changes(prices: Prices, calls: Calls) -> None:
    prices.add("stock1", 5, "", 7)
    before = prices.client.get("stock1")
    assert isinstance(before, str)

    run(prices)

    assert prices.client.get("stock1") == before.replace('"performance":0', '"performance":14')
    stock = prices.store.stock("stock1")
    assert stock is not None
    assert (stock.calculated_price, stock.performance, stock.failure) == ("7", "14", "")
    assert stock.calculated_at is not None
    assert stock.calculation_seconds is not None


def test_those_that_waited_longest_come_first(prices: Prices, calls: Calls) -> None:
    """Or those with the highest ids would have no turn where there is more than a minute holds."""
    names = ["stock1", "stock2", "stock3", "stock4"]
    turns = []
    for price in range(1, 5):
        prices.apply([(name, price) for name in names])
        asked = prices.ask()
        for each in asked[:2]:
            minute.calculate(prices.store, each, time.time())
            turns.append(each.stock)

    assert turns == names * 2


# While prices arrive


def test_a_price_that_arrives_in_a_calculation_causes_one_in_the_next_minute(
    prices: Prices, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: Calls = []

    def meanwhile(price: int | float) -> int | float:
        calls.append(price)
        if price == 5:
            prices.add("stock1", 6, "", 7)
        return price

    monkeypatch.setattr(functions, "hook", meanwhile)
    prices.add("stock1", 5)

    run(prices)
    after_first = prices.value("stock1")
    run(prices)

    assert calls == [5, 7]
    assert (after_first["price"], after_first["performance"]) == ([5, 6, "", 7], 5)
    assert prices.value("stock1")["performance"] == 7
    assert run(prices) == []


def test_a_price_that_goes_back_in_a_calculation_causes_one_again(
    prices: Prices, monkeypatch: pytest.MonkeyPatch
) -> None:
    prices.add("stock1", 5)
    monkeypatch.setattr(functions, "hook", lambda price: price)
    run(prices)
    prices.add("stock1", 6)
    monkeypatch.setattr(functions, "hook", lambda price: prices.add("stock1", 5) or price)

    run(prices)

    assert prices.value("stock1")["performance"] == 6
    assert [each.price for each in run(prices)] == ["5"]


def test_no_row_is_lost_where_results_are_written_all_the_time(
    prices: Prices, calls: Calls, workers: Callable[..., Future]
) -> None:
    ended = threading.Event()

    def calculate() -> int:
        store, done = Store(prices.store.client), 0
        while not ended.is_set():
            for each in store.ask(prices.next_minute()):
                done += minute.calculate(store, each, time.time())
        return done

    done = workers(calculate)
    expected: dict[str, list[int]] = {"stock1": [], "stock2": []}
    try:
        for price in range(1, 401):
            for prices_of in expected.values():
                prices_of.append(price)
            prices.apply([(name, price) for name in expected])
        # And results were written meanwhile, however slow the machine is.
        until(lambda: len(calls) > 20 or done.done())
    finally:
        ended.set()

    assert done.result() > 0
    for name, prices_of in expected.items():
        assert prices.value(name)["price"] == prices_of
        assert len(prices.value(name)["time"]) == len(prices_of)
    run(prices)
    assert {prices.value(name)["performance"] for name in expected} == {2 * 400}


# Once


def test_a_minute_is_asked_for_once(prices: Prices) -> None:
    prices.apply([("stock1", 1), ("stock2", 2)])
    number = prices.next_minute()

    assert len(prices.store.ask(number)) == 2
    assert prices.store.ask(number) == []
    assert Store(prices.store.client).ask(number) == []
    assert prices.store.ask(number - 1) == []


def test_one_clock_that_ran_ahead_once_stops_nothing(prices: Prices) -> None:
    prices.add("stock1", 1)
    number = prices.next_minute()
    prices.store.ask(number + 1440)

    assert len(prices.store.ask(number)) == 1


def test_of_many_who_ask_at_the_same_time_one_gets_an_answer(
    prices: Prices, workers: Callable[..., Future]
) -> None:
    prices.apply([(f"stock{number}", 1) for number in range(1, 21)])
    number = prices.next_minute()
    stores = [Store(prices.store.client) for _ in range(8)]

    found = [workers(store.ask, number) for store in stores]

    assert sorted(len(each.result()) for each in found) == [0] * 7 + [20]


def test_a_calculation_is_made_once(
    prices: Prices, calls: Calls, workers: Callable[..., Future]
) -> None:
    prices.add("stock1", 5)
    (asked,) = prices.ask()

    found = [
        workers(minute.calculate, Store(prices.store.client), asked, time.time()) for _ in range(8)
    ]

    assert sorted(each.result() for each in found) == [False] * 7 + [True]
    assert not minute.calculate(prices.store, asked, time.time())
    assert calls == [5]


# Failures


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("tests.streaming.prices.functions.none", "AttributeError"),
        ("no.such", "no.such can't be loaded: ModuleNotFoundError"),
    ],
)
def test_a_function_that_is_not_there_is_told_and_made_up_for(
    prices: Prices, calls: Calls, settings: Settings, path: str, words: str
) -> None:
    right, settings.PRICES_PERFORMANCE = settings.PRICES_PERFORMANCE, path
    prices.add("stock1", 5)
    run(prices)
    assert words in prices.failure("stock1")
    assert prices.value("stock1")["performance"] == 0

    settings.PRICES_PERFORMANCE = right
    run(prices)

    assert prices.failure("stock1") == ""
    assert prices.value("stock1")["performance"] == 10


def test_a_failure_is_told_and_the_old_result_kept_until_the_next_minute(
    prices: Prices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(functions, "hook", lambda price: price)
    prices.add("stock1", 5)
    run(prices)
    prices.add("stock1", 6)
    monkeypatch.setattr(functions, "hook", lambda price: 1 / 0)
    for _ in range(3):
        assert [each.price for each in run(prices)] == ["6"]
        assert prices.failure("stock1") == "ZeroDivisionError: division by zero"
        assert prices.value("stock1")["performance"] == 5

    monkeypatch.setattr(functions, "hook", lambda price: price)
    assert len(run(prices)) == 1

    assert prices.failure("stock1") == ""
    assert prices.value("stock1")["performance"] == 6


def test_a_failure_is_over_when_the_price_is_the_one_calculated_with_again(
    prices: Prices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(functions, "hook", lambda price: price)
    prices.add("stock1", 5)
    run(prices)
    monkeypatch.setattr(functions, "hook", lambda price: 1 / 0)
    prices.add("stock1", 6)
    run(prices)
    prices.add("stock1", 5)

    assert run(prices) == []

    assert prices.failure("stock1") == ""


def test_one_that_overran_is_told_and_made_again(
    prices: Prices, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.PRICES_PERFORMANCE_SECONDS = 10.0

    def overrun(price: object) -> None:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(functions, "hook", overrun)
    prices.add("stock1", 5)

    assert len(run(prices)) == 1

    assert prices.failure("stock1") == "The calculation took longer than 10 s."
    assert len(prices.ask()) == 1


@pytest.mark.parametrize("method", ["begin", "finish", "fail"])
def test_an_end_of_time_that_comes_while_redis_is_asked_leaves_no_answer_behind(
    prices: Prices, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """The answer to one command must not become that of the next."""
    monkeypatch.setattr(functions, "hook", lambda price: "x" if method == "fail" else price)
    prices.add("stock1", 5)
    (asked,) = prices.ask()
    connection = prices.store.client.connection_pool.get_connection()
    read = connection.read_response
    prices.store.client.connection_pool.release(connection)

    def interrupted(*arguments: object, **options: object) -> object:
        if _callers() == [method]:
            monkeypatch.undo()
            raise SoftTimeLimitExceeded
        return read(*arguments, **options)

    monkeypatch.setattr(type(connection), "read_response", interrupted)

    minute.calculate(prices.store, asked, time.time())

    assert prices.store.client.ping() is True
    assert prices.store.stock("stock1") is not None


def _callers() -> list[str]:
    """Functions of calculations.py on the stack."""
    return [each.name for each in traceback.extract_stack() if "calculations.py" in each.filename]


def test_one_that_died_without_a_word_is_told_and_made_again(prices: Prices) -> None:
    prices.add("stock1", 5)
    (asked,) = prices.ask()
    assert prices.store.begin(asked)

    (again,) = prices.ask()

    assert "did not finish" in prices.failure("stock1")
    assert again.minute == asked.minute + 1
    assert prices.store.begin(again)


def test_one_that_was_never_begun_is_told_and_asked_for_again(prices: Prices) -> None:
    prices.add("stock1", 5)
    prices.ask()

    assert len(prices.ask()) == 1

    assert "did not begin" in prices.failure("stock1")


@pytest.mark.parametrize("ends", ["finish", "fail"])
def test_a_late_result_of_an_older_minute_changes_nothing(prices: Prices, ends: str) -> None:
    prices.add("stock1", 5)
    (old,) = prices.ask()
    assert prices.store.begin(old)
    prices.add("stock1", 6)
    (new,) = prices.ask()
    assert prices.store.begin(new)
    before = prices.store.stock("stock1")

    if ends == "finish":
        assert not prices.store.finish(old, "7", 1.0)
    else:
        assert not prices.store.fail(old, "too late")
    assert not prices.store.begin(old)

    assert prices.store.stock("stock1") == before
    assert prices.store.finish(new, "8", 1.0)
    assert prices.value("stock1")["performance"] == 8
    assert not prices.store.finish(old, "7", 1.0)
    assert prices.value("stock1")["performance"] == 8


# Time


def test_what_comes_a_little_early_is_meant_for_the_next_minute() -> None:
    assert [minute.current(60 * 7 + second) for second in (-1.5, -0.5, 0, 58.5)] == [6, 7, 7, 7]
    assert minute.current(60 * 7 + 59.5) == 8


def test_nothing_begins_that_might_not_end_within_its_minute(
    prices: Prices, calls: Calls, settings: Settings
) -> None:
    settings.PRICES_PERFORMANCE_SECONDS = 10.0
    prices.add("stock1", 5)
    (asked,) = prices.ask()
    end = (asked.minute + 1) * 60

    assert not minute.calculate(prices.store, asked, end - 9.9)
    assert calls == []
    assert minute.calculate(prices.store, asked, end - 10.1)
    assert calls == [5]


def test_a_minute_that_is_almost_over_is_not_asked_for(prices: Prices, settings: Settings) -> None:
    settings.PRICES_PERFORMANCE_SECONDS = 10.0
    prices.add("stock1", 5)
    number = prices.next_minute()
    end = (number + 1) * 60

    assert minute.ask(prices.store, number, end - 9.9) == []
    assert len(minute.ask(prices.store, number, end - 10.1)) == 1


# What people are told


def stock(name: str, latest: str, calculated: str, failure: str = "", at: float = 0.0) -> Stock:
    return Stock(
        name,
        1,
        latest=latest,
        calculated_price=calculated,
        failure=failure,
        failed_at=at if failure else None,
    )


THIS = minute.current(NOW)


@pytest.mark.parametrize(
    ("asked", "stocks", "says"),
    [
        (None, [], ""),
        (None, [stock("stock1", "", "")], ""),
        (None, [stock("stock1", "5", "5")], ""),
        (None, [stock("stock1", "5", "")], "Nobody has asked for performance yet"),
        (THIS, [stock("stock1", "5", "")], ""),
        (THIS - 2, [stock("stock1", "5", "")], ""),
        (THIS - 3, [stock("stock1", "5", "5")], ""),
        (THIS - 3, [stock("stock1", "5", "4")], "since 2027-01-15 07:57 UTC: the processes `beat`"),
        (
            THIS,
            [
                stock("stock1", "5", "4", "First.", 1.0),
                stock("stock2", "5", "4", "Second.", 2.0),
                stock("stock3", "5", "5"),
            ],
            "No new performance of 2 of 3 stocks, the last of stock2: Second.",
        ),
    ],
)
def test_trouble_is_told_in_words(asked: int | None, stocks: list[Stock], says: str) -> None:
    told = minute.trouble(asked, stocks, NOW)

    assert says in told
    assert bool(says) == bool(told)


def test_the_last_minute_that_was_asked_for_is_known(prices: Prices) -> None:
    assert prices.store.asked_minute() is None
    number = prices.next_minute()
    prices.store.ask(number)

    assert prices.store.asked_minute() == number


def test_values_stay_valid_whatever_number_comes_out(
    prices: Prices, monkeypatch: pytest.MonkeyPatch
) -> None:
    prices.add("stock1", 1)
    results: list[int | float] = [0, -1, 1e300, 0.1, 10**30, -0.0, 5e-324]
    for price, given in enumerate(results, 2):
        monkeypatch.setattr(functions, "hook", lambda _, given=given: given)
        prices.add("stock1", price)
        run(prices)
        assert prices.value("stock1")["performance"] == given
        assert json.dumps(prices.value("stock1"), separators=(",", ":")) == prices.client.get(
            "stock1"
        )

"""Which calculations are asked for and which results count, in any order of events.

A state machine: prices come, minutes begin, calculations begin, end, fail, end too late or twice.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from streaming.prices import store
from streaming.prices.calculations import Asked
from tests.streaming.prices import oracle
from tests.streaming.prices.judge import Judge, some, value_of

NAMES = ["stock1", "stock2", "gold"]
# Few, so that prices come back; some differ by less than a double or a 14-digit text can tell.
PRICES = ["", "0", "1", "12.5", "123456789012.123456", "123456789012.123457"]
TOKENS = ["0", "7", "-1.25", "123456789012345"]


@dataclass
class Expected:
    """What is known of the calculations of one stock."""

    latest: Decimal | None = None
    calculated: Decimal | None = None
    performance: Any = 0
    asked: Asked | None = None
    began: bool = False
    failure: bool = False


class Machine(RuleBasedStateMachine):
    """A store and its model; `valkey` is set by the test."""

    valkey: redis.Redis
    calculations = Bundle("calculations")

    def __init__(self) -> None:
        super().__init__()
        self.valkey.flushdb()
        self.judge = Judge(self.valkey)
        self.stocks: dict[str, Expected] = {}
        self.minute = 1000

    @rule(name=st.sampled_from(NAMES), prices=st.lists(st.sampled_from(PRICES), min_size=1))
    def rows(self, name: str, prices: list[str]) -> None:
        self.judge.apply("csv", some(*(f"{name} 090000 {price}" for price in prices)))
        known = self.stocks.setdefault(name, Expected())
        known.latest = self.judge.oracle.latest(name)

    @rule(target=calculations, step=st.integers(1, 3))
    def next_minute(self, step: int) -> Any:
        self.minute += step
        found = self.judge.store.ask(self.minute)
        expected = set()
        for name, known in self.stocks.items():
            if known.latest is None or known.latest == known.calculated:
                known.asked, known.began, known.failure = None, False, False
                continue
            known.failure |= known.asked is not None
            known.asked = Asked(name, str(known.latest), self.minute)
            known.began = False
            expected.add(known.asked)
        assert len(found) == len(expected)
        assert set(found) == expected
        return multiple(*found)

    @rule(back=st.integers(0, 2))
    def same_minute(self, back: int) -> None:
        """Sent twice, by two clocks, or again by the broker."""
        if self.minute > 1000:
            assert self.judge.new_store().ask(self.minute - back) == []

    @rule(asked=calculations)
    def begin(self, asked: Asked) -> None:
        known = self.stocks[asked.stock]
        expected = known.asked == asked and not known.began
        assert self.judge.store.begin(asked) is expected
        known.began |= expected

    @rule(asked=calculations, token=st.sampled_from(TOKENS))
    def finish(self, asked: Asked, token: str) -> None:
        known = self.stocks[asked.stock]
        expected = known.asked == asked
        assert self.judge.store.finish(asked, token, 3.0) is expected
        if expected:
            known.performance = oracle.loads(token)
            self.judge.oracle.values[asked.stock]["performance"] = known.performance
            known.calculated = Decimal(asked.price)
            known.asked, known.began, known.failure = None, False, False

    @rule(asked=calculations)
    def fail(self, asked: Asked) -> None:
        known = self.stocks[asked.stock]
        expected = known.asked == asked
        assert self.judge.store.fail(asked, "no luck") is expected
        if expected:
            known.asked, known.began, known.failure = None, False, True

    @rule()
    def restart(self) -> None:
        self.judge.store = self.judge.new_store()

    @invariant()
    def all_is_right(self) -> None:
        self.judge.assert_right()
        shown = {each.name: each for each in self.judge.store.stocks()}
        assert shown.keys() == self.stocks.keys()
        for name, known in self.stocks.items():
            stock = shown[name]
            assert oracle.loads(stock.performance) == known.performance
            assert stock.calculated_price == str(
                "" if known.calculated is None else known.calculated
            )
            assert (stock.calculated_at is None) == (known.calculated is None)
            assert stock.asked == (known.asked.minute if known.asked else None)
            assert (stock.began_at is not None) is known.began
            assert bool(stock.failure) is known.failure is (stock.failed_at is not None)


def test_any_order_of_events(valkey: redis.Redis) -> None:
    run_state_machine_as_test(
        type("MachineOfTest", (Machine,), {"valkey": valkey}),
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


def _calculate(judge: Judge, minute: int, token: str = "0") -> list[str]:
    """Names of what that minute calculates."""
    names = []
    for asked in judge.store.ask(minute):
        assert judge.store.begin(asked)
        assert judge.store.finish(asked, token, 3.0)
        names.append(asked.stock)
    return sorted(names)


def test_170_updates_of_a_price_between_two_minutes_cause_one_calculation(
    valkey: redis.Redis,
) -> None:
    judge = Judge(valkey)
    judge.apply("csv", some("stock1 090000 1", "stock2 090000 1"))
    assert _calculate(judge, 1) == ["stock1", "stock2"]
    for number in range(170):
        judge.apply("csv", some(f"stock1 0901{number % 60:02} {number + 2}"))
    assert _calculate(judge, 2) == ["stock1"]
    assert _calculate(judge, 3) == []


def test_a_price_that_comes_back_within_the_minute_is_no_change(valkey: redis.Redis) -> None:
    judge = Judge(valkey)
    judge.apply("csv", some("a 090000 5"))
    assert _calculate(judge, 1) == ["a"]
    judge.apply("csv", some("a 090001 6", "a 090002 5", "a 090003"))
    judge.apply("csv", some("a 090004 7", "a 090005", "a 090006 5", "a 090007", "a 090008"))
    assert _calculate(judge, 2) == []
    judge.apply("csv", some("a 090100 6"))
    assert _calculate(judge, 3) == ["a"]


def test_rows_without_a_price_are_no_change(valkey: redis.Redis) -> None:
    judge = Judge(valkey)
    judge.apply("csv", some("a 090000"))
    assert _calculate(judge, 1) == []
    judge.apply("csv", some("a 090000 5"))
    assert _calculate(judge, 2) == ["a"]
    judge.apply("csv", some("a 090100", "a 090101"))
    assert _calculate(judge, 3) == []


@pytest.mark.parametrize("same", ["1e3", "1000.0", "1000.00", "1E+3", "10000e-1"])
def test_a_foreign_price_is_compared_as_a_number(valkey: redis.Redis, same: str) -> None:
    text = f'{{"id": 1, "time": ["090000"], "price": [{same}], "performance": 0}}'
    judge = Judge(valkey, foreign={"stock1": text})
    judge.apply("csv", some("stock1 090001"))
    assert _calculate(judge, 1) == ["stock1"]
    judge.apply("csv", some("stock1 090002 1000"))
    assert _calculate(judge, 2) == []
    judge.apply("csv", some("stock1 090003 1000.000001"))
    assert _calculate(judge, 3) == ["stock1"]


def test_what_others_wrote_stops_no_calculation_of_other_stocks(valkey: redis.Redis) -> None:
    judge = Judge(valkey)
    names = ["a", "b", "c", "d"]
    judge.apply("csv", some(*(f"{name} 090000 1" for name in names)))
    valkey.set("b", "hello")
    valkey.delete("c")
    valkey.rpush("c", "x")
    valkey.delete("d")
    asked = {each.stock: each for each in judge.store.ask(1)}
    assert "a" in asked
    for each in asked.values():
        judge.store.begin(each)
        assert judge.store.finish(each, "5", 1.0) is (each.stock == "a")
    assert value_of(valkey, "a")["performance"] == 5
    assert valkey.get("b") == b"hello" and valkey.lrange("c", 0, -1) == [b"x"]
    assert not valkey.exists("d")
    # Pages show the others too.
    assert judge.store.recent(names, 5)["a"] == (["090000"], ["1"])
    assert {"a"} <= {each.name for each in judge.store.stocks()}
    judge.apply("kafka:t:0", some("a 090001 2"))


def test_more_than_a_minute_holds_comes_to_an_end(valkey: redis.Redis) -> None:
    """Every stock has its turn, though in each minute only some are calculated."""
    judge = Judge(valkey)
    judge.apply("csv", some(*(f"s{number} 090000 1" for number in range(20))))
    done: set[str] = set()
    for minute in range(1, 7):
        judge.apply("csv", some(*(f"s{number} 090000 {minute + 1}" for number in range(20))))
        for asked in judge.store.ask(minute)[:4]:
            assert judge.store.begin(asked)
            if asked.stock == "s3":
                assert judge.store.fail(asked, "always")
            else:
                assert judge.store.finish(asked, "1", 1.0)
            done.add(asked.stock)
    assert len(done) == 20


def test_a_result_does_not_bring_back_rows_that_were_cut(valkey: redis.Redis) -> None:
    judge = Judge(valkey, kept=3)
    judge.apply("csv", some(*(f"a 09000{number} {number}" for number in range(5))))
    (asked,) = judge.store.ask(1)
    assert judge.store.begin(asked)
    judge.apply("csv", some(*(f"a 09010{number} {number}" for number in range(5))))
    assert judge.store.finish(asked, "12345", 1.0)
    judge.oracle.values["a"]["performance"] = 12345
    judge.assert_right()


def test_a_cleared_stock_takes_no_late_result(valkey: redis.Redis) -> None:
    judge = Judge(valkey)
    judge.apply("csv", some("a 090000 1"))
    (asked,) = judge.store.ask(1)
    assert judge.store.begin(asked)
    judge.store.clear("csv")
    assert not judge.store.finish(asked, "5", 1.0)
    assert value_of(valkey, "a")["performance"] == 0
    judge.store.apply(store.Batch("csv", None, "1", judge.batch("x", some("a 090000 1")).rows))
    assert _calculate(judge, 2) == ["a"]

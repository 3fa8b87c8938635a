"""Changes of prices in a real Valkey, against the slow oracle: each row once, in order."""

from itertools import count
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from streaming.prices import store
from tests.streaming.prices import oracle
from tests.streaming.prices.judge import (
    SAMPLE,
    USER,
    A,
    B,
    Judge,
    some,
    value_of,
)

SLOW = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def test_the_value_is_what_the_specification_says(valkey: redis.Redis) -> None:
    judge = Judge(valkey)
    judge.apply("csv", some("stock1 090006 1734", "stock1 090010", "stock1 090016 12.5"))
    assert valkey.get("stock1") == (
        b'{"id":1,"time":["090006","090010","090016"],"price":[1734,"",12.5],"performance":0}'
    )
    judge.assert_right()


def test_a_stock_without_any_price(valkey: redis.Redis) -> None:
    judge = Judge(valkey)
    for _ in range(3):
        judge.apply("csv", some("stock1 090006"))
        judge.assert_right()
    judge.apply("csv", some("stock1 090007 0", "stock1 090008"))
    judge.assert_right()
    assert judge.store.stocks()[0].latest == "0"


def test_rows_of_one_time_and_of_earlier_times_stay_in_the_order_of_their_source(
    valkey: redis.Redis,
) -> None:
    judge = Judge(valkey)
    judge.apply("csv", some("a 235959 1", "a 235959 1", "a 000000 2", "a 120000", "a 000000 2"))
    judge.assert_right()


def test_an_empty_batch_only_moves_the_place(valkey: redis.Redis) -> None:
    judge = Judge(valkey)
    judge.store.apply(store.Batch("kafka:t:0", None, "9 id", []))
    judge.positions["kafka:t:0"] = "9 id"
    judge.assert_right()


def test_names_near_the_limits(valkey: redis.Redis) -> None:
    judge = Judge(valkey)
    names = ["a", "z" * 64, "a.b-c_d", "user", "users.1", "prices", "stock", "stock0", "stock01"]
    judge.apply("csv", some(*(f"{name} 090000 {at}" for at, name in enumerate(names))))
    judge.apply("csv", some(*(f"{name} 090001 {at}" for at, name in enumerate(names))))
    judge.assert_right()


def test_prices_keep_all_their_digits(valkey: redis.Redis) -> None:
    judge = Judge(valkey)
    judge.apply("csv", some("a 090000 123456789012.123456", "a 090001 0.000001", "b 090000 0"))
    judge.assert_right()


# Ids


def test_a_stock_has_its_number_as_id_where_that_is_free(valkey: redis.Redis) -> None:
    judge = Judge(valkey)
    for name in ("stock7", "gold", "stock2", "silver", "stock8", "stock9", "stock1"):
        judge.apply("csv", some(f"{name} 090000 1"))
    assert [(s.name, s.id) for s in judge.store.stocks()] == [
        ("stock1", 1), ("stock2", 2), ("stock7", 7), ("gold", 8), ("silver", 9),
        ("stock8", 10), ("stock9", 11),
    ]  # fmt: skip
    judge.assert_right()


def test_numbers_that_no_id_can_be(valkey: redis.Redis) -> None:
    """Ids are scores of a sorted set, so doubles."""
    judge = Judge(valkey)
    names = ["stock9007199254740993", "stock9007199254740992", "stock" + "9" * 59, "gold", "tin"]
    batch = judge.batch("csv", some(*(f"{name} 090000 1" for name in names)))
    judge.store.apply(batch)
    stocks = judge.store.stocks()
    assert sorted(each.name for each in stocks) == sorted(names)
    ids = [value_of(valkey, name)["id"] for name in names]
    assert len(set(ids)) == len(names), ids
    assert sorted(ids) == [each.id for each in stocks]


# The same row once


def test_a_row_of_a_source_is_added_once(valkey: redis.Redis) -> None:
    judge = Judge(valkey)
    given = some("stock1 090000 1", "stock2 090000 2", "stock1 090001 3", source=A)
    judge.apply("csv", given[:2])
    judge.apply("csv", given)
    judge.apply("kafka:t:0", given)
    judge.apply("kafka:t:0", some("stock1 090002 4"))
    judge.apply("kafka:t:0", given, by=judge.new_store())
    judge.apply("kafka:t:1", [(*row[:3], f"{A}#again", row[4]) for row in given])
    judge.apply("kafka:t:1", some("stock1 090000 1", source=B))
    judge.assert_right()
    assert judge.oracle.values["stock1"]["time"].count("090000") == 3


def test_a_row_twice_in_a_batch_is_added_once(valkey: redis.Redis) -> None:
    judge = Judge(valkey)
    given = some("stock1 090000 1", "stock1 090001 3", source=A)
    judge.apply("csv", [*given, *given, *some("stock1 090002 4", source=A, first=3), *given])
    judge.assert_right()


def test_moved(valkey: redis.Redis) -> None:
    judge = Judge(valkey)
    first = judge.batch("csv", some("stock1 090000 1"), [(1, "bad_price")])
    judge.apply("csv", some("stock1 090000 1"), [(1, "bad_price")])
    for expected, found in ((None, "2"), ("1", "2"), ("2 ", "2"), ("", "2")):
        with pytest.raises(store.Moved) as moved:
            judge.store.apply(first._replace(expected=expected, next="3"))
        assert moved.value.found == found
        judge.assert_right()
    with pytest.raises(store.Moved) as moved:
        judge.store.apply(first._replace(place="kafka:t:0", expected="1"))
    assert moved.value.found is None
    judge.assert_right()


def test_a_place_can_be_moved_by_hand(valkey: redis.Redis) -> None:
    judge = Judge(valkey)
    judge.apply("csv", some("stock1 090000 1"))
    with pytest.raises(store.Moved):
        judge.store.move("csv", "7", "0")
    judge.store.move("csv", "1", "0")
    judge.store.move("kafka:t:0", None, "5 id")
    judge.positions |= {"csv": "0", "kafka:t:0": "5 id"}
    judge.assert_right()
    assert judge.store.positions() == judge.positions
    assert judge.store.position("csv") == "0" and judge.store.position("none") is None


# Bounds


@pytest.mark.parametrize("kept", [1, 2, 3, 10])
def test_only_the_newest_rows_are_kept(valkey: redis.Redis, kept: int) -> None:
    judge = Judge(valkey, foreign=SAMPLE, kept=kept)
    for size in (1, 2, 1, 5, 3, 12, 1):
        given_rows = [
            row
            for at in range(size)
            for row in some(f"stock1 0900{at:02} {at * 37 if at % 3 else ''}", f"x 0901{at:02} 1")
        ]
        judge.apply("csv", given_rows)
        judge.assert_right()


def test_a_bound_that_is_set_lowered_and_taken_away(valkey: redis.Redis) -> None:
    judge = Judge(valkey)
    for kept in (0, 0, 7, 3, 0, 5):
        judge.kept = judge.oracle.kept = kept
        judge.store = judge.new_store()
        judge.apply("csv", some(*(f"a 09000{at} {at}" for at in range(4))))
        judge.assert_right()


@pytest.mark.parametrize("kept", [1, 5])
def test_only_the_newest_dead_letters_are_kept(valkey: redis.Redis, kept: int) -> None:
    judge = Judge(valkey, letters_kept=kept)
    at = count()
    for size in (1, 3, 9, 0, 2):
        judge.apply("csv", some("a 090000 1"), [(next(at), "bad_line") for _ in range(size)])
        judge.assert_right()
    assert judge.store.letters_count() == (kept, 15)


def test_dead_letters_keep_the_beginning_of_what_was_refused(valkey: redis.Redis) -> None:
    judge = Judge(valkey)
    raw = bytes(range(256)) * 40
    refused = store.Refused(
        7, "bad_price", 'detail "ä" \udcff'.encode("utf-8", "replace").decode(), raw
    )
    judge.store.apply(store.Batch("kafka:t:1", None, "8 ID", [], [refused], topic_id="ID"))
    letter = judge.store.letters(5)[0]
    assert (letter.place, letter.at, letter.reason, letter.topic_id) == (
        "kafka:t:1", 7, "bad_price", "ID",
    )  # fmt: skip
    assert letter.raw == raw[:4096] and letter.raw_bytes == len(raw)
    ids = [each.id for each in judge.store.letters(1)]
    assert judge.store.letters(5, before=ids[0]) == []


def test_a_thousand_stocks_in_one_batch(valkey: redis.Redis) -> None:
    judge = Judge(valkey)
    for number in range(2):
        judge.apply(
            "csv",
            some(*(f"n{at % 1000} 09000{number} {at}" for at in range(3000))),
            [(at, "bad_line") for at in range(3000)],
        )
    judge.assert_right()


def test_clear_forgets_histories_and_keeps_what_others_wrote(valkey: redis.Redis) -> None:
    judge = Judge(valkey, foreign=SAMPLE, not_stocks=USER)
    judge.apply("csv", some("stock1 090000 1", "gold 090000 1", source=A))
    ids = {each.name: each.id for each in judge.store.stocks()}
    judge.store.clear("csv")
    assert valkey.get("stock1") == b'{"id":1,"time":[],"price":[],"performance":0}'
    assert judge.store.positions() == {}
    assert valkey.get("user1") == USER["user1"].encode()
    assert {each.name: each.id for each in judge.store.stocks()} == ids
    applied = judge.store.apply(
        store.Batch("csv", None, "2", judge.batch("x", some("stock1 090000 1", source=A)).rows)
    )
    assert applied.added == 1
    assert valkey.get("stock1") == b'{"id":1,"time":["090000"],"price":[1],"performance":0}'


# Anything


NAMES = st.sampled_from(["stock1", "stock2", "stock3", "stock10", "gold", "user", "bad"])
SOURCES = st.sampled_from(["", "", A, B])
PRICES = st.sampled_from(["", "0", "1", "12.5", "1734", "123456789012.123456"])
ROWS = st.tuples(
    NAMES, st.sampled_from(["090000", "090001", "000000"]), PRICES, SOURCES, st.integers(1, 12)
)
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("apply"),
            st.sampled_from(["csv", "kafka:t:0", "kafka:t:1"]),
            st.lists(ROWS, max_size=8),
            st.lists(
                st.tuples(st.integers(0, 99), st.sampled_from(["bad_line", "empty"])), max_size=2
            ),
            st.integers(0, 1),
        ),
        st.tuples(st.just("stale"), st.lists(ROWS, max_size=3), st.integers(0, 1)),
        st.tuples(st.just("restart"), st.integers(0, 1)),
        st.tuples(st.just("performance"), st.integers(0, 1), st.sampled_from(["0", "7", "-12.25"])),
    ),
    max_size=14,
)


@SLOW
@given(STEPS, st.sampled_from([0, 0, 1, 3]), st.booleans())
def test_any_batches_give_what_the_oracle_says(
    valkey: redis.Redis, steps: list[Any], kept: int, sample: bool
) -> None:
    valkey.flushdb()
    judge = Judge(
        valkey, foreign=SAMPLE if sample else {}, not_stocks={"bad": "no", **USER}, kept=kept
    )
    if sample:  # met before others, so that the ids of these are clear
        judge.apply("csv", some("stock1 085900", "stock2 085900", "stock3 085900"))
    writers = [judge.store, judge.new_store()]
    minute = count(1)
    for step in steps:
        event(step[0])
        if step[0] == "apply":
            _, place, given_rows, refused, by = step
            given_rows = [(*r[:4], r[4] if r[3] else 0) for r in given_rows]
            judge.apply(place, given_rows, refused, by=writers[by])
        elif step[0] == "stale":
            batch = judge.batch("csv", step[1], [(1, "bad_line")])
            with pytest.raises(store.Moved):
                writers[step[2]].apply(batch._replace(expected="no such"))
        elif step[0] == "restart":
            writers[step[1]] = judge.new_store()
        else:
            now = next(minute)
            for asked in writers[step[1]].ask(now):
                assert writers[step[1]].begin(asked)
                assert writers[step[1]].finish(asked, step[2], 0.1)
                judge.oracle.values[asked.stock]["performance"] = oracle.loads(step[2])
        judge.assert_right()

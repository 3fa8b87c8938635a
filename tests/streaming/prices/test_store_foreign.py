"""Values that others write into the Redis of prices: adopted, or left as they are."""

import json

import pytest
import redis

from streaming.prices import store
from tests.streaming.prices import oracle
from tests.streaming.prices.judge import (
    SAMPLE,
    USER,
    A,
    Judge,
    some,
    value_of,
)

# Values of others


@pytest.mark.parametrize("first_price", ["1734", ""])
def test_the_sample_data_is_gone_on_with(valkey: redis.Redis, first_price: str) -> None:
    judge = Judge(valkey, foreign=SAMPLE, not_stocks=USER)
    judge.apply("csv", some(f"stock3 090006 {first_price}", "stock1 090010 3"))
    judge.assert_right()
    judge.apply("csv", some("stock2 090011 4", "stock3 090012 5", "gold 090013 6"))
    judge.assert_right()
    assert (
        valkey.get("stock3")
        == (
            '{"id":3,"time":["09:00","09:01","090006","090012"],'
            f'"price":[1682,"",{first_price or chr(34) * 2},5],"performance":0}}'
        ).encode()
    )


FOREIGN = [
    '{"id":1,"time":[],"price":[],"performance":0}',
    '{"performance": 5, "price": [], "id": 1, "time": []}',
    ' {\n"id":\t1 , "time":["09:00"] ,"price":[ 1e3 ],"performance":-0.5e-7}\r\n',
    '{"id": 1, "time": ["090006", "090007"], "price": [12.50, null], "performance": 0}',
    '{"id": 1, "time": ["090006"], "price": [""], "performance": 0}',
    '{"id": 1, "name": "Soci\\u00e9t\\u00e9 \\"A\\", ],\\"price\\":[", "time": ["090006"], '
    '"price": [3], "performance": 0}',
    '{"id": 1, "name": "Société 株", "tags": ["],\\"price\\":["], "time": ["090006"], '
    '"price": [3.10], "performance": 0, "market": {"deep": [1, {"time": []}, 1.10]}}',
    '{"id": 77, "time": ["090006"], "price": [123456789012345678.123456789], "performance": 1.50}',
    '{"id": 1, "time": ["090006"], "price": [3], "performance": {"sharpe": 1.10, "of": [1]}}',
    '{"id": 1, "time": ["090006"], "price": [3], "performance": "],\\"performance\\":0}"}',
]


@pytest.mark.parametrize("text", FOREIGN, ids=range(len(FOREIGN)))
@pytest.mark.parametrize("kept", [0, 2])
def test_a_foreign_value_loses_nothing(valkey: redis.Redis, text: str, kept: int) -> None:
    judge = Judge(valkey, foreign={"stock1": text}, not_stocks=USER, kept=kept)
    value = judge.oracle._foreign["stock1"]
    value["price"] = ["" if each is None else each for each in value["price"]]
    for number in range(4):
        judge.apply("csv", some(f"stock1 09000{number} {number + 4}", "gold 090000 1"))
        judge.assert_right()
    assert value_of(valkey, "stock1")["time"][-1] == "090003"


NO_STOCKS = [
    "",
    "0",
    "null",
    "[]",
    "{}",
    "hello",
    '{"id": 1, "credit": 3}',
    '{"id": 1, "time": ["090000"], "price": [], "performance": 0}',
    '{"id": 1, "time": "090000", "price": "3", "performance": 0}',
    '{"id": 1, "time": ["090000"], "price": [NaN], "performance": 0}',
    '{"id": 1, "time": ["090000"], "price": [{}], "performance": 0}',
    '{"id": 1, "time": ["090000"], "price": ["much"], "performance": 0}',
    '{"id": 1, "time": [[]], "price": [3], "performance": 0}',
    '{"id": 1, "time": ["\\u0000\\",\\""], "price": [3], "performance": 0}',
    '{"id":1,"time":["090000"],"price":[3],"performance":0',
    # No double is as large, and who reads the value may have nothing larger.
    '{"id": 1, "time": ["090006"], "price": [1e999], "performance": 0}',
    '{"id": 1, "time": ["090006"], "price": [1e99999999999999999999], "performance": 0}',
    '{"x":' * 5000,
    "[" * 100_000,
]


@pytest.mark.parametrize("text", NO_STOCKS, ids=range(len(NO_STOCKS)))
def test_what_is_no_stock_stays_as_it_is(valkey: redis.Redis, text: str) -> None:
    judge = Judge(valkey, not_stocks={"stock1": text, **USER})
    for number in range(2):
        given = some("stock1 090000 1", "gold 090000 2", "stock1 090001 3")
        judge.apply("csv", given, [(number * 5 + 1, "bad_line")])
        judge.assert_right()
    letter = judge.store.letters(1)[0]
    assert letter.reason == "not_a_stock" and "stock1" in letter.detail
    assert letter.place == "csv" and letter.raw_bytes == len(letter.raw) > 0


@pytest.mark.parametrize("depth", [50, 300, 500, 700, 900, 980, 990, 1000, 5000])
@pytest.mark.parametrize("shape", ["[{}]", '{{"x":{}}}'])
def test_a_deeply_nested_foreign_value_ends_nobody(
    valkey: redis.Redis, shape: str, depth: int
) -> None:
    """It is a stock or none, but the rows of others are added."""
    left, right = shape.format("\0").split("\0")
    inner = left * depth + "1" + right * depth
    valkey.set("stock1", f'{{"id":1,"time":[],"price":[],"x":{inner},"performance":0}}')
    applied = store.Store(valkey).apply(
        Judge(valkey).batch("csv", some("stock1 090000 1", "gold 090000 2"))
    )
    assert applied.added + applied.refused == 2
    assert b'"price":[2]' in (valkey.get("gold") or b"")


def test_bytes_that_are_no_text(valkey: redis.Redis) -> None:
    judge = Judge(valkey)
    valkey.set("stock1", b"\xff\xfe\x00")
    judge.oracle.not_stocks.add("stock1")
    judge.apply("csv", some("stock1 090000 1", "gold 090000 2"))
    assert valkey.get("stock1") == b"\xff\xfe\x00"
    assert judge.store.letters(1)[0].reason == "not_a_stock"


def test_keys_of_other_types_stay_as_they_are(valkey: redis.Redis) -> None:
    valkey.lpush("list", "1")
    valkey.hset("hash", "time", "[]")
    valkey.sadd("set", "1")
    valkey.zadd("zset", {"1": 1})
    valkey.xadd("stream", {"a": "1"})
    names = ["list", "hash", "set", "zset", "stream"]
    before = [valkey.dump(name) for name in names]
    judge = Judge(valkey)
    for _ in range(2):
        applied = judge.store.apply(
            batch := judge.batch("csv", some(*(f"{n} 090000 1" for n in [*names, "gold"])))
        )
        judge.positions["csv"] = batch.next
        assert (applied.added, applied.refused, applied.stocks) == (1, 5, frozenset({"gold"}))
    assert [valkey.dump(name) for name in names] == before
    assert {each.reason for each in judge.store.letters(100)} == {"not_a_stock"}
    assert judge.store.letters_count() == (10, 10)


def test_a_key_that_becomes_a_stock_is_one_from_then_on(valkey: redis.Redis) -> None:
    judge = Judge(valkey, not_stocks={"stock1": "hello"})
    judge.apply("csv", some("stock1 090000 1", "gold 090000 1"))
    valkey.delete("stock1")
    judge.not_stocks.clear()
    judge.oracle.not_stocks.clear()
    judge.apply("csv", some("stock1 090001 2", "gold 090001 2"))
    judge.assert_right()


@pytest.mark.parametrize("again", [True, False], ids=["other process", "same process"])
def test_a_value_that_others_changed_is_adopted_again(valkey: redis.Redis, again: bool) -> None:
    """As a script of theirs does it: GET, json.loads, change, json.dumps, SET."""
    judge = Judge(valkey)
    judge.apply("csv", some("stock1 090000 1", "stock1 090001", source=A))
    value = value_of(valkey, "stock1")
    value["performance"] = 7
    value["time"].append("09:02")
    value["price"].append(12)
    valkey.set("stock1", json.dumps(value))
    judge.oracle.values["stock1"] = value
    if again:
        judge.store = judge.new_store()
    # Rows of the file that are there already are not added again.
    judge.apply("csv", some("stock1 090001", "stock1 090003 5", source=A, first=2))
    judge.foreign["stock1"] = ""
    judge.assert_right()


def test_a_value_of_the_same_length_that_others_wrote(valkey: redis.Redis) -> None:
    judge = Judge(valkey)
    judge.apply("csv", some("stock1 090000 1", "stock1 090001 22", "stock1 090002 333"))
    ours = valkey.get("stock1") or b""
    # One list shorter by what the performance is longer: so the places of the lists are others.
    value = {"id": 1, "time": ["090000", "090001"], "price": [1, 22], "performance": 1}
    text = oracle.dumps(value)
    text = text[:-2] + "1" * (len(ours) - len(text) + 1) + "}"
    assert len(text) == len(ours)
    valkey.set("stock1", text)
    judge.oracle.values["stock1"] = oracle.loads(text)
    judge.apply("csv", some("stock1 090003 4"))
    judge.foreign["stock1"] = ""
    judge.assert_right()


def test_a_value_that_was_deleted_begins_anew(valkey: redis.Redis) -> None:
    judge = Judge(valkey)
    judge.apply("csv", some("stock1 090000 1", "gold 090000 1", source=A))
    valkey.delete("stock1")
    del judge.oracle.values["stock1"]
    judge.apply("csv", some("stock1 090001 2", "gold 090001 2"))
    judge.assert_right()


def test_other_keys_are_not_touched(valkey: redis.Redis) -> None:
    judge = Judge(valkey, not_stocks={"other": "x", **USER})
    valkey.hset("prices2", "a", "1")
    before = valkey.dump("prices2")
    judge.apply("csv", some("stock1 090000 1"))
    judge.store.clear("csv")
    assert valkey.dump("prices2") == before
    assert valkey.get("user1") == USER["user1"].encode()

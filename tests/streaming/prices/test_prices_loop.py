"""One loop, step by step on a real Kafka and Valkey: what rows, twins and Redis may do."""

from typing import Any

import pytest
import redis
from kafka.structs import OffsetAndMetadata, TopicPartition

from config.services.engine import Engine
from streaming.prices.store import Batch
from streaming.prices.trouble import in_words
from tests.services.waiting import until
from tests.streaming.prices.stage import PricesStage, price, prices
from tests.streaming.prices.stepping import (
    halted,
    looping,
    position,
    shown,
    step_until,
    store,
    work_off,
)
from tests.streaming.sales.kafka_stage import Message


def test_all_rows_are_there_once_and_the_next_loop_goes_on(stepped_stage: PricesStage) -> None:
    stage = stepped_stage
    stage.create(2)
    stage.produce(prices(300))
    with looping(stage, batch=20) as loop:
        work_off(loop, 300)
        step_until(loop, lambda: shown(loop)["partitions"][0]["lag"] == 0)
        found = shown(loop)
        assert (found["state"], found["waiting_for"], found["added"]) == ("running", None, 300)
        assert [each["partition"] for each in found["partitions"]] == [0, 1]
    stage.produce(prices(100, 300))
    with looping(stage) as loop:
        work_off(loop, 100)
    assert stage.assert_right() == 400


def test_offsets_of_the_group_have_no_effect(stepped_stage: PricesStage) -> None:
    stage = stepped_stage
    stage.create(1)
    stage.produce(prices(50))
    with looping(stage, batch=10) as loop:
        step_until(loop, lambda: loop.added >= 20)
    for offset in (0, 45):
        with stage.consumer(group_id=stage.group) as consumer:
            at = TopicPartition(stage.topic, 0)
            consumer.assign([at])
            consumer.commit({at: OffsetAndMetadata(offset, "", -1)})
        with looping(stage, batch=10) as loop:
            step_until(loop, lambda: position(loop) >= 50 or loop.added >= 10)
            step_until(loop, lambda: position(loop) >= 50)
    assert stage.assert_right() == 50


def test_rows_with_their_source_are_added_once_however_often_they_come(
    stepped_stage: PricesStage,
) -> None:
    stage = stepped_stage
    stage.create(1)
    source = b"a" * 64
    producer = stage.producer()
    for number in [*range(1, 31), *range(11, 41)]:
        (each,) = prices(1, number, stocks=1)
        headers = [("source", source), ("row", b"%d" % number)]
        producer.send(stage.topic, each.value, each.key, headers)
    for headers in ([("source", source)], [("row", b"1")], [("source", b"x"), ("row", b"1")]):
        producer.send(stage.topic, each.value, each.key, headers)
    producer.close(timeout=30)
    with looping(stage) as loop:
        work_off(loop, 63)
        assert (loop.added, loop.repeated) == (43, 20)
    (value,) = stage.values().values()
    assert value.count('"0900') == 43


def test_a_twin_that_works_on_makes_it_look_anew(stepped_stage: PricesStage) -> None:
    stage = stepped_stage
    stage.create(1)
    stage.produce(prices(20))
    with looping(stage) as loop:
        work_off(loop, 20)
        place, topic_id = f"kafka:{stage.topic}:0", stage.topic_id()
        stage.produce(prices(20, 20))
        polled = []
        step = loop.group.poll

        def poll(seconds: float) -> Any:
            found = step(seconds)
            if found.records and not polled:
                polled.append(found)
                twin = Batch(place, f"20 {topic_id}", f"30 {topic_id}", [])
                store(stage).apply(twin)
            return found

        loop.group.poll = poll  # type: ignore[method-assign]
        step_until(loop, lambda: position(loop) == 40)
        assert loop.added == 30
    records = stage.read(stage.topic)[0]
    assert stage.assert_right({0: records[:20] + records[30:]}) == 30


def test_a_position_that_somebody_sets_is_followed_though_nothing_comes(
    stepped_stage: PricesStage,
) -> None:
    stage = stepped_stage
    stage.create(1)
    stage.produce(prices(20))
    with looping(stage) as loop:
        work_off(loop, 20)
        topic_id = stage.topic_id()
        store(stage).move(f"kafka:{stage.topic}:0", f"20 {topic_id}", f"15 {topic_id}")
        work_off(loop, 25)
        assert position(loop) == 20
        stage.redis.hset("prices:positions", f"kafka:{stage.topic}:0", "nonsense")
        step_until(loop, lambda: halted(loop) == {0: "bad_position"})
    records = stage.read(stage.topic)[0]
    stage.assert_right({0: records + records[15:]})


def test_a_redis_that_was_emptied_gets_all_again(stepped_stage: PricesStage) -> None:
    stage = stepped_stage
    stage.create(1)
    stage.produce(prices(20))
    with looping(stage) as loop:
        work_off(loop, 20)
        stage.redis.flushall()
        stage.produce(prices(10, 20))
        work_off(loop, 50)
    assert stage.assert_right() == 30


def test_a_redis_that_is_away_is_waited_for(
    stepped_stage: PricesStage, prices_redis: Engine
) -> None:
    """A change that got no answer may have been made, or not."""
    stage = stepped_stage
    stage.create(2)
    stage.produce(prices(100))
    with looping(stage, batch=10) as loop:
        step_until(loop, lambda: loop.added >= 20)
        prices_redis.kill()
        stage.produce(prices(100, 100))
        with pytest.raises(redis.RedisError):
            until(lambda: loop.step(0.05) and False)
        prices_redis.start()
        step_until(loop, lambda: position(loop, 0) + position(loop, 1) == 200)
    assert stage.assert_right() == 200


def test_a_full_redis_is_waited_for(stepped_stage: PricesStage) -> None:
    stage = stepped_stage
    stage.create(1)
    with looping(stage) as loop:
        stage.redis.config_set("maxmemory", 1)
        stage.produce(prices(50))
        with pytest.raises(redis.RedisError) as error:
            until(lambda: loop.step(0.05) and False)
        assert "is full (command not allowed" in in_words(error.value)
        stage.redis.config_set("maxmemory", 0)
        work_off(loop, 50)
    assert stage.assert_right() == 50


def test_transactions_in_the_input(stepped_stage: PricesStage) -> None:
    """What a producer gave up counts nowhere; marks are no rows, and no lag."""
    stage = stepped_stage
    stage.create(1)
    producer = stage.producer(transactional_id=f"{stage.name}-in")
    producer.init_transactions()
    with looping(stage) as loop:
        for kept in (True, False, True, False):
            producer.begin_transaction()
            for each in prices(10):
                producer.send(stage.topic, each.value, each.key)
            if kept:
                producer.commit_transaction()
            else:
                producer.flush(timeout=30)
                producer.abort_transaction()
        producer.close(timeout=5)
        work_off(loop, 20)
        step_until(loop, lambda: shown(loop)["partitions"][0]["lag"] == 0)
    assert stage.assert_right() == 20


def test_poison_becomes_dead_letters(stepped_stage: PricesStage) -> None:
    stage = stepped_stage
    stage.create(1)
    garbage: list[bytes | None] = [
        *(None, b"", b" ", b"\xff\xfe", b"no row", b"[]", b"7", b"{}", b"[" * 900_000),
        b'{"time": "090006", "stock": "stock1", "price": -5}',
        b'{"time": 90006, "stock": "stock1", "price": 5}',
        b'{"time": "240000", "stock": "stock1", "price": 5}',
        b'{"time": "090006", "stock": "user1", "price": 5}',
        b'{"time": "090006", "stock": "stock1", "price": "x"}',
        b'{"time": "090006", "stock": "stock1", "price": 5, "more": 1}',
        b'{"time": "090006", "stock": "stock1"}',
        b'{"time": "090006", "stock": "stock1", "price": 5' + b" " * 1_000_000 + b"}",
    ]
    messages = prices(20)
    for number, value in enumerate(garbage):
        messages.insert(number + 1, Message(value, b"any"))
    stage.produce(messages, max_request_size=2**21)
    with looping(stage) as loop:
        work_off(loop, 20 + len(garbage))
        assert (loop.added, loop.refused) == (20, len(garbage))
    assert stage.assert_right() == 20
    reasons = {
        *("empty", "not_utf8", "not_json", "not_object", "missing_field", "unknown_field"),
        *("negative_price", "bad_time", "bad_stock", "bad_price", "too_large"),
    }
    assert {each.reason for each in stage.letters()} == reasons


def test_a_key_that_holds_something_else_stays_as_it_is(stepped_stage: PricesStage) -> None:
    stage = stepped_stage
    stage.create(1)
    stage.redis.set("other", "something of others")
    stage.produce([price("other", "090006", 5), price("stock1", "090006", 7)])
    with looping(stage) as loop:
        work_off(loop, 2)
        assert (loop.added, loop.refused) == (1, 1)
    assert stage.redis.get("other") == b"something of others"
    (letter,) = stage.letters()
    assert (letter.at, letter.reason) == (0, "not_a_stock")

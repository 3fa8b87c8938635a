"""One loop, step by step on a real Kafka: what operators, retention and twins may do to it."""

import re
from typing import Any

import pytest
from kafka.structs import TopicPartition

from streaming.kafka_log import KafkaError
from streaming.kafka_log.transactions import Transactions, Uncommitted
from streaming.sales.limits import Limits
from streaming.sales.loop import Loop
from streaming.sales.snapshot import Rates, snapshot
from tests.services.waiting import until
from tests.streaming.sales.kafka_stage import Message
from tests.streaming.sales.looping import (
    looping,
    one_partition,
    options,
    sales,
    set_offset,
    step_until,
    work_off,
)


@pytest.mark.parametrize("short_cut", [True, False])
def test_both_ways_to_write_give_the_same(stage, short_cut):
    stage.create(2)
    refused = [Message(b"no sale", b"key", 1), Message(None, b"key", 0)]
    stage.produce([*sales(60), *refused, *sales(60, 60)])
    with looping(stage, short_cut=short_cut, accept_keys=True) as loop:
        work_off(loop, 122)
        assert (loop.put_out, loop.refused) == (120, 2)
    assert stage.assert_right().right == 120


def test_missing_topics_are_made(stage):
    with looping(stage) as loop:
        assert [each.code for each in loop.warnings] == []
        assert [stage.partitions(each) for each in (stage.input, stage.output)] == [2, 2]
        assert stage.partitions(stage.dead_letters) == 2
        stage.produce(sales(10))
        work_off(loop, 10)
    stage.assert_right()


def test_an_output_topic_with_fewer_partitions_gets_more(stage):
    stage.create(3, outputs=1)
    with looping(stage):
        assert stage.partitions(stage.output) == 3
        assert stage.partitions(stage.dead_letters) == 1  # one is enough


def test_settings_of_the_topic_that_may_hurt_are_warned_of(stage):
    stage.create(1, message_timestamp_type="CreateTime", retention_ms="1199000")
    with looping(stage, limits=Limits(600.0, 600.0, 600.0)) as loop:
        assert [each.code for each in loop.warnings] == [
            "create_time",
            "short_retention",
            "wide_skew",
        ]
        assert "1199 s" in loop.warnings[1].words and "1200 s" in loop.warnings[1].words


def test_offsets_set_back_by_an_operator_are_worked_off_again_with_whole_windows(stage):
    stage.create(1)
    stage.produce(one_partition(100))
    with looping(stage) as loop:
        work_off(loop, 100)
    set_offset(stage, 60)
    with looping(stage, "two") as loop:
        assert loop.owned[0].replaying
        assert "by time" in loop.owned[0].notice
        work_off(loop, 40)
    outputs = stage.read(stage.output)[0]
    assert [each.value for each in outputs[100:]] == [each.value for each in outputs[60:100]]


def test_a_longer_window_after_a_deployment_is_filled_again(stage):
    stage.create(1)
    stage.produce(one_partition(50))
    with looping(stage, limits=Limits(10.0, 5.0, 300.0)) as loop:
        work_off(loop, 50)
    with looping(stage) as loop:
        stage.produce(one_partition(1, start=50))
        work_off(loop, 1)
    assert b'"10minutesSum": 13.75}' in stage.read(stage.output)[0][-1].value  # 11 × 1.25


def test_retention_that_cuts_the_window_is_told(stage):
    stage.create(1)
    stage.produce(one_partition(100))
    with looping(stage) as loop:
        work_off(loop, 100)
    with stage.admin() as admin:
        admin.delete_records({TopicPartition(stage.input, 0): 30})
    with looping(stage) as loop:
        assert (loop.owned[0].replay_from, loop.owned[0].live_from) == (30, 100)
        shown = snapshot(loop, "one", Rates())
        assert "all below 30" in shown["warnings"][0]["words"]
        stage.produce(one_partition(1, start=100))
        work_off(loop, 1)
    # 70 of 100 sales of five StockCodes are left, and the new one
    assert b'"10minutesSum": 18.75}' in stage.read(stage.output)[0][-1].value


def test_records_deleted_before_they_were_read_are_told(stage):
    stage.create(1)
    stage.produce(one_partition(10))
    with looping(stage) as loop:
        work_off(loop, 10)
    stage.produce(one_partition(10, start=10))
    with stage.admin() as admin:
        admin.delete_records({TopicPartition(stage.input, 0): 15})
    with looping(stage) as loop:
        assert "offsets 10 to 14 were deleted" in loop.owned[0].notice
        work_off(loop, 5)


def test_records_deleted_while_an_instance_runs_are_told(stage, caplog):
    stage.create(1)
    stage.produce(one_partition(10))
    with looping(stage) as loop:
        work_off(loop, 10)
        # The first may come with the request that waits at the broker; more is not asked for.
        stage.produce(one_partition(1, start=10))
        stage.produce(one_partition(19, start=11))
        with stage.admin() as admin:
            admin.delete_records({TopicPartition(stage.input, 0): 25})
        step_until(loop, lambda: loop.taken >= 15)
        step_until(loop, lambda: loop.owned and not loop.step(0.05))
        (told,) = [each for each in caplog.messages if "were deleted" in each]
        lost = int(re.search(r"(\d+) are lost", told)[1])
        assert lost in (14, 15)
        assert "to 24 were deleted" in loop.owned[0].notice
        assert loop.taken == 30 - lost


def test_a_client_that_kafka_sends_back_goes_on_where_it_was_and_says_so(stage):
    stage.create(1)
    stage.produce(one_partition(10))
    with looping(stage) as loop:
        work_off(loop, 10)
        loop.group.seek(0, 4)  # as the library does by itself where a topic was cut
        stage.produce(one_partition(10, start=10))
        work_off(loop, 20)
        assert "no longer had offset 10 and went back to 4" in loop.owned[0].notice
    assert stage.assert_right().right == 20


def test_gaps_of_transactions_are_no_loss(stage):
    stage.create(1)
    with looping(stage) as loop, stage.producer(transactional_id=stage.input) as producer:
        producer.init_transactions()
        for each in one_partition(5):
            producer.begin_transaction()
            producer.send(stage.input, each.value, each.key, partition=0)
            producer.commit_transaction()
        work_off(loop, 5)
        assert loop.owned[0].position > 5
        assert loop.owned[0].notice == ""
    assert stage.assert_right().right == 5


def test_messages_without_key_halt_the_partition_that_was_alone_when_others_are_added(stage):
    stage.create(1)
    stage.produce([each._replace(key=None) for each in one_partition(4)])
    with looping(stage) as loop:
        work_off(loop, 4)
        with stage.admin() as admin:
            admin.create_partitions({stage.input: 2})
        loop.group._consumer._client.cluster.request_update()  # by itself in half a minute
        step_until(loop, lambda: loop.partition_count == 2 and loop.joined)
        stage.produce([each._replace(key=None) for each in one_partition(1, start=4)])
        step_until(loop, lambda: loop.owned and loop.owned[0].halted is not None)
        assert loop.owned[0].halted.reason == "no_key"
        assert loop.taken == 4


def test_an_offset_past_the_end_halts_its_partition(stage):
    stage.create(1)
    stage.produce(one_partition(5))
    set_offset(stage, 50)
    with looping(stage) as loop:
        shown = snapshot(loop, "one", Rates())
        assert shown["state"] == "halted"
        assert shown["partitions"][0]["halted"]["reason"] == "offset_past_end"
        assert "--reset-offsets" in shown["partitions"][0]["halted"]["advice"]
        for _ in range(5):
            assert loop.step(0.05) == 0
        assert stage.read(stage.output)[0] == []
        # As after a broker's crash, when the end was behind for a moment.
        stage.produce(one_partition(46, start=5))
        work_off(loop, 1)
    assert len(stage.read(stage.output)[0]) == 1


def test_a_twin_with_the_same_slot_takes_turns_without_loss(stage):
    """Whoever opened last can write; the other finds out, and nothing is doubled."""
    stage.create(2)
    stage.produce(sales(40))
    with looping(stage) as loop:
        work_off(loop, 40)
        twin = Transactions(f"{stage.group}.one", [stage.output, stage.dead_letters])
        twin.open()
        stage.produce(sales(20, start=40))
        with pytest.raises(Uncommitted):
            until(lambda: loop.step(0.05), 60)
        work_off(loop, 60)
        twin.close()
    assert stage.assert_right().right == 60


def test_after_a_failed_transaction_the_state_is_made_again_where_it_went_ahead(stage):
    stage.create(1)
    stage.produce(one_partition(30))
    with looping(stage) as loop:
        work_off(loop, 30)
        before = loop.owned[0]
        loop._transactions.close()  # the next commit finds no producer
        loop._transactions.commit = failing  # type: ignore[method-assign]
        stage.produce(one_partition(10, start=30))
        with pytest.raises(Uncommitted):
            until(lambda: loop.step(0.05), 60)
        assert before.position > 30  # of one poll, which need not have all
        del loop._transactions.commit
        work_off(loop, 40)
        assert loop.owned[0] is not before
    assert stage.assert_right().right == 40


def test_records_are_not_lost_with_an_error_after_they_were_polled(stage, monkeypatch):
    stage.create(1)
    with looping(stage) as loop:
        work_off(loop, 0)
        polls: list[Any] = []

        def poll_then_fail(*given: Any, poll: Any = loop.group._consumer.poll, **more: Any) -> Any:
            polls.append(KafkaError if polls and polls[-1] else poll(*given, **more))
            if polls[-1] is KafkaError:
                raise KafkaError("slow for a moment")
            return polls[-1]

        monkeypatch.setattr(loop.group._consumer, "poll", poll_then_fail)
        stage.produce(one_partition(20))
        with pytest.raises(KafkaError):
            until(lambda: loop.step(0.05), 60)
        assert polls[-2]  # had records, then the second question of the same poll failed
        monkeypatch.undo()
        work_off(loop, 20)
    assert stage.assert_right().right == 20


def failing(*_: Any) -> None:
    raise Uncommitted("as if the broker had gone")


def test_a_member_that_comes_back_keeps_the_state_that_still_fits(stage):
    stage.create(2)
    stage.produce(sales(40))
    with looping(stage) as loop:
        work_off(loop, 40)
        before = dict(loop.owned)
        two = Loop(options(stage), "two")
        try:
            # Both have to poll, or the group waits for the one that does not.
            step_until(two, lambda: loop.step(0.05) == 0 and len(loop.owned) == len(two.owned) == 1)
            (kept,) = loop.owned
            assert loop.owned[kept] is before[kept]
        finally:
            two.close()
        step_until(loop, lambda: len(loop.owned) == 2)
        assert loop.owned[kept] is before[kept]
        stage.produce(sales(20, start=40))
        work_off(loop, 60)
    assert stage.assert_right().right == 60


def test_the_snapshot_is_json_and_its_sums_are_those_of_the_outputs(stage):
    stage.create(2)
    stage.produce([*sales(50), Message(b"\xff not UTF-8", b"k", 0)])
    with looping(stage, accept_keys=True) as loop:
        work_off(loop, 51)
        step_until(loop, lambda: sum(loop.ends.values()) == 51)
        shown = snapshot(loop, "one", Rates(), ["c1", "nobody's"])
    assert shown["state"] == "running"
    assert [each["lag"] for each in shown["partitions"]] == [0, 0]
    assert (shown["taken"], shown["put_out"], shown["refused"]) == (51, 50, 1)
    assert shown["recent_refusals"][0]["reason"] == "not_utf8"
    assert shown["recent_refusals"][0]["text"] == "\\xff not UTF-8"
    # A StockCode of both partitions has a sum in each: i % 5 and i % 2 have nothing in common.
    sums = {(each["stock_code"], each["partition"]): each["sum"] for each in shown["top"]}
    assert sums["c1", 0] == "6.25"
    assert shown["curves"]["nobody's"] == []
    assert shown["curves"]["c1"][-1][1] == "6.25"

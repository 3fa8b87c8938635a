"""One loop, step by step: a topic that is deleted, made anew, cut, grown."""

import math
from contextlib import suppress

import pytest
from kafka.structs import ConsumerGroupMetadata, MemberState

from streaming.kafka_log import KafkaError, membership
from streaming.kafka_log.membership import Polled
from streaming.prices.loop import Loop
from streaming.prices.preparation import Unprepared
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


def test_a_topic_made_anew_halts_and_its_rows_are_not_taken(stepped_stage: PricesStage) -> None:
    """Also those at offsets where the rows of the old one would go on."""
    stage = stepped_stage
    stage.create(1)
    stage.produce(prices(50))
    records = stage.read(stage.topic)
    with looping(stage) as loop:
        work_off(loop, 50)
        before = stage.topic_id()
        stage.recreate(1)
        stage.produce(prices(120, 1000))
        step_until(loop, lambda: halted(loop) == {0: "topic_recreated"})
        for _ in range(20):
            with suppress(KafkaError):
                loop.step(0.05)
        assert stage.positions() == {0: (50, before)}
        (partition,) = shown(loop)["partitions"]
        assert "seek_prices --to beginning" in partition["halted"]["advice"]
        assert stage.topic_id() in partition["halted"]["detail"]
        assert shown(loop)["state"] == "halted"
    assert stage.assert_right(records) == 50


def test_records_that_only_seem_to_go_on_are_not_taken(stepped_stage: PricesStage) -> None:
    """Fetched by the topic's name, at the offset where the old one ended, before a look at it."""
    stage = stepped_stage
    stage.create(1)
    stage.produce(prices(50))
    with looping(stage) as loop:
        work_off(loop, 50)
        before = stage.positions()
        loop._look_at = math.inf
        stage.recreate(1)
        stage.produce(prices(120, 1000))
        found = stage.read(stage.topic)[0][50:]
        assert found[0].offset == position(loop) == 50
        member = ConsumerGroupMetadata(stage.group, *loop._identity, None, MemberState.STABLE)
        loop.group.poll = lambda _: Polled(member, {0: found})  # type: ignore[method-assign]
        assert loop.step() == 0
        assert not loop.joined
        assert stage.positions() == before


@pytest.mark.parametrize("partitions", [1, 3])
def test_a_topic_made_anew_with_others_numbers_of_partitions(
    stepped_stage: PricesStage, partitions: int
) -> None:
    """A partition that the old one did not have is halted too."""
    stage = stepped_stage
    stage.create(2)
    stage.produce(prices(50))
    with looping(stage) as loop:
        work_off(loop, 50)
        stage.recreate(partitions)
        right = dict.fromkeys(range(partitions), "topic_recreated")
        step_until(loop, lambda: halted(loop) == right, 120)


def test_a_topic_that_is_gone_is_waited_for_and_not_made_by_us(stepped_stage: PricesStage) -> None:
    stage = stepped_stage
    stage.create(1)
    stage.produce(prices(10))
    with looping(stage) as loop:
        work_off(loop, 10)
        stage.delete()

        def waits() -> bool:
            try:
                loop.step(0.05)
            except Unprepared as error:
                return "is missing, though rows of it were read before" in str(error)
            except KafkaError:
                pass
            return False

        until(waits)
        assert stage.partitions(stage.topic) == 0
        stage.create(1)
        step_until(loop, lambda: halted(loop) == {0: "topic_recreated"})
    with stage.admin() as admin:
        admin.delete_topics([stage.topic])
    until(lambda: not stage.partitions(stage.topic))
    with pytest.raises(Unprepared, match="seek_prices"):
        Loop(stage.options(), "one", store(stage))


def test_a_position_past_the_end_halts_until_the_end_comes_back(stepped_stage: PricesStage) -> None:
    """As that of a broker that was killed may."""
    stage = stepped_stage
    stage.create(1)
    stage.produce(prices(50))
    with looping(stage) as loop:
        work_off(loop, 50)
        place, now = f"kafka:{stage.topic}:0", f"50 {stage.topic_id()}"
        store(stage).move(place, now, f"60 {stage.topic_id()}")
        step_until(loop, lambda: halted(loop) == {0: "offset_past_end"})
        stage.produce(prices(5, 50))
        for _ in range(5):
            loop.step(0.05)
        assert halted(loop) == {0: "offset_past_end"}
        stage.produce(prices(20, 55))
        work_off(loop, 65)
        assert halted(loop) == {}
    records = stage.read(stage.topic)[0]
    assert stage.assert_right({0: records[:50] + records[60:]}) == 65


def test_what_retention_deleted_unread_is_said_and_the_rest_is_read(
    stepped_stage: PricesStage,
) -> None:
    stage = stepped_stage
    stage.create(1)
    stage.produce(prices(50))
    with looping(stage) as loop:
        work_off(loop, 50)
    stage.produce(prices(50, 50))
    records = stage.read(stage.topic)[0]
    stage.cut(0, 70)
    with looping(stage) as loop:
        step_until(loop, lambda: position(loop) == 100)
        notice = "offsets 50 to 69 were deleted before they were read"
        assert shown(loop)["partitions"][0]["notice"] == notice
    with looping(stage) as loop:
        step_until(loop, lambda: position(loop) == 100)
    (letter,) = stage.letters()
    assert (letter.at, letter.reason, letter.raw) == (50, "deleted", b"")
    assert stage.assert_right({0: records[:50] + records[70:]}) == 80


def test_retention_that_overtakes_a_running_loop(stepped_stage: PricesStage) -> None:
    """The client would go on at the beginning without a word."""
    stage = stepped_stage
    stage.create(1)
    with looping(stage, batch=10) as loop:
        stage.produce(prices(10))
        work_off(loop, 10)
        # Nothing of these was fetched when they are gone.
        stage.produce(prices(90, 10))
        records = stage.read(stage.topic)[0]
        stage.cut(0, 80)
        step_until(loop, lambda: position(loop) == 100)
    taken = {*range(100)}
    for letter in stage.letters():
        assert letter.reason == "deleted"
        taken -= {*range(letter.at, 80)}
    assert taken != {*range(100)}
    assert stage.assert_right({0: [each for each in records if each.offset in taken]}) == len(taken)


@pytest.mark.parametrize("order", ["gap", "back"])
def test_a_batch_in_which_the_client_went_elsewhere(stepped_stage: PricesStage, order: str) -> None:
    stage = stepped_stage
    stage.create(1)
    with looping(stage) as loop:
        stage.produce(prices(10))
        work_off(loop, 10)
        loop._look_at = math.inf
        stage.produce(prices(90, 10))
        records = stage.read(stage.topic)[0]
        batch = [*records[10:20], *(records[80:90] if order == "gap" else records[5:15])]
        if order == "gap":
            stage.cut(0, 80)
        poll = loop.group.poll
        member = ConsumerGroupMetadata(stage.group, *loop._identity, None, MemberState.STABLE)
        loop.group.poll = lambda _: Polled(member, {0: batch})  # type: ignore[method-assign]
        assert loop.step() == 0
        assert not loop.joined
        loop.group.poll = poll  # type: ignore[method-assign]
        step_until(loop, lambda: position(loop) == 100)
    taken = records if order == "back" else records[:10] + records[80:]
    assert stage.assert_right({0: taken}) == len(taken)
    assert [each.at for each in stage.letters()] == ([10] if order == "gap" else [])


def test_partitions_that_are_added_are_read(
    stepped_stage: PricesStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = stepped_stage
    monkeypatch.setattr(membership, "METADATA_AGE_MS", 500)
    stage.create(1)
    stage.produce(prices(10))
    with looping(stage) as loop:
        work_off(loop, 10)
        with stage.admin() as admin:
            admin.create_partitions({stage.topic: 3})
        until(lambda: stage.partitions(stage.topic) == 3)
        stage.produce(price(f"new{number}", "100000", number, number % 3) for number in range(30))
        work_off(loop, 40)
        assert sorted(loop.owned) == [0, 1, 2]
    assert len(stage.values()) == 34

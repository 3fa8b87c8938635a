"""`manage.py seek_prices` beside a loop on a real Kafka and Valkey."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from config.services.engine import Engine
from streaming.prices.store import Moved, Store
from tests.streaming.prices.stage import PricesStage, prices
from tests.streaming.prices.stepping import halted, looping, position, step_until, work_off


def seek(*arguments: str) -> str:
    out = StringIO()
    call_command("seek_prices", *arguments, stdout=out)
    return out.getvalue()


def test_a_topic_made_anew_is_read_once_somebody_says_from_where(
    stepped_stage: PricesStage,
) -> None:
    """Without a restart; new rows behind those of the old topic."""
    stage = stepped_stage
    stage.create(1)
    stage.produce(prices(50))
    old = stage.read(stage.topic)[0]
    with looping(stage) as loop:
        work_off(loop, 50)
        stage.recreate(1)
        stage.produce(prices(30, 50))
        step_until(loop, lambda: halted(loop) == {0: "topic_recreated"})
        said = seek("--to", "beginning")
        assert said.startswith(f"Partition 0 of {stage.topic}: from 50 ")
        assert said.endswith(f" to 0 {stage.topic_id()}\n")
        work_off(loop, 80)
        assert halted(loop) == {}
    assert stage.assert_right({0: old + stage.read(stage.topic)[0]}) == 80


def test_to_the_end_and_to_an_offset(stepped_stage: PricesStage) -> None:
    stage = stepped_stage
    stage.create(2)
    stage.produce(prices(40, partition=0))
    stage.produce(prices(20, 100, partition=1))
    with looping(stage) as loop:
        work_off(loop, 60)
        stage.recreate(2)
        stage.produce(prices(10, 200, partition=0))
        stage.produce(prices(10, 300, partition=1))
        step_until(loop, lambda: set(halted(loop).values()) == {"topic_recreated"})
        seek("--to", "end")
        seek("--to", "4", "--partition", "1")
        work_off(loop, 66)
        step_until(loop, lambda: not halted(loop) and position(loop, 1) == 10)
    assert stage.positions() == {number: (10, stage.topic_id()) for number in (0, 1)}
    assert '"090500"' not in "".join(stage.values().values())
    assert sum(value.count('"0905') for value in stage.values().values()) == 6


def test_positions_of_partitions_that_are_gone_begin_anew(stepped_stage: PricesStage) -> None:
    stage = stepped_stage
    stage.create(3)
    with looping(stage) as loop:
        stage.produce(each for number in range(3) for each in prices(5, partition=number))
        work_off(loop, 15)
    stage.recreate(1)
    seek("--to", "end")
    new = stage.topic_id()
    assert stage.positions() == dict.fromkeys(range(3), (0, new))


def test_what_can_not_be_done_is_refused(
    stepped_stage: PricesStage, prices_redis: Engine, settings, unused_tcp_port: int
) -> None:
    stage = stepped_stage
    with pytest.raises(CommandError, match="is missing: make it first"):
        seek("--to", "beginning")
    stage.create(2)
    stage.produce(prices(10, partition=0))
    with pytest.raises(CommandError, match="has 2 partitions, and an offset is of one"):
        seek("--to", "5")
    with pytest.raises(CommandError, match="offsets 0 to below 10: 11 is none"):
        seek("--to", "11", "--partition", "0")
    with pytest.raises(CommandError, match="has partitions 0 to 1"):
        seek("--to", "end", "--partition", "2")
    for wrong in ("-1", "first", "1.5", "9" * 30, "²"):
        with pytest.raises(CommandError, match="no offset"):
            seek(f"--to={wrong}")
    assert stage.positions() == {}
    prices_redis.kill()
    with pytest.raises(CommandError, match=r"Redis at 127\.0\.0\.1:\d+ can't be reached"):
        seek("--to", "beginning")
    settings.KAFKA_BOOTSTRAP_SERVERS = [f"127.0.0.1:{unused_tcp_port}"]
    with pytest.raises(CommandError, match="Kafka can't be reached"):
        seek("--to", "beginning")


def test_it_is_tried_again_where_the_consumer_works_on_meanwhile(
    stepped_stage: PricesStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = stepped_stage
    stage.create(1)
    stage.produce(prices(10))
    move, times = Store.move, []

    def moved_before(self: Store, place: str, expected: str | None, to: str) -> None:
        times.append(expected)
        if len(times) < 3:
            stage.redis.hset("prices:positions", place, f"{len(times)} {stage.topic_id()}")
        move(self, place, expected, to)

    monkeypatch.setattr(Store, "move", moved_before)
    seek("--to", "end")
    assert times == [None, *(f"{number} {stage.topic_id()}" for number in (1, 2))]
    assert stage.positions() == {0: (10, stage.topic_id())}

    def always_moved(self: Store, place: str, expected: str | None, to: str) -> None:
        raise Moved(place, "7 x")

    monkeypatch.setattr(Store, "move", always_moved)
    with pytest.raises(CommandError, match="Stop prices and try again"):
        seek("--to", "end")

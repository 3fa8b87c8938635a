"""One StockCode in two partitions, since producers choose partitions in different ways."""

from zlib import crc32

import pytest

from streaming.kafka_log.partitions import partition_of
from streaming.sales import strays as strays_module
from streaming.sales.checkpoint import Checkpoint
from streaming.sales.limits import Limits
from streaming.sales.partition import PartitionState
from streaming.sales.strays import Strays
from tests.streaming.sales.records import Record, sale

LIMITS = Limits(600, 600, 300)
COUNT = 4
CODES = [f"8512{number}" for number in range(40)]


def by_murmur2(code: str) -> int:
    return partition_of(code.encode(), COUNT)


def by_crc32(code: str) -> int:
    """As librdkafka does by default."""
    return crc32(code.encode()) % COUNT


SPLIT = next(code for code in CODES if by_murmur2(code) != by_crc32(code))


def state_of(partition: int, **more: bool) -> PartitionState:
    return PartitionState(LIMITS, **{"check_keys": True, **more}, strays=Strays(partition, COUNT))


def test_a_stock_code_of_two_partitions_is_seen_in_the_one_where_murmur2_has_it_not():
    here, there = state_of(by_murmur2(SPLIT)), state_of(by_crc32(SPLIT))
    for state in (here, there):
        outcomes, halt = state.take([sale(0, 5.0, SPLIT)])
        assert (len(outcomes), halt) == (1, None)
    assert here.strays.notice() == ""
    words = there.strays.notice()
    assert f'"{SPLIT}"' in words and f"partition {by_murmur2(SPLIT)}" in words
    assert "murmur2_random" in words and "rekey_sales" in words


def test_it_is_told_once_for_a_partition_not_for_each_code():
    state = state_of(2)
    strangers = [code for code in CODES if by_murmur2(code) != 2]
    state.take([sale(0, 5.0, strangers[0])])
    assert state.strays.news()
    state.take([sale(n, 5.0, code) for n, code in enumerate(strangers[1:], start=1)])
    assert state.strays.news() == ""
    assert f"({len(strangers)})" in state.strays.notice()


def test_keys_are_looked_at_when_they_are_first_met_alone(monkeypatch):
    looked: list[bytes] = []

    def counted(key: bytes, count: int) -> int:
        looked.append(key)
        return partition_of(key, count)

    monkeypatch.setattr(strays_module, "partition_of", counted)
    state_of(0).take([sale(n, float(n), code) for n in range(50) for code in ("a", "b")])
    assert looked == [b"a", b"b"]


def test_a_replay_finds_them_too_and_a_checkpoint_is_as_before():
    state = state_of(by_crc32(SPLIT))
    state.absorb([sale(7, 5.0, SPLIT)])
    assert state.strays.notice()
    assert state.checkpoint() == Checkpoint(7, None, LIMITS.kept_seconds)


def test_it_passes_with_the_window():
    one, other = by_crc32(SPLIT), next(c for c in CODES if by_murmur2(c) == by_crc32(SPLIT))
    state = PartitionState(LIMITS, check_keys=True, strays=Strays(one, COUNT), segment_records=1)
    state.take([sale(0, 5.0, SPLIT)])
    state.take([sale(1, 1_205.0, other)])
    assert state.strays.notice()
    state.take([sale(2, 1_206.0, other)])
    assert state.keys == 1 and state.strays.notice() == ""


def test_a_code_that_comes_under_a_right_key_later_is_none():
    state = state_of(by_crc32(SPLIT))
    right = next(c for c in CODES if by_murmur2(c) == by_crc32(SPLIT)).encode()
    state.take([sale(0, 5.0, SPLIT), sale(1, 2_000.0, SPLIT, key=right)])
    assert state.strays.notice() == ""


def test_when_partitions_are_added_they_are_counted_anew():
    code = next(c for c in CODES if partition_of(c.encode(), 2) == 0 and by_murmur2(c) == 2)
    strays = Strays(2, 2)
    strays.look(code, code.encode())
    assert strays.notice()
    strays.recount(COUNT)
    assert strays.notice() == ""


@pytest.mark.parametrize("key", [None, SPLIT.encode()])
def test_nobody_looks_where_keys_are_of_no_account(key):
    state = state_of(by_crc32(SPLIT), check_keys=False)
    state.take([Record(0, -1, key, sale(0, 5.0, SPLIT).value)])
    assert state.strays.notice() == ""

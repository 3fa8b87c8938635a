"""Records of several partitions come in the order of their timestamps."""

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from streaming.sales.merge import Merge, size_bytes

MUCH = 10**9


class Record(NamedTuple):
    partition: int
    offset: int
    timestamp: int
    key: bytes | None = None
    value: bytes | None = b"1234567890"


def records(partition: int, *timestamps: int) -> list[Record]:
    return [Record(partition, offset, at) for offset, at in enumerate(timestamps)]


def times(taken: list[Record]) -> list[int]:
    return [record.timestamp for record in taken]


def test_a_partition_that_may_bring_earlier_ones_is_waited_for() -> None:
    merge = Merge([0, 1])
    merge.add(0, records(0, 10, 20, 30))
    assert merge.take(99, MUCH, over=set()) == []
    merge.add(1, records(1, 15, 25))
    assert times(merge.take(99, MUCH, over=set())) == [10, 15, 20, 25]
    assert merge.holds_any()
    assert times(merge.take(99, MUCH, over={1})) == [30]
    assert not merge.holds_any()


def test_a_transaction_is_bounded_in_records_and_bytes() -> None:
    merge = Merge([0])
    merge.add(0, records(0, *range(100)))
    assert merge.held_bytes(0) == 1000
    assert times(merge.take(3, MUCH, over={0})) == [0, 1, 2]
    assert len(merge.take(99, 45, over={0})) == 5
    assert merge.held_bytes(0) == 920


def test_timestamps_that_go_back_leave_a_partition_in_its_order() -> None:
    merge = Merge([0, 1])
    merge.add(0, records(0, 10, 50, 20))
    merge.add(1, records(1, 30, 60))
    taken = merge.take(99, MUCH, over={0, 1})
    assert [(each.partition, each.timestamp) for each in taken] == [
        *((0, 10), (1, 30), (0, 50), (0, 20), (1, 60))
    ]


def test_size_counts_key_and_value() -> None:
    assert size_bytes(Record(0, 0, 0, b"ab", None)) == 2


@given(
    st.lists(st.lists(st.integers(0, 50)), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
)
def test_however_it_is_read_the_order_is_that_of_a_sort(parts, rng) -> None:
    """With rising timestamps; equal ones in the order of partitions."""
    sources = [records(number, *sorted(each)) for number, each in enumerate(parts)]
    merge = Merge(range(len(sources)))
    read = [0] * len(sources)
    taken: list[Record] = []
    while len(taken) < sum(map(len, sources)):
        number = rng.randrange(len(sources))
        step = rng.randrange(1, 4)
        merge.add(number, sources[number][read[number] : read[number] + step])
        read[number] = min(read[number] + step, len(sources[number]))
        over = {n for n, source in enumerate(sources) if read[n] == len(source)}
        taken += merge.take(rng.randrange(1, 9), MUCH, over)
    assert times(taken) == sorted(times(taken))
    for number, source in enumerate(sources):
        assert [each for each in taken if each.partition == number] == source

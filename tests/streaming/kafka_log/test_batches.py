"""The short cut of sending writes what kafka-python's own accumulator would write."""

from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.producer.future import FutureProduceResult
from kafka.record.memory_records import MemoryRecordsBuilder
from kafka.structs import TopicPartition

from streaming.kafka_log.batches import Batch

AT = TopicPartition("topic", 3)
SIZES = st.sampled_from([0, 1, 62, 63, 64, 65, 200, 4095, 4096, 8191, 8192, 20_000])
BYTES = st.one_of(st.binary(max_size=80), SIZES.map(lambda size: b"x" * size))
TIMES = st.one_of(
    st.integers(-1, 100), st.integers(-(2**40), 2**40), st.sampled_from([63, 64, 8191, 8192])
)
MESSAGES = st.lists(
    st.tuples(
        TIMES,
        st.none() | BYTES,
        st.none() | BYTES,
        st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=5)), max_size=2),
    ),
    min_size=1,
    max_size=12,
)
LIMITS = st.sampled_from([1, 62, 150, 1_000, 30_000, 2**20])


def by_the_library(messages: list[Any], batch_bytes: int, compression: int) -> MemoryRecordsBuilder:
    records = MemoryRecordsBuilder(2, compression, batch_bytes)
    for message in messages:
        if records.append(*message) is None:
            break
    return records


def sent(records: MemoryRecordsBuilder) -> tuple[Any, ...]:
    """What the broker would get, and what the producer counts by."""
    before = records.is_full(), records.size_in_bytes(), records.next_offset()
    records.set_producer_state(7, 2, 40, True)
    with mock.patch("gzip.time", SimpleNamespace(time=lambda: 0)):  # gzip's header has the second
        records.close()
    return *before, bytes(records.buffer()), records.size_in_bytes(), records.base_sequence


@given(messages=MESSAGES, batch_bytes=LIMITS, compression=st.sampled_from([0, 0, 1]))
def test_a_batch_is_filled_as_by_the_library(messages, batch_bytes, compression):
    ours = Batch(AT, messages, batch_bytes, compression)
    assert sent(ours.records) == sent(by_the_library(messages, batch_bytes, compression))


def test_thousands_of_records_are_filled_as_by_the_library():
    messages: list[Any] = [(n // 100, b"key", b"%d" % n * (n % 50), []) for n in range(9_000)]
    ours = Batch(AT, messages, 2**20, 0)
    assert sent(ours.records) == sent(by_the_library(messages, 2**20, 0))


class Refused(Exception):
    pass


def three() -> Batch:
    return Batch(AT, [(1, b"k", b"v", [])] * 3, 2**20, 0)


class TestWhatABatchTells:
    def test_before_the_end_nothing(self):
        batch = three()
        assert (batch.succeeded(), batch.exception) == (False, None)

    def test_written(self):
        batch = three()
        batch.complete(100, -1)
        assert (batch.succeeded(), batch.exception) == (True, None)

    def test_refused(self):
        batch = three()
        refused = Refused()
        batch.complete_exceptionally(refused, lambda number: refused)
        assert (batch.succeeded(), batch.exception) == (False, refused)

    def test_given_up(self):
        batch = three()
        refused = Refused()
        batch.abort(refused)
        assert (batch.succeeded(), batch.exception) == (False, refused)

    @pytest.mark.parametrize("last_part_fails", [True, False])
    def test_split_it_tells_of_all_its_parts(self, last_part_fails):
        batch = three()
        parts = [FutureProduceResult(AT), FutureProduceResult(AT)]
        for number in range(len(batch._record_futures)):  # as the library does
            batch._record_futures[number].rebind(parts[number // 2], number % 2)
        assert (batch.succeeded(), batch.exception) == (False, None)
        parts[0].success((100, -1, None))
        assert (batch.succeeded(), batch.exception) == (False, None)
        refused = Refused() if last_part_fails else None
        parts[1].success((-1, -1, refused and (lambda number: refused)))
        assert (batch.succeeded(), batch.exception) == (refused is None, refused)

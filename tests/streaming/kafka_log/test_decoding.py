"""Reading by the short cut gives what kafka-python's own way gives, record for record."""

from collections import namedtuple
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.protocol.consumer import IsolationLevel
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from kafka.record.memory_records import MemoryRecords, MemoryRecordsBuilder
from kafka.record.util import calc_crc32c
from kafka.structs import TopicPartition

from streaming.kafka_log import decoding, known_version
from streaming.kafka_log.decoding import Fetched

AT = TopicPartition("topic", 3)
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
ABORT, COMMIT = b"\0\0\0\0", b"\0\0\0\1"  # keys of control records
Aborted = namedtuple("Aborted", ["producer_id", "first_offset"])

# Sizes on both sides of where a number takes another byte, and where the short cut gives up.
SIZES = st.sampled_from([0, 1, 62, 63, 64, 65, 200, 8190, 8191, 8192, 8193, 20_000])
BYTES = st.one_of(st.binary(max_size=80), SIZES.map(lambda size: b"x" * size))
TIMES = st.one_of(
    st.integers(0, 100), st.integers(-(2**40), 2**40), st.sampled_from([63, 64, 8191, 8192, -1])
)
RECORDS = st.lists(
    st.tuples(
        TIMES,
        st.none() | BYTES,
        st.none() | BYTES,
        st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=5)), max_size=2),
    ),
    min_size=1,
    max_size=8,
)
GAPS = st.sampled_from([0, 0, 0, 1, 62, 63, 64, 8190, 8192, 2**21])


def batch(
    records: list[tuple[int, bytes | None, bytes | None, list[Any]]],
    *,
    gaps: list[int] | None = None,
    base: int = 0,
    codec: int = 0,
    stamped: bool = False,
    producer: int = -1,
    transactional: bool = False,
    control: bool = False,
    behind: int = 0,
) -> bytes:
    """A batch as the broker would have it; `gaps`: offsets left out before each record."""
    state = (producer, 0, 0) if producer >= 0 else (-1, -1, -1)
    builder = DefaultRecordBatchBuilder(2, codec, transactional, *state, batch_size=2**30)
    delta = 0
    for (timestamp, key, value, headers), gap in zip(
        records, gaps or [0] * len(records), strict=True
    ):
        delta += gap
        builder.append(delta, timestamp, key, value, headers)
        delta += 1
    made = bytearray(builder.build())
    header = list(DefaultRecordBatch.HEADER_STRUCT.unpack_from(made))
    header[0], header[2] = base, 7
    header[5] |= 8 * stamped | 32 * control
    header[6] += behind
    DefaultRecordBatch.HEADER_STRUCT.pack_into(made, 0, *header)
    return checked(made)


def checked(made: bytearray) -> bytes:
    """With the right checksum."""
    header = list(DefaultRecordBatch.HEADER_STRUCT.unpack_from(made))
    header[4] = calc_crc32c(memoryview(made)[DefaultRecordBatch.ATTRIBUTES_OFFSET :])
    DefaultRecordBatch.HEADER_STRUCT.pack_into(made, 0, *header)
    return bytes(made)


def read(kind: type, fetched: bytes, *, start: int = 0, most: int = 3, aborted: Any = ()) -> Any:
    """All that a poll after the other gives, with what the consumer looks at after each."""
    drained: list[Any] = []
    part = kind(
        start,
        AT,
        MemoryRecords(fetched),
        isolation_level=IsolationLevel.READ_COMMITTED,
        aborted_transactions=list(aborted),
        on_drain=lambda part: drained.append(part.bytes_read > 0),
    )
    found: list[Any] = []
    while part and len(found) < 1_000:
        try:
            records = part.take(most)
        except CorruptRecordError as error:
            found.append(type(error))
            break
        found.append((records, [type(each) for each in records]))
        found.append((part.next_fetch_offset, part.leader_epoch, bool(part), tuple(drained)))
    return found


def both(fetched: bytes, **how: Any) -> Any:
    found = read(Fetched, fetched, **how)
    assert found == read(Fetcher.PartitionRecords, fetched, **how)
    return found


@given(
    records=RECORDS,
    data=st.data(),
    codec=st.sampled_from(list(CODECS.values())),
    stamped=st.booleans(),
    start=st.integers(0, 12),
    most=st.integers(1, 9),
)
def test_a_batch_is_read_as_by_the_library(records, data, codec, stamped, start, most):
    gaps = data.draw(st.lists(GAPS, min_size=len(records), max_size=len(records)))
    fetched = batch(records, gaps=gaps, codec=codec, stamped=stamped)
    fetched += batch(records, base=2**33, codec=codec, stamped=not stamped, behind=2)
    both(fetched, start=start, most=most)


@pytest.mark.parametrize("codec", CODECS)
def test_what_is_usual_is_read_without_the_library(codec, monkeypatch):
    records = [(number, b"key", b"v" * number, []) for number in range(300)]
    fetched = batch(records, codec=CODECS[codec], stamped=True)
    expected = read(Fetcher.PartitionRecords, fetched, most=1_000)
    monkeypatch.setattr(DefaultRecordBatch, "_read_msg", None)
    assert read(Fetched, fetched, most=1_000) == expected


@given(
    kinds=st.lists(st.sampled_from(["plain", "open", "abort", "commit"]), max_size=8),
    producers=st.lists(st.integers(0, 1), min_size=8, max_size=8),
    start=st.integers(0, 10),
    most=st.integers(1, 4),
)
def test_transactions_are_left_out_as_by_the_library(kinds, producers, start, most):
    fetched, base = b"", 0
    begun: dict[int, int] = {}
    aborted = []
    for kind, producer in zip(kinds, producers, strict=False):
        records = [(5, b"k", kind.encode(), [])] * 2
        if kind == "plain":
            fetched += batch(records, base=base)
        elif kind == "open":
            begun.setdefault(producer, base)
            fetched += batch(records, base=base, producer=producer, transactional=True)
        else:
            if kind == "abort" and producer in begun:
                aborted.append(Aborted(producer, begun[producer]))
            begun.pop(producer, None)
            records = [(5, ABORT if kind == "abort" else COMMIT, b"\0" * 6, [])]
            more = {"producer": producer, "transactional": True, "control": True}
            fetched += batch(records, base=base, **more)
        base += len(records)
    both(fetched, start=start, most=most, aborted=aborted)


def test_records_of_an_aborted_transaction_are_not_given_out():
    kept, refused = [(5, b"k", b"kept", [])], [(5, b"k", b"refused", [])]
    fetched = (
        batch(refused, producer=1, transactional=True)
        + batch(kept, base=1, producer=2, transactional=True)
        + batch([(5, ABORT, b"", [])], base=2, producer=1, transactional=True, control=True)
        + batch(kept, base=3, producer=1, transactional=True)
    )
    found = both(fetched, most=100, aborted=[Aborted(1, 0)])
    assert [(each.offset, each.value) for each in found[0][0]] == [(1, b"kept"), (3, b"kept")]


@pytest.mark.parametrize("magic", [0, 1])
def test_old_formats_are_the_librarys(magic):
    builder = MemoryRecordsBuilder(magic, 0, 10_000)
    for number in range(5):
        builder.append(1_000 + number if magic else None, b"k", b"%d" % number)
    builder.close()
    fetched = bytes(builder.buffer())
    found = both(fetched)
    assert [each.value for each in found[0][0]] == [b"0", b"1", b"2"]
    both(batch([(1, b"a", b"b", [])]) + fetched)


@given(records=RECORDS, at=st.integers(0, 10**6), byte=st.integers(0, 255))
def test_what_is_corrupt_is_refused_as_by_the_library(records, at, byte):
    made = bytearray(batch(records))
    at = 61 + at % (len(made) - 61)
    made[at] = byte
    both(checked(made), most=100)


def test_a_wrong_checksum_is_refused():
    made = bytearray(batch([(1, b"key", b"value", [])] * 3))
    made[-3] ^= 1
    assert both(bytes(made)) == [CorruptRecordError]


def test_what_was_cut_by_the_fetch_is_left_to_the_next():
    whole = batch([(1, b"key", b"value", [])])
    found = both(whole + batch([(1, b"key", b"next", [])], base=1)[:-1], most=100)
    assert [each.value for each in found[0][0]] == [b"value"]


def test_of_another_version_all_is_the_librarys(monkeypatch, caplog):
    consumer = SimpleNamespace(_fetcher=SimpleNamespace(PartitionRecords=None))
    monkeypatch.setattr(known_version, "KNOWN_VERSION", "3.0.11")
    decoding.quicken(consumer)
    assert consumer._fetcher.PartitionRecords is None
    assert "records are read by its slower public way" in caplog.text
    monkeypatch.undo()
    decoding.quicken(consumer)
    assert consumer._fetcher.PartitionRecords is Fetched

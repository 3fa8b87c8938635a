"""The short cut of reading: what the broker sent, as records, without a call for each number.

What is unusual stays the library's: compression, old formats, records with headers. Private in
kafka-python, so used with the known version alone.
"""

import struct
from collections.abc import Iterator
from typing import Any

from kafka import KafkaConsumer
from kafka.consumer.fetcher import ConsumerRecord, Fetcher
from kafka.errors import CorruptRecordError
from kafka.protocol.consumer import IsolationLevel
from kafka.record.default_records import DefaultRecord, DefaultRecordBatch
from kafka.record.memory_records import MemoryRecords
from kafka.record.util import decode_varint
from kafka.structs import TopicPartition

from .known_version import is_known

MAGIC = 2
MAGIC_AT = MemoryRecords.MAGIC_OFFSET
LENGTH = struct.Struct(">i")

# What ConsumerRecord(…) ends in; that one is a function of Python's and takes twice as long.
as_tuple = tuple.__new__


def quicken(consumer: KafkaConsumer) -> None:
    """Let it read by the short cut, where the library's version is the known one."""
    if is_known("read"):
        consumer._fetcher.PartitionRecords = Fetched


class Fetched(Fetcher.PartitionRecords):  # type: ignore[misc]
    """What was fetched of a partition, given out record by record."""

    next_fetch_offset: int

    def take(self, n: int | None = None) -> list[ConsumerRecord]:
        """As the library's."""
        records: list[ConsumerRecord] = super().take(n)
        if records:
            # The library does it at each record. At the end of all it may be further.
            self.next_fetch_offset = max(self.next_fetch_offset, records[-1].offset + 1)
        return records

    def _unpack_records(
        self,
        tp: TopicPartition,
        records: MemoryRecords,
        key_deserializer: Any,
        value_deserializer: Any,
    ) -> Iterator[ConsumerRecord]:
        if not key_deserializer and not value_deserializer and all_known(records._buffer):
            return self._unpack(tp, records)
        unpacked: Iterator[ConsumerRecord] = super()._unpack_records(
            tp, records, key_deserializer, value_deserializer
        )
        return unpacked

    def _unpack(self, tp: TopicPartition, records: MemoryRecords) -> Iterator[ConsumerRecord]:
        """The library's own order of things, for batches of the known format."""
        committed_only = self.isolation_level == IsolationLevel.READ_COMMITTED
        while (batch := records.next_batch()) is not None:
            if self.check_crcs and not batch.validate_crc():
                raise CorruptRecordError(
                    f"Record batch for partition {tp} at offset {batch.base_offset}"
                    " failed crc check"
                )
            self.leader_epoch = batch.leader_epoch
            aborted = False
            if committed_only and batch.has_producer_id():
                self._consume_aborted_transactions_up_to(batch.last_offset)
                if self._contains_abort_marker(batch):
                    self.aborted_producer_ids.discard(batch.producer_id)
                else:
                    aborted = self._is_batch_aborted(batch)
            if not aborted and not batch.is_control_batch:
                self.bytes_read += batch.size_in_bytes
                self.records_read += batch.records_count
                yield from decoded(tp, batch)
            # Of a compacted batch the last record may be missing; it is behind that too.
            self.next_fetch_offset = batch.next_offset
        self.drain()


def all_known(fetched: bytes) -> bool:
    """Whether all whole batches are of the known format."""
    at = 0
    while at + MAGIC_AT < len(fetched):
        if fetched[at + MAGIC_AT] != MAGIC:
            return False
        at += MemoryRecords.LOG_OVERHEAD + LENGTH.unpack_from(fetched, at + 8)[0]
    return True


def decoded(tp: TopicPartition, batch: DefaultRecordBatch) -> Iterator[ConsumerRecord]:
    """The records of a batch, as the library's iteration gives them. Raises CorruptRecordError."""
    topic, partition = tp
    epoch, count = batch.leader_epoch, batch.records_count
    kind = batch.timestamp_type
    stamped = kind == batch.LOG_APPEND_TIME
    base_offset, base_time = batch.base_offset, batch.first_timestamp
    timestamp = batch.max_timestamp
    iter(batch)  # uncompresses it
    data = bytes(batch._buffer)
    at = batch._pos
    for number in range(count):
        begin = at
        # As if all were usual: numbers of one byte or two, none negative, no headers.
        try:
            length = data[at]
            at += 1
            if length > 0x7F:
                length = length & 0x7F | data[at] << 7
                at += 1
            end = at + (length >> 1)
            attributes, delta = data[at], data[at + 1]
            at += 2
            if delta > 0x7F:
                delta, at = decode_varint(data, at - 1)
            else:
                delta = delta >> 1 ^ -(delta & 1)
            offset = data[at]
            at += 1
            if offset > 0x7F:
                offset = offset & 0x7F | data[at] << 7
                at += 1
            key_size = data[at]
            at += 1
            if key_size > 0x7F:
                key_size = key_size & 0x7F | data[at] << 7
                at += 1
            key_at, at = at, at + (key_size >> 1)
            value_size = data[at]
            at += 1
            if value_size > 0x7F:
                value_size = value_size & 0x7F | data[at] << 7
                at += 1
            value_at, at = at, at + (value_size >> 1)
            # Lowest bit: negative. Bit 14: another byte would follow.
            unusual = (length | offset | key_size | value_size) & 0x4001 or attributes or data[at]
            at += 1
        except (IndexError, ValueError):
            unusual = 1
        if unusual or at != end:
            batch._pos, batch._next_record_index = begin, number
            yield converted(tp, epoch, next(batch))
            at = batch._pos
            continue
        if not stamped:
            timestamp = base_time + delta
        yield as_tuple(
            ConsumerRecord,
            (
                *(topic, partition, epoch, base_offset + (offset >> 1), timestamp, kind),
                *(data[key_at : key_at + (key_size >> 1)], data[value_at : at - 1], [], None),
                *(key_size >> 1, value_size >> 1, -1),
            ),
        )
    batch._pos, batch._next_record_index = at, count
    next(batch, None)  # checks that nothing is left


def converted(tp: TopicPartition, epoch: int, record: DefaultRecord) -> ConsumerRecord:
    """A record of the library's iteration as one of its consumer."""
    key, value, headers = record.key, record.value, record.headers
    header_bytes = sum(len(name.encode()) + len(value or b"") for name, value in headers)
    return ConsumerRecord(
        *tp,
        *(epoch, record.offset, record.timestamp, record.timestamp_type, key, value, headers, None),
        *(-1 if key is None else len(key), -1 if value is None else len(value)),
        header_bytes if headers else -1,
    )

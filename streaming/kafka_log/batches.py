"""The short cut of sending: whole batches into kafka-python's accumulator, not record by record.

The library makes a future for each record and tells each of them what became of its batch; here a
batch tells it itself. Sequence numbers, retries, splitting, time-outs and the headers of batches
stay the library's. Private in kafka-python, so used with the known version alone.
"""

from collections.abc import Sequence
from typing import Any

from kafka import KafkaProducer
from kafka.errors import IllegalStateError
from kafka.producer.future import FutureRecordMetadata
from kafka.producer.producer_batch import ProducerBatch
from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record.memory_records import MemoryRecordsBuilder
from kafka.record.util import encode_varint
from kafka.structs import TopicPartition

# Timestamp (ms), key, value, headers: a transactions.Message or the like.
Fields = tuple[int, bytes | None, bytes | None, list[tuple[str, bytes]]]

MAGIC = 2  # the only format that transactions can be written in
HEADER_BYTES: int = DefaultRecordBatchBuilder.header_size_in_bytes()


def varint(value: int) -> bytes:
    """A number as the format has it: zigzag, seven bits a byte."""
    written = bytearray()
    encode_varint(value, written.append)
    return bytes(written)


VARINTS = [varint(value) for value in range(4096)]
NONE, NOTHING = varint(-1), varint(0)


class Batch(ProducerBatch):  # type: ignore[misc]
    """A batch that has all its records from the beginning."""

    def __init__(
        self, where: TopicPartition, messages: Sequence[Fields], batch_bytes: int, compression: int
    ) -> None:
        """Takes the first of `messages`, as many as `batch_bytes` allow, at least one."""
        records = MemoryRecordsBuilder(MAGIC, compression, batch_bytes)
        fill(records, messages, batch_bytes)
        super().__init__(where, records)
        self._record_futures = RecordFutures(self)

    @property
    def outcomes(self) -> list[Any]:
        """The futures that tell of all records: the batch's own, the records' after a split."""
        return self._record_futures.made or [self.produce_future]

    def succeeded(self) -> bool:
        """Whether all its records are written."""
        return all(future.succeeded() for future in self.outcomes) and self.refusal is None

    @property
    def exception(self) -> BaseException | None:
        """Why one of its records is not written, None where that is not known."""
        failed = (future.exception for future in self.outcomes if future.exception is not None)
        return next(failed, None) or self.refusal

    @property
    def refusal(self) -> BaseException | None:
        # The library's batch is a success also where it failed: what it holds then is a function
        # that gives the exception of each record.
        future = self.produce_future
        if not future.succeeded() or future.value[2] is None:
            return None
        refusal: BaseException = future.value[2](0)
        return refusal


class RecordFutures:
    """Futures of a batch's records, made when asked for.

    The library asks when it splits a batch that is too large. It then never completes the batch's
    own future, and the records' follow the parts.
    """

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._count: int = batch.record_count
        self.made: list[FutureRecordMetadata] = []

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> FutureRecordMetadata:
        if not self.made:
            self.made = [
                FutureRecordMetadata(self._batch.produce_future, each, -1, None, -1, -1, -1)
                for each in range(self._count)
            ]
        return self.made[number]


def append(
    producer: KafkaProducer, where: TopicPartition, messages: Sequence[Fields]
) -> list[Batch]:
    """Put `messages`, all of one transaction, into the accumulator. Raises KafkaError."""
    producer._transaction_manager.maybe_add_partition_to_transaction(where)
    accumulator = producer._accumulator
    batch_bytes = accumulator.config["batch_size"]
    compression = accumulator.config["compression_attrs"]
    batches = []
    taken = 0
    accumulator._appends_in_progress.increment()
    try:
        while taken < len(messages):
            batch = Batch(where, messages[taken:] if taken else messages, batch_bytes, compression)
            taken += batch.record_count
            with accumulator._tp_lock(where):
                if accumulator._closed:
                    raise IllegalStateError("the producer is closed")
                accumulator._batches[where].append(batch)
                accumulator._incomplete.add(batch)
            batches.append(batch)
    finally:
        accumulator._appends_in_progress.decrement()
    return batches


def fill(records: MemoryRecordsBuilder, messages: Sequence[Fields], batch_bytes: int) -> None:
    """As many `records.append` for an empty builder, until the next one would be None."""
    first = greatest = latest = messages[0][0]
    attributes_and_time = b"\0" + NOTHING
    most = len(VARINTS)
    size = HEADER_BYTES
    pieces: list[bytes] = []
    join = b"".join
    count = 0
    for timestamp, key, value, headers in messages:
        if timestamp != latest:
            latest = timestamp
            attributes_and_time = b"\0" + varint(timestamp - first)
        offset = VARINTS[count] if count < most else varint(count)
        key_length = value_length = NONE
        if key is None:
            key = b""
        else:
            length = len(key)
            key_length = VARINTS[length] if length < most else varint(length)
        if value is None:
            value = b""
        else:
            length = len(value)
            value_length = VARINTS[length] if length < most else varint(length)
        end = encoded(headers) if headers else NOTHING
        record = join((attributes_and_time, offset, key_length, key, value_length, value, end))
        length = len(record)
        begin = VARINTS[length] if length < most else varint(length)
        size += len(begin) + length
        if size > batch_bytes and count:
            break
        if timestamp > greatest:
            greatest = timestamp
        count += 1
        pieces += (begin, record)
    builder = records._builder
    builder._buffer += join(pieces)
    builder._first_timestamp, builder._max_timestamp = first, greatest
    builder._last_offset, builder._num_records = count - 1, count
    records._next_offset = count


def encoded(headers: list[tuple[str, bytes]]) -> bytes:
    """Headers as the format has them."""
    pieces = [varint(len(headers))]
    for name, value in headers:
        text = name.encode()
        pieces += (varint(len(text)), text)
        pieces += (NONE,) if value is None else (varint(len(value)), value)
    return b"".join(pieces)

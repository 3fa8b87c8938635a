"""Records of a topic in batches that fit in memory and in one statement."""

from collections.abc import Iterator

from streaming.kafka_log.reader import Reader, Record

RECORDS = 50_000
BYTES = 16 * 1024**2


def batches(
    reader: Reader, topic: str, partition: int, start: int, end: int
) -> Iterator[list[Record]]:
    """The committed records of offsets `start` to below `end`. Raises KafkaError.

    The reader may be used for something else between two batches.
    """
    while start < end:
        batch: list[Record] = []
        size = 0
        for record in reader.read(topic, partition, start, end):
            batch.append(record)
            size += len(record.value or b"")
            if len(batch) == RECORDS or size >= BYTES:
                break
        if not batch:
            return
        yield batch
        start = batch[-1].offset + 1

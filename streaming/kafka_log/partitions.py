"""Which partition murmur2 puts a key into, as Java's and kafka-python's producers do by default.

Others decide otherwise: librdkafka's default is CRC32 (`partitioner=consistent_random`).
"""

from functools import lru_cache

from kafka.partitioner.default import murmur2


@lru_cache(maxsize=16_384)
def partition_of(key: bytes, count: int) -> int:
    """The partition, of `count`, in which records with this key are."""
    return int((murmur2(key) & 0x7FFFFFFF) % count)

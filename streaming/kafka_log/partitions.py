"""Which partition a key belongs to: as every Kafka client decides it (murmur2)."""

from functools import lru_cache

from kafka.partitioner.default import murmur2


@lru_cache(maxsize=16_384)
def partition_of(key: bytes, count: int) -> int:
    """The partition, of `count`, in which records with this key are."""
    return int((murmur2(key) & 0x7FFFFFFF) % count)

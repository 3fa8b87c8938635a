"""Which processes live, consumers among them."""

from typing import Any

from config.consumers.health import consumer_health
from config.operations import processes

Sample = dict[str, Any]
ENDED = ("stopped", "crashed")


def facts(before: Sample) -> list[dict[str, Any]]:
    """By role, host and pid. Raises redis.RedisError."""
    consumers = [_process(each) for each in consumer_health() if each["state"] not in ENDED]
    found = [*processes.read(), *consumers]
    return sorted(found, key=lambda each: (each["role"], each["host"], each["pid"]))


def _process(record: dict[str, Any]) -> dict[str, Any]:
    """A consumer's process. One of an older version says less of itself."""
    return {
        "role": record["name"],
        "host": record["host"],
        "pid": record["pid"],
        "version": record.get("version", ""),
        "started_at": record["started_at"].timestamp(),
        "beaten_at": record["beaten_at"].timestamp(),
        "memory_bytes": record.get("memory_bytes"),
    }

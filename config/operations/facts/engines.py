"""Which engines answer."""

from dataclasses import asdict
from typing import Any

from config import health

Sample = dict[str, Any]


def facts(before: Sample) -> list[dict[str, Any]]:
    """Of each one what config.health.engines says; within READY_TIMEOUT_SECONDS."""
    return [asdict(engine) for engine in health.engines()]

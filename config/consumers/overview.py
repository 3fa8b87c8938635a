"""All consumers in words, those that run and those that should: for the operations page."""

import shlex
from datetime import UTC, datetime
from functools import cache
from typing import Any

from django.conf import settings

from .health import consumer_health
from .registry import consumer_names

NOT_RUNNING = "not running"
WORDS = {
    "in_flight": "sending",
    "attempts": "attempts since its start",
    "last_round_at": "last round",
    "last_batch": "in the last batch",
    "last_minute": "balances of",
    "lateness_seconds": "late by",
    "delay_p50_ms": "usual delay",
    "delay_p95_ms": "slow delay",
}
MOMENTS = ("last_minute",)  # seconds since 1970
UNITS = {"_seconds": "s", "_ms": "ms"}


def overview() -> list[dict[str, Any]]:
    """What `consumer_health` gives, with `says`: what `health` holds, as pairs for reading.

    Of each name of CONSUMER_CLASSES that nothing is heard of there is `{"name", "state",
    "command", "process"}`: the command that starts it and the Procfile's name for that, "" where
    it is not in there. Raises redis.RedisError.
    """
    heard = [{**record, "says": said(record["health"])} for record in consumer_health()]
    silent = set(consumer_names()) - {record["name"] for record in heard}
    heard += [not_running(name) for name in silent]
    return sorted(heard, key=lambda each: (each["name"], each.get("host", ""), each.get("pid", 0)))


def not_running(name: str) -> dict[str, Any]:
    """What `overview` gives for the consumer `name` where nothing is heard of it."""
    process, command = _procfile().get(
        name, ("", f"celery -A config.celery worker --pool solo --consumer {name} -l INFO")
    )
    return {"name": name, "state": NOT_RUNNING, "command": command, "process": process}


def said(health: dict[str, Any]) -> list[tuple[str, Any]]:
    """Names in words; instants as datetimes, lengths with their unit, yes or no for a truth.

    What is null is left out.
    """
    return [
        (WORDS.get(name) or _words(name), _readable(name, value))
        for name, value in health.items()
        if value is not None
    ]


def _words(name: str) -> str:
    for suffix in ("_at", *UNITS):
        name = name.removesuffix(suffix)
    return name.replace("_", " ")


def _readable(name: str, value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        if name in MOMENTS:
            return datetime.fromtimestamp(value, UTC)
        unit = next((unit for suffix, unit in UNITS.items() if name.endswith(suffix)), "")
        return f"{value} {unit}" if unit else value
    return _instant(value) if name.endswith("_at") and isinstance(value, str) else value


def _instant(value: str) -> Any:
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return value
    return at if at.tzinfo is not None else value


@cache
def _procfile() -> dict[str, tuple[str, str]]:
    """By consumer: the name of its process in the Procfile, and its command."""
    try:
        lines = (settings.BASE_DIR / "Procfile").read_text().splitlines()
    except OSError:
        return {}
    found = {}
    for line in lines:
        process, _, command = line.partition(": ")
        words = shlex.split(command)
        if "--consumer" in words[:-1]:
            found[words[words.index("--consumer") + 1]] = (process, command)
    return found

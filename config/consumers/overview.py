"""All consumers in words, those that run and those that should: for the operations page."""

import shlex
from datetime import datetime
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
}


def overview() -> list[dict[str, Any]]:
    """What `consumer_health` gives, with `says`: what `health` holds, as pairs for reading.

    Of each name of CONSUMER_CLASSES that nothing is heard of there is `{"name", "state",
    "command", "process"}`: the command that starts it and the Procfile's name for that, "" where
    it is not in there. Raises redis.RedisError.
    """
    heard = [{**record, "says": said(record["health"])} for record in consumer_health()]
    silent = set(consumer_names()) - {record["name"] for record in heard}
    started_by = _procfile()
    for name in silent:
        process, command = started_by.get(
            name, ("", f"celery -A config.celery worker --pool solo --consumer {name} -l INFO")
        )
        heard.append({"name": name, "state": NOT_RUNNING, "command": command, "process": process})
    return sorted(heard, key=lambda each: (each["name"], each.get("host", ""), each.get("pid", 0)))


def said(health: dict[str, Any]) -> list[tuple[str, Any]]:
    """Names in words; instants, which are text in JSON, as datetimes; what is null not at all."""
    return [
        (WORDS.get(name) or _words(name), _instant(name, value))
        for name, value in health.items()
        if value is not None
    ]


def _words(name: str) -> str:
    return name.removesuffix("_at").replace("_", " ")


def _instant(name: str, value: Any) -> Any:
    if not name.endswith("_at") or not isinstance(value, str):
        return value
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

"""Where a partition that is taken over is read from. Pure: a position and bounds in, a start out.

A position in Redis is `<next offset> <topic id>`: what is below that offset, in the topic of that
id, has been worked off, in the same change of Redis.
"""

import re
from typing import NamedTuple

PREFIX = "kafka:"
POSITION = re.compile(r"([0-9]{1,19}) (\S{1,100})")

ADVICE = {
    "topic_recreated": "If its rows are new, or carry their source (those of publish_prices do): "
    "`manage.py seek_prices --to beginning`. If they are in Redis already: `manage.py seek_prices "
    "--to end`. Or name the first offset that is new: `--to OFFSET --partition N`.",
    "offset_past_end": "If a broker is still starting, this ends by itself. If records were lost "
    "for good: `manage.py seek_prices --to end`.",
    "bad_position": "Find out who wrote it, then say where to go on: `manage.py seek_prices --to "
    "beginning|end|OFFSET`.",
}


class Position(NamedTuple):
    """How far a partition has been worked off."""

    offset: int  # the next one
    topic_id: str

    def __str__(self) -> str:
        return f"{self.offset} {self.topic_id}"


class Halt(NamedTuple):
    """Why a partition stands still until somebody decides; `reason` is a key of ADVICE."""

    reason: str
    detail: str


class Start(NamedTuple):
    """Read on at `offset`, unless halted. `deleted`: these offsets can't be read any more."""

    offset: int
    halted: Halt | None = None
    deleted: range | None = None


def place(topic: str, partition: int) -> str:
    """The name of the position of a partition."""
    return f"{PREFIX}{topic}:{partition}"


def parse(text: str) -> Position | None:
    """A position as Redis has it; None for what is none."""
    found = POSITION.fullmatch(text)
    return Position(int(found[1]), found[2]) if found else None


def start(text: str | None, topic_id: str, first: int, end: int, others: set[str]) -> Start:
    """What to do with a partition whose records are `first` to below `end`.

    `text` is its position, `others` are the topic ids of the other partitions' positions.
    """
    if text is None:
        strange = sorted(others - {topic_id})
        return Start(first, _recreated(strange[0], topic_id) if strange else None)
    position = parse(text)
    if position is None:
        return Start(first, Halt("bad_position", f"its position in Redis is {text[:100]!r}"))
    offset = position.offset
    if position.topic_id != topic_id:
        return Start(offset, _recreated(position.topic_id, topic_id))
    if offset > end:
        detail = f"rows up to offset {offset} were read, but the topic ends at {end}"
        return Start(offset, Halt("offset_past_end", detail))
    if offset < first:
        return Start(first, deleted=range(offset, first))
    return Start(offset)


def _recreated(before: str, now: str) -> Halt:
    return Halt(
        "topic_recreated",
        f"the topic was deleted and made again: rows were read of the one with id {before}, now "
        f"there is {now}, whose offsets say nothing about what was read",
    )

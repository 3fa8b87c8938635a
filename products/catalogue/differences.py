"""Two values of a field next to each other, short enough for a line. Pure.

Used by the history of a product and where two people edited the same one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LABELS = {"sku": "SKU", "name": "Name", "description": "Description", "active": "State"}
SHOWN_CHARACTERS = 120
WHOLE_CHARACTERS = 60  # texts up to here are shown as they are
AROUND_CHARACTERS = 24  # shown of what is the same before and after the difference


@dataclass(frozen=True)
class Difference:
    """A field's old and new value in words."""

    label: str
    old: str
    new: str


def differences(changes: Mapping[str, Sequence[Any]]) -> list[Difference]:
    """`changes` is {field: [old, new]}, as the history keeps it."""
    return [difference(field, old, new) for field, (old, new) in changes.items()]


def difference(field: str, old: Any, new: Any) -> Difference:
    """Of long texts the part where they differ."""
    label = LABELS.get(field, field)
    if field == "active":
        return Difference(label, _state(old), _state(new))
    before, after = str(old or ""), str(new or "")
    if max(len(before), len(after)) <= WHOLE_CHARACTERS:
        return Difference(label, before, after)
    start = max(0, _same(before, after) - AROUND_CHARACTERS)
    rest = _same(before[start:][::-1], after[start:][::-1])
    cut = max(0, rest - AROUND_CHARACTERS)
    return Difference(label, _part(before, start, cut), _part(after, start, cut))


def _state(active: Any) -> str:
    return "" if active is None else "active" if active else "inactive"


def _same(one: str, other: str) -> int:
    """How many characters at the beginning are the same."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _part(text: str, start: int, cut: int) -> str:
    """`text` from `start` on without the last `cut` characters, and not too long."""
    end = min(len(text) - cut, start + SHOWN_CHARACTERS)
    if end <= 0:
        return ""
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")

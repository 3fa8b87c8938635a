"""When a problem is told, and when its end is: not at each flicker. Pure; used by alerts.py."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

from .problem import Problem

AT_ONCE = ":disabled"  # ends the keys of what is written down as a fact and can't flicker
ENGINE = "engine:"  # begins those of engines
UNKNOWN = "unknown"  # the key where something could not be looked at


class Standing(Protocol):
    """A problem that is not over, as its row has it (models.Alert)."""

    @property
    def key(self) -> str: ...
    @property
    def severity(self) -> str: ...
    @property
    def first_seen_at(self) -> datetime: ...
    @property
    def raised_at(self) -> datetime | None: ...
    @property
    def missing_since(self) -> datetime | None: ...


Row = TypeVar("Row", bound=Standing)


@dataclass
class Changes(Generic[Row]):
    """What becomes of the rows at one sample; a row is in `seen` or one of the last three."""

    seen: list[tuple[Row, Problem]] = field(default_factory=list)
    """There now."""
    told: list[Row] = field(default_factory=list)
    """Of those in `seen`: to be told now, for the first time or as worse than before."""
    missing: list[Row] = field(default_factory=list)
    """Not there, for the first time."""
    resolved: list[Row] = field(default_factory=list)
    """Told, and gone for long enough: their end is told."""
    forgotten: list[Row] = field(default_factory=list)
    """Gone for long enough without ever having been told."""


def begun(standing: Iterable[Standing], found: Sequence[Problem]) -> list[Problem]:
    """The problems in `found` that have no row yet, each key once."""
    known = {row.key for row in standing}
    return [one for key, one in _by_key(found).items() if key not in known]


def changes(
    standing: Iterable[Row], found: Sequence[Problem], at: datetime, after: timedelta
) -> Changes[Row]:
    """What `found`, all problems there were `at`, says of the rows that are not over.

    A problem is told once it was seen for `after` and is there now; that a sample between was
    without it does not matter. It is over when all samples for as long were without it. Either
    is so at once for a key that ends in AT_ONCE. A warning that turns critical is told again.

    What could not be looked at is neither there nor gone: see _known.
    """
    now = _by_key(found)
    result: Changes[Row] = Changes()
    for row in standing:
        patience = timedelta(0) if row.key.endswith(AT_ONCE) else after
        problem = now.get(row.key)
        if problem is not None:
            result.seen.append((row, problem))
            if _is_news(row, problem, at, patience):
                result.told.append(row)
        elif not _known(row.key, now):
            continue
        elif at - (row.missing_since or at) < patience:
            if row.missing_since is None:
                result.missing.append(row)
        elif row.raised_at is None:
            result.forgotten.append(row)
        else:
            result.resolved.append(row)
    return result


def worse(severity: str, than: str) -> bool:
    """Whether a problem's severity is above another."""
    return severity == "critical" and than != "critical"


def _known(key: str, found: Iterable[str]) -> bool:
    """Whether it is certain that the problem `key`, which is not in `found`, is not there.

    While an engine is away that is so only for other engines and for what is in the database that
    this is written to.
    """
    if key == UNKNOWN:
        return True
    if UNKNOWN in found:
        return False
    some_away = any(other.startswith(ENGINE) for other in found)
    return not some_away or key.startswith(ENGINE) or key.endswith(AT_ONCE)


def _is_news(row: Standing, problem: Problem, at: datetime, patience: timedelta) -> bool:
    if row.raised_at is not None:
        return worse(problem.severity, than=row.severity)
    return at - row.first_seen_at >= patience


def _by_key(found: Sequence[Problem]) -> dict[str, Problem]:
    """By key; of two with the same key the first, since the worst come first."""
    return {one.key: one for one in reversed(found)}

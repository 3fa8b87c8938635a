"""What the instances of a group have put on the board, sorted out by who has which partition. Pure.

Used by the overviews of sales and prices, which add what is their own.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

STALE_SECONDS = 3.0
Snapshot = Mapping[str, Any]
Row = Mapping[str, Any]  # of a partition in a snapshot
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Member:
    """One instance of the group; sales and prices add their own counts."""

    instance: str
    state: str
    waiting_for: str | None
    host: str | None
    pid: int | None
    at: float
    age_seconds: float
    stale: bool
    partitions: list[int]
    refused: int


def said(snapshot: Snapshot, stale: bool, partitions: list[int]) -> dict[str, Any]:
    """The fields of a Member, from its snapshot and the partitions it has."""
    return {
        "instance": snapshot["instance"],
        "state": snapshot.get("state", "starting"),
        "waiting_for": snapshot.get("waiting_for"),
        "host": snapshot.get("host"),
        "pid": snapshot.get("pid"),
        "at": snapshot["at"],
        "age_seconds": snapshot["age_seconds"],
        "stale": stale,
        "partitions": partitions,
        "refused": snapshot.get("refused") or 0,
    }


class Members:
    """The snapshots of one group.

    Of two that have the same partition the newer one owns it. Of one that is stale (its instance
    should have published a newer one) the partitions count, its rates only where all are stale.
    """

    def __init__(self, ours: Sequence[Snapshot], others: list[str], every_seconds: float) -> None:
        """`ours` from the oldest to the newest, at least one; `others` are names of groups."""
        self.ours, self.others = ours, others
        self.stale = {each["instance"] for each in ours if _is_stale(each, every_seconds)}
        self.fresh = [each for each in ours if each["instance"] not in self.stale] or list(ours)
        self.owned: dict[int, tuple[Snapshot, Row]] = {
            row["partition"]: (each, row) for each in ours for row in each.get("partitions", ())
        }
        self.holders = {number: each["instance"] for number, (each, _) in self.owned.items()}

    @classmethod
    def of(cls, snapshots: Iterable[Snapshot], group: str, every_seconds: float) -> Self | None:
        """None where there are none. One comes in `every_seconds`, unless it says otherwise."""
        given = list(snapshots)
        ours = sorted((each for each in given if each["group"] == group), key=_at)
        return cls(ours, other_groups(given, group), every_seconds) if ours else None

    @property
    def all_stale(self) -> bool:
        """Whether all that have a partition are; without any partition, all."""
        wanted = set(self.holders.values()) or {each["instance"] for each in self.ours}
        return self.stale >= wanted

    @property
    def age_seconds(self) -> float:
        """Of the newest."""
        return min(float(each["age_seconds"]) for each in self.ours)

    def partitions(
        self, owned: Callable[[Snapshot, Row], T], nobodys: Callable[[int], T]
    ) -> list[T]:
        """One of all partitions there are."""
        known = max(each.get("partition_count") or 0 for each in self.ours)
        count = max([known, *(number + 1 for number in self.owned)])
        return [
            owned(*self.owned[number]) if number in self.owned else nobodys(number)
            for number in range(count)
        ]

    def instances(self, make: Callable[[Snapshot, bool, list[int]], T]) -> list[T]:
        """By name; `make` gets the snapshot, whether it is stale, and the instance's partitions."""
        return [
            make(each, each["instance"] in self.stale, self._held(each["instance"]))
            for each in sorted(self.ours, key=lambda one: str(one["instance"]))
        ]

    def _held(self, instance: str) -> list[int]:
        return sorted(number for number, holder in self.holders.items() if holder == instance)

    def total(self, name: str) -> float:
        """Of those that are fresh."""
        return sum(float(each.get(name) or 0.0) for each in self.fresh)

    def last_said(self, name: str) -> Any:
        """The newest value there is: an instance that waits knows little."""
        found = (each[name] for each in reversed(self.ours) if each.get(name) is not None)
        return next(found, None)

    def state(self, partitions: Iterable[str], order: Sequence[str]) -> str:
        """The first of `order` that a partition, or else an instance, is in.

        Whether anything is halted is said by partitions, which may have a new owner.
        """
        found = {each.get("state", "starting") for each in self.fresh} - {"halted"}
        found.update(partitions)
        return next((each for each in order if each in found), "starting")


def other_groups(snapshots: Iterable[Snapshot], group: str) -> list[str]:
    """The names of the others."""
    return sorted({each["group"] for each in snapshots} - {group})


def _at(snapshot: Snapshot) -> float:
    return float(snapshot["at"])


def _is_stale(snapshot: Snapshot, every_seconds: float) -> bool:
    every = float(snapshot.get("every_seconds") or every_seconds)
    return float(snapshot["age_seconds"]) > max(STALE_SECONDS, 2 * every + 1)

"""The instances of `prices` as one, made of the snapshots that they put on the board. Pure.

Their fields are those of snapshot.py. What an instance leaves out is shown as unknown.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from streaming.members import Member, Members, Row, Snapshot, other_groups, said

# What matters most, first.
ORDER = ("halted", "running", "waiting")


@dataclass(frozen=True)
class Partition:
    """One partition of the topic, as its owner said last."""

    partition: int
    instance: str | None = None  # None: nobody has it
    position: int | None = None
    end: int | None = None
    lag: int | None = None
    halted: Mapping[str, str] | None = None  # reason, detail, advice
    notice: str | None = None

    @property
    def state(self) -> str:
        """nobody, halted or running."""
        if self.instance is None:
            return "nobody"
        return "running" if self.halted is None else "halted"


@dataclass(frozen=True, kw_only=True)
class Instance(Member):
    """One member of the group."""

    rate: float
    added: int
    repeated: int


@dataclass(frozen=True)
class Updater:
    """What is shown. Without any snapshot `state` is "none", and only `group` is of use."""

    group: str
    state: str = "none"
    at: float | None = None
    age_seconds: float | None = None
    stale: bool = False
    topic: str | None = None
    rate: float = 0.0
    partitions: list[Partition] = field(default_factory=list)
    instances: list[Instance] = field(default_factory=list)
    other_groups: list[str] = field(default_factory=list)

    @property
    def lag(self) -> int | None:
        """Rows that wait, None where no partition knows."""
        known = [each.lag for each in self.partitions if each.lag is not None]
        return sum(known) if known else None

    @property
    def halted(self) -> list[Partition]:
        return [each for each in self.partitions if each.halted is not None]

    @property
    def notices(self) -> list[Partition]:
        """Partitions that have something to say."""
        return [each for each in self.partitions if each.notice]

    @property
    def nobodys(self) -> list[int]:
        """Partitions that nobody has."""
        return [each.partition for each in self.partitions if each.state == "nobody"]

    @property
    def waiting(self) -> list[Instance]:
        return [each for each in self.instances if each.waiting_for]


def merge(snapshots: Iterable[Snapshot], group: str, every_seconds: float) -> Updater:
    """The group's instances as one; of other groups only the names.

    `snapshots` are those of `board.snapshots`, one in `every_seconds` unless they say otherwise.
    """
    given = list(snapshots)
    members = Members.of(given, group, every_seconds)
    if members is None:
        return Updater(group, other_groups=other_groups(given, group))
    partitions = members.partitions(_partition, Partition)
    return Updater(
        group=group,
        state=members.state({each.state for each in partitions} & {"halted"}, ORDER),
        at=members.ours[-1]["at"],
        age_seconds=members.age_seconds,
        stale=members.all_stale,
        topic=members.ours[-1].get("topic"),
        rate=members.total("rate"),
        partitions=partitions,
        instances=members.instances(_instance),
        other_groups=members.others,
    )


def _partition(snapshot: Snapshot, row: Row) -> Partition:
    return Partition(
        partition=row["partition"],
        instance=snapshot["instance"],
        position=row.get("position"),
        end=row.get("end"),
        lag=row.get("lag"),
        halted=row.get("halted"),
        notice=row.get("notice") or None,
    )


def _instance(snapshot: Snapshot, stale: bool, partitions: list[int]) -> Instance:
    return Instance(
        **said(snapshot, stale, partitions),
        rate=snapshot.get("rate") or 0.0,
        added=snapshot.get("added") or 0,
        repeated=snapshot.get("repeated") or 0,
    )

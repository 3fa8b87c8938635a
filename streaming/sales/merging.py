"""Makes one overview of the snapshots that the instances of `sales` put on the board. Pure.

Their fields are those that streaming/sales/snapshot.py fills in. What an instance leaves out is
shown as unknown.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from streaming.members import Members, Row, Snapshot, other_groups, said

from .overview import Instance, Overview, Partition, Replay, Selling

TOP = 50
REFUSALS = 20
WARNINGS = 20
# What matters most, first.
ORDER = ("halted", "replaying", "running", "waiting")
STANDING = {"halted", "replaying"}
Curve = list[tuple[float, Decimal]]


def merge(snapshots: Iterable[Snapshot], group: str, every_seconds: float) -> Overview:
    """The group's instances as one; of other groups only the names.

    `snapshots` are those of `board.snapshots`, one in `every_seconds` unless they say otherwise.
    """
    given = list(snapshots)
    members = Members.of(given, group, every_seconds)
    if members is None:
        return Overview(group, other_groups=other_groups(given, group))
    ours = members.ours
    partitions = members.partitions(_partition, Partition)
    return Overview(
        group=group,
        state=members.state({each.state for each in partitions} & STANDING, ORDER),
        at=ours[-1]["at"],
        age_seconds=members.age_seconds,
        stale=members.all_stale,
        topics=members.last_said("topics"),
        window_seconds=members.last_said("window_seconds"),
        lateness_seconds=members.last_said("lateness_seconds"),
        max_skew_seconds=members.last_said("max_skew_seconds"),
        rate_in=members.total("rate_in"),
        rate_out=members.total("rate_out"),
        rate_dead=members.total("rate_dead"),
        partitions=partitions,
        instances=members.instances(_instance),
        warnings=_once((each for one in ours for each in one.get("warnings", ())), WARNINGS),
        top=_selling(ours, members.holders),
        recent_refusals=_refusals(ours),
        other_groups=members.others,
    )


def top(overview: Overview, find: str = "") -> list[Selling]:
    """The largest sums of StockCodes that hold `find`, without regard to case."""
    wanted = find.strip().casefold()
    found = [each for each in overview.top if wanted in each.stock_code.casefold()]
    return found[:TOP]


def selling(snapshots: Iterable[Snapshot], overview: Overview, stock_code: str) -> list[Selling]:
    """What is known of one StockCode, one entry for each partition that it was met in."""
    holders = {each.partition: each.instance for each in overview.partitions}
    ours = [each for each in snapshots if each["group"] == overview.group]
    found = {each.partition: each for each in overview.top if each.stock_code == stock_code}
    for each in ours:
        row = each.get("selling", {}).get(stock_code)
        if row is not None and holders.get(row.get("partition")) == each["instance"]:
            found[row["partition"]] = _sold({"stock_code": stock_code, **row})
    return [
        found[partition] for partition in sorted(found, key=lambda at: -1 if at is None else at)
    ]


def curve(snapshots: Iterable[Snapshot], group: str, stock_code: str) -> Curve | None:
    """The rolling sum's course, the one with the latest end.

    Empty where no instance knows the StockCode, None until all that could have answered.
    """
    ours = [each for each in snapshots if each["group"] == group]
    answers = [each.get("curves", {}).get(stock_code) for each in ours if each.get("partitions")]
    known = [points for points in answers if points]
    if known:
        latest = max(known, key=lambda points: float(points[-1][0]))
        return [(at, Decimal(text)) for at, text in latest]
    return [] if answers and None not in answers else None


def _partition(snapshot: Snapshot, row: Row) -> Partition:
    replay = row.get("replay")
    return Partition(
        partition=row["partition"],
        instance=snapshot["instance"],
        position=row.get("position"),
        end=row.get("end"),
        lag=row.get("lag"),
        watermark=row.get("watermark"),
        keys=row.get("keys") or 0,
        events=row.get("events") or 0,
        bytes=row.get("bytes") or 0,
        replay=None if replay is None else Replay(replay["from"], replay["at"], replay["to"]),
        halted=row.get("halted"),
    )


def _instance(snapshot: Snapshot, stale: bool, partitions: list[int]) -> Instance:
    return Instance(
        **said(snapshot, stale, partitions),
        rate_in=snapshot.get("rate_in") or 0.0,
        taken=snapshot.get("taken") or 0,
        put_out=snapshot.get("put_out") or 0,
    )


def _once(warnings: Iterable[Mapping[str, str]], most: int) -> list[Mapping[str, str]]:
    return list({(each["code"], each["words"]): each for each in warnings}.values())[:most]


def _selling(snapshots: Sequence[Snapshot], holders: Mapping[int, str]) -> list[Selling]:
    """Of the partitions' owners only, the largest first; equal ones keep their places."""
    rows = [
        _sold(row)
        for each in snapshots
        for row in each.get("top", ())
        if holders.get(row["partition"]) == each["instance"]
    ]
    return sorted(rows, key=lambda each: (-each.sum, each.stock_code, each.partition))


def _sold(row: Mapping[str, Any]) -> Selling:
    return Selling(
        stock_code=row["stock_code"],
        sum=Decimal(row["sum"]),
        sales=row.get("sales") or 0,
        last_at=row.get("last_at"),
        partition=row.get("partition"),
    )


def _refusals(snapshots: Sequence[Snapshot]) -> list[Mapping[str, Any]]:
    """Of the newest snapshot first; each offset once."""
    found = {
        (row["partition"], row["offset"]): row
        for each in reversed(snapshots)
        for row in each.get("recent_refusals", ())
    }
    return list(found.values())[:REFUSALS]

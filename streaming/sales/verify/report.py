"""The outcome of a verification, and its words. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from . import instants

EQUAL, DIFFERENT, UNVERIFIED = 0, 1, 2  # exit codes


class Difference(NamedTuple):
    """One thing that is not as it must be; `offset` is the input's, None where there is none."""

    kind: str
    partition: int
    offset: int | None
    stock_code: str | None
    epoch: str | None
    expected: str | None
    found: str | None


@dataclass
class PartitionReport:
    """What was counted in one partition, of records that the group has committed."""

    partition: int
    accepted: int = 0
    refused: int = 0
    outputs: int = 0
    dead_letters: int = 0
    unknown: int = 0  # inputs that need records which are no longer there
    differences: Mapping[str, int] = field(default_factory=dict)  # how many of each kind
    remarks: list[str] = field(default_factory=list)
    incomplete: bool = False  # part of the range could not be verified

    @property
    def inputs(self) -> int:
        return self.accepted + self.refused


@dataclass
class Report:
    """The whole."""

    heading: str
    start_ms: int
    end_ms: int
    partitions: list[PartitionReport]
    differences: list[Difference]  # the first ones

    @property
    def inputs(self) -> int:
        return sum(each.inputs for each in self.partitions)

    @property
    def different(self) -> int:
        """How many differences there are."""
        return sum(sum(each.differences.values()) for each in self.partitions)

    @property
    def exit_code(self) -> int:
        if self.different:
            return DIFFERENT
        return UNVERIFIED if any(each.incomplete for each in self.partitions) else EQUAL

    def lines(self) -> Iterator[str]:
        """For people, one after the other."""
        yield (
            f"{self.heading}: {instants.shown(self.start_ms)} up to {instants.shown(self.end_ms)}"
        )
        for each in self.partitions:
            yield from _partition_lines(each)
        if self.differences:
            yield f"Differences ({len(self.differences):,} of {self.different:,} shown):"
            yield from map(_difference_line, self.differences)
        yield self._verdict()

    def _verdict(self) -> str:
        outputs = sum(each.outputs for each in self.partitions)
        letters = sum(each.dead_letters for each in self.partitions)
        counts = f"{self.inputs:,} inputs, {outputs:,} outputs, {letters:,} dead letters"
        if self.different:
            return f"DIFFERENT: {self.different:,} differences; {counts}."
        if self.exit_code == UNVERIFIED:
            return f"INCOMPLETE: no difference, but not all could be verified; {counts}."
        if not (self.inputs or outputs or letters):
            return "EQUAL: the group has committed nothing of this range."
        return f"EQUAL: {counts}."


def _partition_lines(report: PartitionReport) -> Iterator[str]:
    yield (
        f"partition {report.partition}: {report.inputs:,} inputs = {report.accepted:,} accepted"
        f" + {report.refused:,} refused; {report.outputs:,} outputs,"
        f" {report.dead_letters:,} dead letters"
    )
    for kind, count in sorted(report.differences.items()):
        yield f"    {kind}: {count:,}"
    for remark in report.remarks:
        yield f"    {remark}"


def _difference_line(difference: Difference) -> str:
    said = [difference.kind, f"partition {difference.partition}"]
    if difference.offset is not None:
        said.append(f"offset {difference.offset}")
    if difference.stock_code is not None:
        said.append(f"StockCode {difference.stock_code}")
    if difference.epoch is not None:
        said.append(f"Epoch {difference.epoch}")
    expected = "nothing" if difference.expected is None else difference.expected
    found = "nothing" if difference.found is None else difference.found
    return f"    {', '.join(said)}: expected {expected}, found {found}"

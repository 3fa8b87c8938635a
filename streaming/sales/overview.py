"""All instances of `sales` as one: what page and API show. Pure; made by merging.py."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from streaming.members import Member


@dataclass(frozen=True)
class Replay:
    """A partition whose state is made again from the log."""

    begin: int
    at: int
    to: int

    @property
    def percent(self) -> float:
        """Of the offsets."""
        span = self.to - self.begin
        return 100.0 if span <= 0 else min(100.0, max(0.0, 100 * (self.at - self.begin) / span))


@dataclass(frozen=True)
class Partition:
    """One partition of the input topic, as its owner said last."""

    partition: int
    instance: str | None = None  # None: nobody owns it
    position: int | None = None
    end: int | None = None
    lag: int | None = None
    watermark: float | None = None
    keys: int = 0
    events: int = 0
    bytes: int = 0
    replay: Replay | None = None
    halted: Mapping[str, Any] | None = None  # offset, reason, detail, advice

    @property
    def state(self) -> str:
        """nobody, halted, replaying or running."""
        if self.instance is None:
            return "nobody"
        if self.halted is not None:
            return "halted"
        return "replaying" if self.replay is not None else "running"


@dataclass(frozen=True, kw_only=True)
class Instance(Member):
    """One member of the group."""

    rate_in: float
    taken: int
    put_out: int


@dataclass(frozen=True)
class Selling:
    """A StockCode's rolling sum in one partition."""

    stock_code: str
    sum: Decimal
    sales: int
    last_at: float | None
    partition: int | None


@dataclass(frozen=True)
class Overview:
    """What is shown. Without any snapshot `state` is "none", and only `group` is of use."""

    group: str
    state: str = "none"
    at: float | None = None
    age_seconds: float | None = None
    stale: bool = False
    topics: Mapping[str, str] | None = None
    window_seconds: float | None = None
    lateness_seconds: float | None = None
    max_skew_seconds: float | None = None
    rate_in: float = 0.0
    rate_out: float = 0.0
    rate_dead: float = 0.0
    partitions: list[Partition] = field(default_factory=list)
    instances: list[Instance] = field(default_factory=list)
    warnings: list[Mapping[str, str]] = field(default_factory=list)
    top: list[Selling] = field(default_factory=list)
    recent_refusals: list[Mapping[str, Any]] = field(default_factory=list)
    other_groups: list[str] = field(default_factory=list)

    @property
    def lag(self) -> int | None:
        """Records that wait, None where no partition knows."""
        known = [each.lag for each in self.partitions if each.lag is not None]
        return sum(known) if known else None

    @property
    def keys(self) -> int:
        return sum(each.keys for each in self.partitions)

    @property
    def events(self) -> int:
        return sum(each.events for each in self.partitions)

    @property
    def bytes(self) -> int:
        return sum(each.bytes for each in self.partitions)

    @property
    def until(self) -> float | None:
        """The newest InvoiceDate that was taken."""
        known = [each.watermark for each in self.partitions if each.watermark is not None]
        return max(known, default=None)

    @property
    def halted(self) -> list[Partition]:
        return [each for each in self.partitions if each.state == "halted"]

    @property
    def nobodys(self) -> list[int]:
        """Partitions that nobody owns."""
        return [each.partition for each in self.partitions if each.state == "nobody"]

    @property
    def replay(self) -> Replay | None:
        """Of all partitions that are replayed, as if they were one."""
        under_way = [each.replay for each in self.partitions if each.replay is not None]
        if not under_way:
            return None
        done = sum(min(each.at, each.to) - each.begin for each in under_way)
        return Replay(0, done, sum(each.to - each.begin for each in under_way))

    @property
    def waiting(self) -> list[Instance]:
        return [each for each in self.instances if each.waiting_for]

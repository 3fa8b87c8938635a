"""Plots of the ledger: how late each minute was, and balances over time. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any, NamedTuple

from config import chart
from config.chart import Chart

from . import words
from .queries import Run

MINUTE = timedelta(minutes=1)
MINUTES = 60
# So long after a minute its row may not be there yet: KeyDB is tried for a second.
GRACE = timedelta(seconds=3)
SPARK_WIDTH, SPARK_HEIGHT = 120, 28

Balances = Sequence[tuple[datetime, Decimal]]


class Band(NamedTuple):
    """A minute that went wrong, behind the curve."""

    x: float
    width: float
    kind: str  # failed or missing


@dataclass(frozen=True)
class Minute:
    """One of the last minutes. `run` is None where nothing was written down."""

    at: datetime
    run: Run | None
    began: bool  # False: it is before all that is known

    @property
    def state(self) -> str:
        """written, failed, missing or before."""
        if self.run is not None:
            return "failed" if self.run.failure else "written"
        return "missing" if self.began else "before"

    @property
    def said(self) -> str:
        if self.run is not None:
            return self.run.failure or words.duration(self.run.lateness_seconds)
        return "not written" if self.began else "nothing known"


@dataclass(frozen=True)
class Lateness:
    """The last MINUTES minutes; `plot` is None where none was written."""

    minutes: list[Minute]
    plot: Chart | None
    bands: list[Band]

    @property
    def latest(self) -> Minute:
        return self.minutes[-1]

    @property
    def newest_first(self) -> list[Minute]:
        """Those of which anything is known."""
        return [each for each in reversed(self.minutes) if each.state != "before"]

    @property
    def wrong(self) -> list[Minute]:
        """Those that failed or are missing, the newest first."""
        return [each for each in reversed(self.minutes) if each.state in ("failed", "missing")]

    @property
    def written(self) -> int:
        return sum(each.state == "written" for each in self.minutes)

    @property
    def known(self) -> int:
        return sum(each.state != "before" for each in self.minutes)

    @property
    def points(self) -> list[list[Any]]:
        """For streams/curve.js."""
        return [[each.at.timestamp(), each.said] for each in self.minutes]

    @property
    def worst(self) -> float | None:
        """Seconds, of those that were written."""
        written = [each.run for each in self.minutes if each.run and not each.run.failure]
        return max((run.lateness_seconds or 0.0 for run in written), default=None)


def lateness(runs: Sequence[Run], first: datetime | None, now: datetime) -> Lateness:
    """`runs` of the last hour; `first` is the oldest minute that is known at all."""
    last = (now - GRACE).replace(second=0, microsecond=0)
    by_minute = {run.minute: run for run in runs}
    last = max([last, *by_minute])
    times = [last - MINUTE * number for number in reversed(range(MINUTES))]
    minutes = [Minute(at, by_minute.get(at), first is not None and at >= first) for at in times]
    points = [(each.at.timestamp(), _milliseconds(each)) for each in minutes]
    plot = chart.chart(points)
    if plot is not None:
        plot = replace(plot, labels=[f"{label} ms" for label in plot.labels])
    return Lateness(minutes, plot, _bands(minutes))


def _milliseconds(minute: Minute) -> Decimal | None:
    if minute.run is None or minute.run.failure:
        return None
    return round(Decimal(1000 * (minute.run.lateness_seconds or 0.0)), 1)


def _bands(minutes: Sequence[Minute]) -> list[Band]:
    step = chart.WIDTH / (len(minutes) - 1)
    found = []
    for number, minute in enumerate(minutes):
        if minute.state not in ("failed", "missing"):
            continue
        left, right = max(0.0, (number - 0.5) * step), min(chart.WIDTH, (number + 0.5) * step)
        found.append(Band(left, right - left, minute.state))
    return found


@dataclass(frozen=True)
class Curve:
    """A provider's balance over time."""

    plot: Chart
    points: list[list[Any]]  # for streams/curve.js

    @property
    def rows(self) -> list[tuple[datetime, Decimal]]:
        """Some of its points, for a table."""
        return [(_instant(at), found) for at, found in self.plot.rows if found is not None]


def curve(balances: Balances, step_seconds: int) -> Curve | None:
    """None for fewer than two. A gap is where more than one step is missing."""
    points: list[tuple[float, Decimal | None]] = []
    for at, balance in balances:
        if points and at.timestamp() - points[-1][0] > 2 * step_seconds:
            points.append((points[-1][0] + step_seconds, None))
        if balance.is_finite():
            points.append((at.timestamp(), balance))
    plot = chart.chart(points, from_zero=False)
    if plot is None:
        return None
    said = [[at, "no balance" if found is None else words.amount(found)] for at, found in points]
    return Curve(plot, said)


def spark(balances: Balances, now: datetime) -> str:
    """The path of a small curve over the hour before `now`, "" for fewer than two balances."""
    known = [(at, float(balance)) for at, balance in balances if balance.is_finite()]
    if len(known) < 2:
        return ""
    begin, span = now - MINUTE * MINUTES, (MINUTE * MINUTES).total_seconds()
    low, high = min(y for _, y in known), max(y for _, y in known)
    path, before = [], None
    for at, balance in known:
        x = SPARK_WIDTH * min(1.0, max(0.0, (at - begin).total_seconds() / span))
        share = (balance - low) / (high - low) if high > low else 0.5
        gap = before is None or at - before > 2 * MINUTE
        path.append(f"{'M' if gap else 'L'}{x:.1f},{SPARK_HEIGHT * (1 - share):.1f}")
        before = at
    # One between two gaps: round ends make a dot of it.
    alone = [one[0] == other[0] == "M" for one, other in pairwise([*path, "M"])]
    return "".join(f"{each}h0" if dot else each for each, dot in zip(path, alone, strict=True))


def _instant(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)

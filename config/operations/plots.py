"""Small plots of the last hour. Pure; the page draws them as SVG."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from config import chart, figures

from . import words

HOUR_SECONDS = 3600.0
STEP_SECONDS = 30.0
"""A dot of the curve: the greatest value in so many seconds."""


def _seconds(value: float) -> str:
    return words.duration(value)


def _per_second(value: float) -> str:
    return f"{figures.rate(value)} per second"


@dataclass(frozen=True)
class Plot:
    """One curve. `line` and `area` are paths in chart.WIDTH × chart.HEIGHT."""

    name: str
    title: str
    now: str
    most: str
    line: str
    area: str

    @property
    def said(self) -> str:
        """The curve in words."""
        return f"{self.title}, last hour: {self.now} now, {self.most} at most"


KINDS: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("queue_waiting", "Waiting in queues", words.count),
    ("lag", "Consumers behind", words.count),
    ("deliveries_due", "Webhooks due", words.count),
    ("rollup_lateness_seconds", "Balances late by", _seconds),
    ("sales_rate", "Sales taken in", _per_second),
)


def plots(points: Sequence[Mapping[str, Any]], every_seconds: float) -> list[Plot]:
    """Those of which two values or more are known. `points`: config.operations.sample.points();
    `every_seconds` lie between two of them."""
    if not points:
        return []
    step = max(STEP_SECONDS, 2 * every_seconds)
    found = []
    for name, title, said in KINDS:
        values = _values(points, name, step)
        known = [value for _, value in values if value is not None]
        drawn = chart.chart(values) if len(known) > 1 else None
        if drawn is not None:
            now = next((each[name] for each in reversed(points) if each.get(name) is not None), 0)
            found.append(
                Plot(name, title, said(now), said(float(max(known))), drawn.line, drawn.area)
            )
    return found


def _values(
    points: Sequence[Mapping[str, Any]], name: str, step: float
) -> list[tuple[float, Decimal | None]]:
    """The greatest of each step of the hour that ends with the last point; None for a gap."""
    end = float(points[-1]["at"])
    count = round(HOUR_SECONDS / step)
    greatest: list[Decimal | None] = [None] * (count + 1)
    for each in points:
        back = int((end - each["at"]) // step)
        if each.get(name) is None or not 0 <= back <= count:
            continue
        value = Decimal(str(each[name]))
        before = greatest[count - back]
        greatest[count - back] = value if before is None else max(before, value)
    return [(end - step * (count - number), value) for number, value in enumerate(greatest)]

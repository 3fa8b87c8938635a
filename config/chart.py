"""Shapes of a curve over time, for an SVG that is stretched to its place. Pure.

Pages of streams and of the ledger draw with it (templates/streams/curve.html).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby

WIDTH, HEIGHT = 600, 200
LINES = 4  # of the grid, about
TABLE_ROWS = 11
Points = Sequence[tuple[float, Decimal | None]]  # where on the axis of time, and None for a gap


@dataclass(frozen=True)
class Chart:
    """Paths in WIDTH × HEIGHT; grid and axis are spaced evenly."""

    points: Points
    line: str
    area: str
    grid: list[float]  # heights, from the top
    labels: list[str]  # of the grid, from the top
    rows: Points  # some of the points, for a table

    @property
    def times(self) -> tuple[float, float, float]:
        """Begin, middle and end."""
        begin, end = self.points[0][0], self.points[-1][0]
        return begin, (begin + end) / 2, end

    @property
    def now(self) -> Decimal:
        return self._amounts[-1]

    @property
    def least(self) -> Decimal:
        return min(self._amounts)

    @property
    def most(self) -> Decimal:
        return max(self._amounts)

    @property
    def _amounts(self) -> list[Decimal]:
        return [amount for _, amount in self.points if amount is not None]


def chart(points: Points, *, from_zero: bool = True) -> Chart | None:
    """The curve through `points`, whose times never fall; broken where an amount is None.

    `from_zero`: whether the axis of amounts holds 0. None for fewer than two points, which make no
    curve, and where all are gaps.
    """
    amounts = [amount for _, amount in points if amount is not None]
    if len(points) < 2 or not amounts:
        return None
    bottom, top, step = scale(min(amounts), max(amounts), from_zero=from_zero)
    begin, end = points[0][0], points[-1][0]
    width = end - begin or 1.0
    height = float(top - bottom)
    ground = Decimal(0) if bottom <= 0 <= top else bottom
    floor = round(HEIGHT * float(top - ground) / height, 1)
    lines, areas = [], []
    for is_gap, run in groupby(points, key=lambda point: point[1] is None):
        if is_gap:
            continue
        places = [
            (
                round(WIDTH * (at - begin) / width, 1),
                round(HEIGHT * float(top - amount) / height, 1),
            )
            for at, amount in run
            if amount is not None
        ]
        line = "M" + " L".join(f"{x},{y}" for x, y in places)
        lines.append(line if len(places) > 1 else f"{line}h0")  # its round ends make it a dot
        areas.append(f"{line} L{places[-1][0]},{floor} L{places[0][0]},{floor}z")
    count = int((top - bottom) / step)
    decimals = max(0, -int(step.normalize().as_tuple().exponent))
    rows = len(points) - 1
    picked = sorted({round(rows * n / (TABLE_ROWS - 1)) for n in range(TABLE_ROWS)})
    return Chart(
        points=points,
        line=" ".join(lines),
        area=" ".join(areas),
        grid=[round(HEIGHT * n / count, 1) for n in range(count + 1)],
        labels=[f"{top - n * step:,.{decimals}f}" for n in range(count + 1)],
        rows=[points[n] for n in picked],
    )


def scale(
    least: Decimal, most: Decimal, *, from_zero: bool = True
) -> tuple[Decimal, Decimal, Decimal]:
    """(bottom, top, step) of an axis that holds both, by steps of 1, 2 or 5 × 10ⁿ.

    And 0 with `from_zero`. Without it, amounts that are all the same are in its middle.
    """
    low, high = least, most
    if from_zero:
        low, high = min(low, Decimal(0)), max(high, Decimal(0))
    elif low == high:
        low, high = low - abs(low) / 10, high + abs(high) / 10
    if low == high:
        return Decimal(0), Decimal(1), Decimal("0.5")
    rough = (high - low) / LINES
    power = Decimal(10) ** rough.adjusted()
    step = next(power * n for n in (1, 2, 5, 10) if power * n >= rough)
    return math.floor(low / step) * step, math.ceil(high / step) * step, step

"""Curves of prices: places on the axis of time, and no more points than one can see. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from config import chart

from . import clock, words

COLUMNS = chart.WIDTH  # of the drawing; each has at most its first, least, greatest and last price
LABELS = 5  # below the axis of time
SPARK_POINTS = 60
SPARK_WIDTH, SPARK_HEIGHT = 120, 28
NO_DATA = "no data"


@dataclass(frozen=True)
class Curve:
    """What templates/streams/curve.html draws, and some of its moments for a table."""

    chart: chart.Chart
    times: list[str]
    points: str  # JSON of [place, price, time]
    last: int  # number of the last of them
    said: str
    rows: list[tuple[str, str]]  # (time, price), "" for none


def curve(times: Sequence[str], prices: Sequence[str]) -> Curve | None:
    """Of rows in their order; a price of "" is a gap. None where there is nothing to draw."""
    if len(times) < 2 or not any(prices):
        return None
    axis = places(times)
    seen = thinned(axis, prices)
    drawn = chart.chart([(axis[n], _decimal(prices[n])) for n in seen], from_zero=False)
    if drawn is None:
        return None
    rows = [(clock.shown(times[n]), prices[n]) for n in seen]
    marks = [
        [round(axis[n], 1), words.price(prices[n]) or NO_DATA, clock.shown(times[n])] for n in seen
    ]
    least, most, end = map(words.amount, (drawn.least, drawn.most, drawn.now))
    span = f"between {rows[0][0]} and {rows[-1][0]}"
    picked = {round((len(rows) - 1) * n / (chart.TABLE_ROWS - 1)) for n in range(chart.TABLE_ROWS)}
    return Curve(
        chart=drawn,
        times=labels(axis, times),
        points=json.dumps(marks, separators=(",", ":")),
        last=len(marks) - 1,
        said=f"Prices from {least} to {most} {span}, {end} last",
        rows=[rows[n] for n in sorted(picked)],
    )


def places(times: Sequence[str]) -> list[float]:
    """Where rows stand on the axis: seconds from the first.

    Rows are in the order they came in, not by time: where the time of day falls (another day, or a
    late row) or is unknown, the row stands one second behind the one before it.
    """
    found, place, before = [], 0.0, None
    for time in times:
        now = clock.seconds(time)
        if found:
            step = 1 if now is None or before is None else now - before
            place += step if step >= 0 else 1
        found.append(place)
        before = now
    return found


def labels(axis: Sequence[float], times: Sequence[str]) -> list[str]:
    """Times of day for the axis, evenly spaced: that of the row before each, and what passed."""
    found, row = [], 0
    for number in range(LABELS):
        wanted = axis[0] + (axis[-1] - axis[0]) * number / (LABELS - 1)
        while row + 1 < len(axis) and axis[row + 1] <= wanted:
            row += 1
        begin = clock.seconds(times[row])
        found.append("" if begin is None else clock.of_seconds(begin + wanted - axis[row]))
    return found


def thinned(axis: Sequence[float], prices: Sequence[str]) -> list[int]:
    """Numbers of the rows that make the same picture as all of them.

    Of each column that is one pixel wide the first, the last and the extremes. A gap is kept where
    a whole column is empty, and where there are few rows anyway.
    """
    count = len(axis)
    if count <= COLUMNS:
        return list(range(count))
    width = (axis[-1] - axis[0]) / COLUMNS or 1.0
    columns: dict[int, list[int]] = {}
    for number, place in enumerate(axis):
        columns.setdefault(min(COLUMNS - 1, int((place - axis[0]) / width)), []).append(number)
    found: list[int] = []
    for rows in columns.values():
        priced = [number for number in rows if prices[number]]
        if not priced:
            found.append(rows[0])
            continue
        amount = [float(prices[number]) for number in priced]
        least, most = amount.index(min(amount)), amount.index(max(amount))
        found += sorted({priced[0], priced[least], priced[most], priced[-1]})
    return found


def spark(times: Sequence[str], prices: Sequence[str]) -> str:
    """The path of a small curve in SPARK_WIDTH × SPARK_HEIGHT, "" where there is none."""
    amounts = [float(price) if price else None for price in prices]
    known = [each for each in amounts if each is not None]
    if len(known) < 2:
        return ""
    axis = places(times)
    width = axis[-1] or 1.0
    low, height = min(known), max(known) - min(known)
    path, pen_down = [], False
    for place, amount in zip(axis, amounts, strict=True):
        if amount is None:
            pen_down = False
            continue
        share = (amount - low) / height if height else 0.5
        x = SPARK_WIDTH * place / width
        path.append(f"{'L' if pen_down else 'M'}{x:.1f},{SPARK_HEIGHT * (1 - share):.1f}")
        pen_down = True
    # A price between two gaps: round ends make a dot of it.
    alone = [one[0] == other[0] == "M" for one, other in pairwise([*path, "M"])]
    return "".join(f"{each}h0" if dot else each for each, dot in zip(path, alone, strict=True))


def _decimal(price: str) -> Decimal | None:
    return Decimal(price) if price else None

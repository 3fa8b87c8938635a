"""What a bench hands over to `make bench`: figures, each beside its bare baseline. Pure but `tell`.

A bench calls `tell` for what it prints; alone (`python -m bench.NAME`) that does nothing.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

VARIABLE = "BENCH_FIGURES"  # a file: one figure as JSON in each line
Values = float | Sequence[float]  # one, or one of each round


@dataclass(frozen=True)
class Figure:
    """One row of docs/benchmarks.md. Medians where there were several rounds."""

    name: str
    value: float | None
    unit: str
    more: bool = False  # whether more is better; else less is
    baseline: str = ""
    bare: float | None = None  # the baseline's value, in the same unit
    ratio: float | None = None  # value to bare
    low: float | None = None  # the rounds' least and highest ratio
    high: float | None = None
    goal: float | None = None
    goal_of: str = "value"  # or "ratio"
    rounds: int = 1

    @property
    def better(self) -> bool | None:
        """Than the baseline; None where there is none."""
        if self.ratio is None:
            return None
        return self.ratio >= 1 if self.more else self.ratio <= 1

    @property
    def met(self) -> bool | None:
        """Whether it reaches its goal; None where there is none."""
        found = self.ratio if self.goal_of == "ratio" else self.value
        if found is None and self.goal_of == "ratio":  # of a range alone, its worse end
            found = self.low if self.more else self.high
        if self.goal is None or found is None:
            return None
        return found >= self.goal if self.more else found <= self.goal


def figure(
    name: str,
    value: Values,
    unit: str,
    *,
    more: bool = False,
    baseline: str = "",
    bare: Values | None = None,
    ratio: Values | None = None,
    goal: float | None = None,
    goal_of: str = "value",
) -> Figure:
    """`value` and `bare` are of the same rounds; the ratio is taken in each of them.

    `ratio` is for what is not one by the other. Raises ValueError for another kind of goal.
    """
    if goal_of not in ("value", "ratio"):
        raise ValueError(goal_of)
    values, plain = _list(value), _list(bare)
    ratios = _list(ratio)
    if plain and not ratios:
        paired = len(values) == len(plain)
        pairs = zip(values, plain, strict=True) if paired else [(median(values), median(plain))]
        ratios = [ours / theirs for ours, theirs in pairs if theirs]
    several = len(ratios) > 1
    return Figure(
        name=name,
        value=median(values),
        unit=unit,
        more=more,
        baseline=baseline,
        bare=median(plain) if plain else None,
        ratio=median(ratios) if ratios else None,
        low=min(ratios) if several else None,
        high=max(ratios) if several else None,
        goal=goal,
        goal_of=goal_of,
        rounds=max(len(values), len(ratios)),
    )


def tell(name: str, value: Values, unit: str, **how: Any) -> None:
    """Hand a figure over to the runner that has started this bench; arguments of `figure`."""
    path = os.environ.get(VARIABLE)
    if not path:
        return
    line = json.dumps(asdict(figure(name, value, unit, **how)))
    with Path(path).open("a") as file:
        file.write(line + "\n")


def told(text: str) -> list[Figure]:
    """What is in the file that a bench has written; figures of the same name are its rounds."""
    named: dict[str, list[Figure]] = {}
    for line in text.splitlines():
        each = Figure(**json.loads(line))
        named.setdefault(each.name, []).append(each)
    return [_together(each) for each in named.values()]


def _together(rounds: Sequence[Figure]) -> Figure:
    first = rounds[0]
    if len(rounds) == 1:
        return first
    return figure(
        first.name,
        [each.value for each in rounds if each.value is not None],
        first.unit,
        more=first.more,
        baseline=first.baseline,
        bare=[each.bare for each in rounds if each.bare is not None],
        ratio=[each.ratio for each in rounds if each.ratio is not None],
        goal=first.goal,
        goal_of=first.goal_of,
    )


def _list(values: Values | None) -> list[float]:
    if values is None:
        return []
    return [values] if isinstance(values, int | float) else list(values)

"""All figures of docs/benchmarks.md with the run that each comes from, as JSON beside it. Pure.

bench.__main__ puts a run in; what it did not measure stays with its own run.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.report_figure import Figure

REASON_CHARACTERS = 200


@dataclass(frozen=True)
class Run:
    """One process of a bench."""

    bench: str
    at: str  # YYYY-MM-DD HH:MM UTC
    load: str
    options: str = ""
    commit: str = ""
    seconds: float | None = None
    failure: str = ""  # why it broke off or could not begin
    machine: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """A figure and where it comes from."""

    run: Run
    figure: Figure


@dataclass(frozen=True)
class Results:
    """`failures` has the newest run of each bench whose newest run failed."""

    rows: Sequence[Row] = ()
    failures: Sequence[Run] = ()

    def of(self, bench: str) -> list[Row]:
        return [row for row in self.rows if row.run.bench == bench]

    def with_run(self, run: Run, figures: Sequence[Figure], *, whole: bool) -> "Results":
        """With what a bench has told.

        `whole`: it has measured all it measures, so nothing older of it stays. A run of a part, or
        one that failed, takes the place of figures of the same name alone.
        """
        fresh = {each.name: Row(run, each) for each in figures}
        names = {*fresh}
        kept = []
        for row in self.rows:
            if row.run.bench != run.bench:
                kept.append(row)
            elif row.figure.name in fresh:
                kept.append(fresh.pop(row.figure.name))
            elif (run.failure or not whole) and row.figure.name not in names:
                kept.append(row)
        failures = [each for each in self.failures if each.bench != run.bench]
        if run.failure:
            failures.append(run)
        return Results([*kept, *fresh.values()], failures)


def reason(said: str, code: int) -> str:
    """Why a bench ended with `code`, from what it has printed: one line without paths."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = re.sub(r"(?<![\w:/.])/(?:[\w.+-]+/)+", "…/", lines[-1]) if lines else "it said nothing"
    text = f"exit {code}: {last}"
    return text if len(text) <= REASON_CHARACTERS else f"{text[: REASON_CHARACTERS - 1]}…"


def dumped(results: Results) -> str:
    """As JSON, each run once, a line for each run and row."""
    runs: list[Run] = []
    rows = []
    for row in results.rows:
        if row.run not in runs:
            runs.append(row.run)
        rows.append({"run": runs.index(row.run), **_short(asdict(row.figure))})
    whole = {
        "runs": [_short(asdict(run)) for run in runs],
        "rows": rows,
        "failures": [_short(asdict(run)) for run in results.failures],
    }
    parts = []
    for name, entries in whole.items():
        lines = ",\n".join(f"  {json.dumps(each, ensure_ascii=False)}" for each in entries)
        parts.append(f' "{name}": [\n{lines}\n ]')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def loaded(text: str) -> Results:
    """Raises ValueError, KeyError or TypeError where it is not what `dumped` has made."""
    whole = json.loads(text)
    runs = [_run(each) for each in whole["runs"]]
    rows = []
    for each in whole["rows"]:
        run = runs[each.pop("run")]
        rows.append(Row(run, Figure(**{"value": None, "unit": "", **each})))
    return Results(rows, [_run(each) for each in whole["failures"]])


def _run(values: dict[str, Any]) -> Run:
    return Run(**{"at": "", "load": "", **values})


def _short(values: dict[str, object]) -> dict[str, object]:
    """Without what is not there."""
    return {
        name: value
        for name, value in values.items()
        if value is not None and value is not False and value not in ("", {})
    }

"""docs/benchmarks.md from all results. Pure; bench.__main__ writes it."""

from collections.abc import Iterable, Mapping, Sequence

from bench.report_figure import Figure
from bench.report_results import Results, Row, Run

HEAD = """# Benchmarks

Made by `make bench`; not edited by hand. Each figure stands beside a bare baseline of the same run
where there is one, since seconds alone say more about the machine. The ratio is the figure to the
baseline, so of rates more is better and of times less; behind it, the least and the highest of the
rounds. [bench/README.md](../bench/README.md) says how each is measured and what it means.
`make bench ARGS="prices --quick"` renews the rows of one bench; the others keep their own run.
"""
COLUMNS = ("what", "figure", "bare baseline", "ratio", "goal", "met?", "run")
MARKS = {True: "yes", False: "**missed**", None: ""}


def page(results: Results, benches: Iterable[str], pictures: Mapping[str, str]) -> str:
    """The whole page. `pictures`: path of a bench's picture from the page, where it has one."""
    runs = {_key(run): run for run in _runs(results)}
    numbers = {key: place for place, key in enumerate(runs, start=1)}
    parts = [HEAD]
    parts.append("\n" + _table(COLUMNS, _rows(results, benches, numbers)))
    for bench, path in pictures.items():
        parts.append(f"\n## {bench}\n\n![{bench}: ratios to the bare baseline]({path})\n")
    parts.append("\n## Runs\n\n" + _run_table(list(runs.values()), numbers))
    return "".join(parts)


def _rows(
    results: Results, benches: Iterable[str], numbers: Mapping[tuple[str, ...], int]
) -> list[list[str]]:
    failures = {run.bench: run for run in results.failures}
    found = []
    for bench in benches:
        failed = failures.get(bench)
        if failed is not None:
            said = f"**failed**: {failed.failure}"
            found.append([f"**{bench}**", said, *[""] * 4, _run_cell(failed, numbers)])
        rows = results.of(bench)
        found += [[f"{bench}: {row.figure.name}", *_cells(row, numbers)] for row in rows]
        if failed is None and not rows:
            found.append([bench, "not measured yet", *[""] * 5])
    return found


def _cells(row: Row, numbers: Mapping[tuple[str, ...], int]) -> list[str]:
    figure = row.figure
    bare = "" if figure.bare is None else f"{number(figure.bare)} {figure.unit}"
    value = "" if figure.value is None else f"{number(figure.value)} {figure.unit}"
    return [
        value.strip(),
        f"{figure.baseline} {bare}".strip(),
        ratio(figure),
        goal(figure),
        MARKS[figure.met],
        _run_cell(row.run, numbers),
    ]


def _run_cell(run: Run, numbers: Mapping[tuple[str, ...], int]) -> str:
    return f"{numbers[_key(run)]}, {run.at[:10]}"


def ratio(figure: Figure) -> str:
    """ "2.6 (2.5–3.6)"; "" without one."""
    middle = "" if figure.ratio is None else number(figure.ratio)
    if figure.low is None or figure.high is None:
        return middle
    ends = f"{number(figure.low)}–{number(figure.high)}"
    return f"{middle} ({ends})" if middle else ends


def goal(figure: Figure) -> str:
    """ "≤ 3 times", "≥ 20,000 messages/s"; "" without one."""
    if figure.goal is None:
        return ""
    unit = "times" if figure.goal_of == "ratio" else figure.unit
    return f"{'≥' if figure.more else '≤'} {number(figure.goal)} {unit}".strip()


def number(value: float) -> str:
    """Three digits that count, thousands apart, no powers of ten: 0.0123, 2.6, 48.1, 12,191."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    digits = 2 if value == 0 else max(0, 2 - _power(value))
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _power(value: float) -> int:
    return int(f"{abs(value):e}".partition("e")[2])


def _runs(results: Results) -> list[Run]:
    return [*results.failures, *(row.run for row in results.rows)]


def _key(run: Run) -> tuple[str, ...]:
    return (run.bench, run.at, run.load, run.options, run.commit, str(run.seconds))


def _run_table(runs: Sequence[Run], numbers: Mapping[tuple[str, ...], int]) -> str:
    machines: list[str] = []
    rows = []
    for run in runs:
        words = "; ".join(f"{name} {value}" for name, value in run.machine.items())
        if words not in machines:
            machines.append(words)
        rows.append(
            [
                str(numbers[_key(run)]),
                run.bench,
                run.at,
                f"`{run.options}`" if run.options else "",
                run.load,
                "" if run.seconds is None else f"{number(run.seconds)} s",
                run.commit,
                chr(ord("A") + machines.index(words)),
            ]
        )
    heads = ("run", "bench", "at", "options", "load", "lasted", "commit", "machine")
    listed = "".join(
        f"- **{chr(ord('A') + place)}**: {words or 'not noted'}\n"
        for place, words in enumerate(machines)
    )
    return f"{_table(heads, rows)}\nMachines:\n\n{listed}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *([_cell(each) for each in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(text: str) -> str:
    """Nothing in it ends the cell or is read as HTML."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")

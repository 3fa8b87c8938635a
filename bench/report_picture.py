"""A bench's ratios as bars on a log scale: an SVG that code hosts show as a picture. Pure.

It brings its own ground and colours for light and dark, since a picture knows no page's style.
"""

import math
from collections.abc import Callable, Sequence
from html import escape

from bench.report_figure import Figure
from bench.report_table import number, ratio

WIDTH, LABEL, VALUE = 940, 420, 130  # the bars are between the other two
ROW, BAR, HEAD, FOOT = 26, 14, 44, 34
LABEL_CHARACTERS = 57
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.ground { fill: #fff; stroke: #d1d9e0 }
.grid { stroke: #d1d9e0 }
.one { stroke: #59636e; stroke-width: 1.5 }
.better { fill: #0969da; stroke: #0969da }
.worse { fill: #fff; stroke: #bc4c00; stroke-width: 1.5 }
.goal { stroke: #1f2328; stroke-width: 2; stroke-dasharray: 2 2 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc }
.ground { fill: #0d1117; stroke: #3d444d }
.grid { stroke: #3d444d }
.one { stroke: #9198a1 }
.better { fill: #4493f8; stroke: #4493f8 }
.worse { fill: #0d1117; stroke: #f0883e }
.goal { stroke: #f0f6fc }
}
"""


def picture(title: str, figures: Sequence[Figure]) -> str | None:
    """Bars from 1, the bare baseline, to each ratio; None where no figure has one above 0."""
    shown = [(each, each.ratio) for each in figures if each.ratio is not None and each.ratio > 0]
    if not shown:
        return None
    goals = [each.goal for each, _ in shown if each.goal_of == "ratio" and each.goal]
    low, high = bounds([value for _, value in shown] + goals)
    bottom = HEAD + ROW * len(shown)

    def x(value: float) -> float:
        share = (math.log10(value) - low) / (high - low)
        return round(LABEL + share * (WIDTH - LABEL - VALUE), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + FOOT}" '
        f'width="{WIDTH}" height="{bottom + FOOT}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<rect class="ground" x=".5" y=".5" width="{WIDTH - 1}" height="{bottom + FOOT - 1}" '
        'rx="6"/>',
    ]
    for power in range(low, high + 1):
        name, at = "one" if power == 0 else "grid", x(10.0**power)
        parts.append(f'<path class="{name}" d="M{at} {HEAD - 8}V{bottom}"/>')
        label = f"{number(10.0**power)}×"
        parts.append(f'<text x="{at}" y="{HEAD - 16}" text-anchor="middle">{label}</text>')
    for place, (each, value) in enumerate(shown):
        parts += _bar(each, value, HEAD + ROW * place, x)
    parts.append(
        f'<text x="14" y="{bottom + 21}">1× is the bare baseline. Filled: better than it. Outlined:'
        " worse. Dashed: goal.</text></svg>\n"
    )
    return "\n".join(parts)


def bounds(ratios: Sequence[float]) -> tuple[int, int]:
    """Powers of ten around all ratios and 1, one apart at least."""
    low = min(0, *(math.floor(math.log10(value)) for value in ratios))
    high = max(0, *(math.ceil(math.log10(value)) for value in ratios))
    return low, max(high, low + 1)


def _bar(figure: Figure, value: float, top: int, x: Callable[[float], float]) -> list[str]:
    begin, end = sorted((x(1), x(value)))
    middle = top + ROW // 2 + 4
    name = figure.name
    if len(name) > LABEL_CHARACTERS:
        name = f"{name[: LABEL_CHARACTERS - 1]}…"
    missed = " missed" if figure.met is False and figure.goal_of == "ratio" else ""
    parts = [
        f'<text x="{LABEL - 14}" y="{middle}" text-anchor="end">{escape(name)}</text>',
        f'<rect class="{"better" if figure.better else "worse"}" x="{begin}" '
        f'y="{top + (ROW - BAR) // 2}" width="{round(max(end - begin, 1.5), 1)}" height="{BAR}">'
        f"<title>{escape(f'{figure.name}: {ratio(figure)} × {figure.baseline}')}</title></rect>",
        f'<text x="{WIDTH - VALUE + 14}" y="{middle}">{number(value)}×{missed}</text>',
    ]
    if figure.goal_of == "ratio" and figure.goal:
        parts.append(f'<path class="goal" d="M{x(figure.goal)} {top + 2}v{ROW - 4}"/>')
    return parts

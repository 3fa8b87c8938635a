"""WCAG 2.2: text 4.5:1 against its ground, borders of fields and focus marks 3:1."""

import re
from pathlib import Path

import pytest

CSS = Path(__file__).parents[2] / "templates/static/stockroom.css"
TOKENS = {
    name: {"light": light, "dark": dark}
    for name, light, dark in re.findall(
        r"--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", CSS.read_text()
    )
}
GROUNDS = ["bg", "surface", "raised"]
TEXT = [
    *((text, ground) for text in ("text", "muted", "accent") for ground in GROUNDS),
    *((text, ground) for text in ("good", "warn", "bad") for ground in ("surface", "raised")),
    *((text, f"{text}-soft") for text in ("accent", "warn", "bad")),
    *(("text", f"{ground}-soft") for ground in ("accent", "warn", "bad")),
    *(("muted", f"{ground}-soft") for ground in ("accent", "warn", "bad")),
    ("on-accent", "accent"),
    ("on-bad", "bad"),
]
SHAPES = [(shape, ground) for shape in ("edge", "accent") for ground in GROUNDS]


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_the_formula_gives_the_known_extremes():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("pairs", "least"), [(TEXT, 4.5), (SHAPES, 3.0)], ids=["text", "shapes"])
def test_the_tokens_are_told_apart(scheme, pairs, least):
    measured = {
        pair: round(contrast(TOKENS[pair[0]][scheme], TOKENS[pair[1]][scheme]), 2) for pair in pairs
    }
    assert {pair: value for pair, value in measured.items() if value < least} == {}


def test_rules_take_their_colours_from_the_tokens():
    rules = CSS.read_text().split("}", 1)[1]
    assert re.findall(r"#[0-9a-f]{3,8}\b", rules) == []
